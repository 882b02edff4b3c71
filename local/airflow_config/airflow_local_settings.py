"""Read by every Airflow process at its start; does something in the scheduler only.

LocalExecutor's workers, and the tasks in them, are forks of the scheduler: what is imported here once is there in
every task for nothing. Great Expectations takes 3 to 4 seconds to import; a gate in a forked child then costs
0.05 s. One OpenBLAS thread, since threads do not survive a fork.
"""

import os
import sys


def _is_scheduler() -> bool:
    return any(word == "scheduler" for word in sys.argv[1:2])


if _is_scheduler() and os.environ.get("UPKEEP_PRELOAD", "1") == "1":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import gc

    import great_expectations  # noqa: F401

    gc.freeze()  # the collector of a forked child then leaves these pages shared
