"""Which tests stay together when the suite runs in two processes (``pytest -n 2``).

What is heavy to start is started in one process only: the local stack, Airflow's database, and the server of TiDB.
All else goes by file, so that each file's own fixtures are made once; PostgreSQL, MongoDB and Redis start in both
processes, in a second or two. Long groups begin first, or one process would wait for the other at the end.

The scheduler is ours because ``--dist loadgroup`` of pytest-xdist 3.8 writes its groups into an attribute that pytest
9.2 does not read any more, and then spreads every test by itself, without a word. A test says that this one does not.
"""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.harness.timing import DEFAULT_SECONDS, budgets, file_of

TOGETHER = {"mark.stack": "stack", "tests/airflow/": "airflow", "mark.tidb": "tidb", "tidb_server": "tidb"}
"""What stands in a file, or in its path → the group of all such files; the first one counts."""
SHORT_SECONDS = 0.3
"""What a test takes of whose file no budget is written down."""
ROOT = Path(__file__).resolve().parents[2]


@cache
def group_of(file: str) -> str:
    """Return the group of a test file; its path is relative to the checkout."""
    text = file + (ROOT / file).read_text(encoding="utf-8")
    return next((group for sign, group in TOGETHER.items() if sign in text), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Put the groups that take longest first."""
    known, of_file = budgets(), Counter(file_of(item.nodeid) for item in items)
    seconds: Counter[str] = Counter()
    for file, tests in of_file.items():
        seconds[group_of(file)] += known.get(file, min(DEFAULT_SECONDS, SHORT_SECONDS * tests))

    def order(item: pytest.Item) -> tuple[float, str]:
        group = group_of(file_of(item.nodeid))
        return -seconds[group], group

    items.sort(key=order)


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Hands groups to the processes, one after the other, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(file_of(nodeid))
