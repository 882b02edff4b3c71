"""Read by every Airflow process at its start; does something in the scheduler only.

LocalExecutor's workers, and the tasks in them, are forks of the scheduler: what is imported here once is there in
every task for nothing (`upkeep.airflow.preload`). Great Expectations takes 3 to 4 seconds to import; a gate in a
forked child then costs 0.1 s. One OpenBLAS thread, since threads do not survive a fork.
"""

import os
import sys


def loopback() -> str:
    """Return the host of the stack's programs: Airflow's ``hostname_callable``."""
    return "127.0.0.1"


def _is_scheduler() -> bool:
    return any(word == "scheduler" for word in sys.argv[1:2])


if _is_scheduler() and os.environ.get("UPKEEP_PRELOAD", "1") == "1":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from upkeep.airflow.preload import preload

    preload()
