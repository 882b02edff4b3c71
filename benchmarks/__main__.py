"""Run the benchmarks: all of them, or those named (``python -m benchmarks nothing_to_do lock_wait``)."""

from __future__ import annotations

import importlib
import sys

from benchmarks.report import out

ALL = (
    "nothing_to_do",
    "lock_wait",
    "conversion",
    "row_retention",
    "parquet_archive",
    "tidb_retention",
    "mongo_retention",
    "redis_retention",
    "cache_warming",
    "airflow_cost",
    "nightly",
    "rounds",
)


def main() -> int:
    """Run them one after the other; exit with 1 when a goal was missed."""
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        out.print(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(ALL)}", markup=False)
        return 2
    reached = [importlib.import_module(f"benchmarks.{name}").main() for name in names]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
