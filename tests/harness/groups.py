"""Which tests stay together when the suite runs in two processes (``pytest -n 2 --dist loadgroup``).

What is heavy to start is started in one process only: the local stack, Airflow's database, and the servers of TiDB,
MongoDB and Redis, each a group. PostgreSQL runs in both, so the rest goes by file. Long groups begin first, or one
process would wait for the other at the end.
"""

from collections import Counter

import pytest

from tests.harness.timing import DEFAULT_SECONDS, budgets

SHARED = {
    "stack": "stack",
    "airflow_home": "airflow",
    "tidb_server": "tidb",
    "mongo_server": "mongo",
    "redis_server": "redis",
}
"""Session fixture → the group of all tests that use it; the first one counts."""
SHORT_SECONDS = 0.3
"""What a test takes of whose file no budget is written down."""


def group_of(item: pytest.Item) -> str:
    """Return the group of a test."""
    named = item.get_closest_marker("xdist_group")
    if named is not None:  # a server that only the test's parameters tell of
        return str(named.args[0])
    used = getattr(item, "fixturenames", ())
    shared = next((group for fixture, group in SHARED.items() if fixture in used), None)
    return shared or ("stack" if item.get_closest_marker("stack") else file_of(item))


def file_of(item: pytest.Item) -> str:
    """Return a test's file, as budgets name it."""
    return item.nodeid.partition("::")[0]


def arrange(items: list[pytest.Item]) -> None:
    """Mark each test with its group, and put the groups that take longest first."""
    known, of_file = budgets(), Counter(file_of(item) for item in items)
    seconds: Counter[str] = Counter()
    for item in items:
        file = file_of(item)
        most = min(DEFAULT_SECONDS, SHORT_SECONDS * of_file[file])
        seconds[group_of(item)] += known.get(file, most) / of_file[file]
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: -seconds[group_of(item)])
