"""What the tests of whole runs work on: tables in care, made anew, and what must hold whatever happens to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.harness.commands import Db, rows_of
from upkeep.postgres.data_retention import batches, throttle
from upkeep.postgres.partition_creation import moves

AT = ("--at", "2024-03-15T12:00:00+00:00", "--json")
MONTH = "for values from ('2024-{:02}-01 00:00+00') to ('2024-{:02}-01 00:00+00')"
ROWS = 60


@dataclass(frozen=True)
class Case:
    """A table in care, how it is made, what is due of it, and how the run does its work."""

    job: str
    policy: str
    make: tuple[str, ...]
    expected: int
    """Rows that there must be somewhere, in all, at the end."""
    may_go: bool = False
    """Whether due rows (the first half of the ids) may be gone."""
    small_batches: bool = False
    in_steps: bool = False


PARENT = (
    "create table app.logs (id bigint not null, at timestamptz not null, primary key (id, at)) partition by range (at)"
)
JANUARY = f"create table app.logs_1 partition of app.logs {MONTH.format(1, 2)}"
FEBRUARY = f"create table app.logs_2 partition of app.logs {MONTH.format(2, 3)}"
MARCH = f"create table app.logs_3 partition of app.logs {MONTH.format(3, 4)}"
DEFAULT = "create table app.logs_default partition of app.logs default"
HALVES = (
    f"insert into app.logs select n, '2024-01-10' from generate_series(1, {ROWS // 2}) n",
    f"insert into app.logs select n, '2024-03-10' from generate_series({ROWS // 2 + 1}, {ROWS}) n",
    "analyze app.logs",
)
PLAIN = (
    "create table app.logs (id bigint primary key, at timestamptz not null)",
    "create index on app.logs (at)",
    (
        "insert into app.logs "
        f"select n, timestamptz '2024-01-10 00:00+00' + n * interval '1 min' from generate_series(1, {ROWS // 2}) n"
    ),
    *HALVES[1:],
)
ARCHIVE = "create table app.kept (id bigint primary key, at timestamptz not null)"
CREATE = "partition: {by: at, every: 1 month, ahead: 1}"
MOVED = f"insert into app.logs select n, '2024-04-10' from generate_series(1, {ROWS}) n"
RETAIN = "retain: {{by: at, for: 30 days, requires: nothing, {}}}"
CASES = {
    "create": Case("partition_creation", CREATE, (PARENT, FEBRUARY, MARCH), 0),
    "create, rows moved at once": Case("partition_creation", CREATE, (PARENT, MARCH, DEFAULT, MOVED), ROWS),
    "create, rows moved in steps": Case(
        "partition_creation", CREATE, (PARENT, MARCH, DEFAULT, MOVED), ROWS, in_steps=True
    ),
    "detach concurrently, then drop": Case(
        "data_retention",
        RETAIN.format("then: delete, grace: 0"),
        (PARENT, JANUARY, MARCH, *HALVES),
        ROWS // 2,
        may_go=True,
    ),
    "detach beside a default partition": Case(
        "data_retention", RETAIN.format("then: delete"), (PARENT, JANUARY, MARCH, DEFAULT, *HALVES), ROWS
    ),
    "delete rows": Case(
        "data_retention", RETAIN.format("then: delete"), PLAIN, ROWS // 2, may_go=True, small_batches=True
    ),
    "archive rows": Case(
        "data_retention",
        RETAIN.format("then: archive, into: app.kept, precision: row"),
        (*PLAIN, ARCHIVE),
        ROWS,
        small_batches=True,
    ),
    "archive a partition": Case(
        "data_retention",
        RETAIN.format("then: archive, into: app.kept, grace: 0"),
        (PARENT, JANUARY, MARCH, *HALVES, ARCHIVE),
        ROWS,
    ),
}


def prepare(db: Db, case: Case) -> None:
    db.execute("set client_min_messages = 'error'")
    db.execute("drop schema if exists app cascade")
    db.execute("create schema app")
    for statement in case.make:
        db.execute(statement)


def tune(case: Case) -> Callable[[], None]:
    """Return what makes the work of few rows be done as that of many, in the run's process."""

    def before() -> None:
        if case.small_batches:
            for module in (throttle, batches):
                for name in ("FIRST", "SMALLEST", "LARGEST"):
                    if hasattr(module, name):
                        setattr(module, name, 12)
            rest = (throttle.Pace.__init__.__defaults__ or ())[1:]
            throttle.Pace.__init__.__defaults__ = (12, *rest)  # type: ignore[misc]
        if case.in_steps:
            moves.DIRECT_ROWS = 0  # type: ignore[misc]

    return before


def conserved(db: Db, case: Case, stage: object) -> None:
    """Assert that each row is somewhere once; a due row of a table that deletes may be gone."""
    found = rows_of(db)
    assert set(found.values()) <= {1}, (stage, "doubled", {k: v for k, v in found.items() if v > 1})
    if case.expected == 0:
        return
    needed = set(range(ROWS // 2 + 1 if case.may_go else 1, ROWS + 1))
    assert needed <= set(found), (stage, "lost", sorted(needed - set(found)))
