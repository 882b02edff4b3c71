"""A reader, or a writer, holds one table for the whole run: given up in time, nobody queues, the others are done.

(issue 3, "Robust"; anchors/postgres.md B4: pg_partman#626, #604, #240; DESIGN 5.1.)
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
import pytest

from tests.harness import commands as help_
from tests.harness.cases import AT, CASES, ROWS, Case, conserved, prepare, tune
from tests.harness.commands import Bed, Db
from upkeep.postgres import ddl
from upkeep.postgres.data_retention import batches, detach

pytestmark = pytest.mark.alone

BUDGET = 2.5
"""Seconds that a lock is tried for in these tests, instead of 45."""
STRONG = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock")


def impatient() -> None:
    """Try as in real life, but not for as long."""
    real = ddl._tries

    def tries(retry: ddl.LockRetry, sleep: Any) -> Any:
        return real(ddl.LockRetry(attempts=min(retry.attempts, 6), budget=BUDGET, hold=retry.hold), sleep)

    ddl._tries = tries
    detach.HOLDERS_TRIES = 5  # type: ignore[misc]
    batches.TRIES = 2  # type: ignore[misc]


@dataclass
class Waits:
    """What waits for locks in a database, looked at again and again by a session of its own."""

    uri: str
    longest: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            while not self._over.wait(0.01):
                for mode, seconds in connection.execute(
                    "select mode, extract(epoch from clock_timestamp() - waitstart)::float "
                    "from pg_locks where not granted and locktype = 'relation' and waitstart is not null "
                    "and database = (select oid from pg_database where datname = current_database())"
                ).fetchall():
                    self.longest[mode] = max(self.longest.get(mode, 0.0), seconds)

    @property
    def strong(self) -> float:
        """The longest wait that others would have had to wait behind."""
        return max((self.longest.get(mode, 0.0) for mode in STRONG), default=0.0)


@pytest.fixture
def db(bed: Bed) -> Any:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


def prepare_two(db: Db, case: Case) -> None:
    """Make the case's table twice: ``app.logs``, which comes first, and ``other.logs``."""
    prepare(db, case)
    db.execute("drop schema if exists other cascade")
    db.execute("create schema other")
    for statement in case.make:
        db.execute(statement.replace("app.", "other."))


HELD = {
    "a reader, rows moved": ("create, rows moved at once", "select count(*) from app.logs"),
    "a reader, rows moved in steps": ("create, rows moved in steps", "select count(*) from app.logs_default"),
    "a reader, detach with a default": ("detach beside a default partition", "select count(*) from app.logs"),
    "a reader, detach concurrently": ("detach concurrently, then drop", "select count(*) from app.logs"),
    "a writer, delete rows": ("delete rows", "update app.logs set at = at where id = 1"),
    "somebody alters, create": ("create", "lock table app.logs in access exclusive mode"),
    "somebody alters, delete rows": ("delete rows", "lock table app.logs in access exclusive mode"),
}


@pytest.mark.parametrize("name", HELD)
def test_a_table_that_is_held_all_the_time(bed: Bed, db: Db, name: str) -> None:
    case, held = CASES[HELD[name][0]], HELD[name][1]
    prepare_two(db, case)
    bed.declare({"app.logs": case.policy, "other.logs": case.policy.replace("app.", "other.")})

    def before() -> None:
        tune(case)()
        impatient()

    with psycopg.connect(bed.target, application_name="night report") as holder, Waits(bed.target) as waits:
        holder.execute(held)
        started = time.monotonic()
        done = bed.upkeep("run", case.job, *AT, before=before)
        seconds = time.monotonic() - started
        assert done.status == 3, done.story
        assert done.target["status"] == "partial", done.story
        reasons = done.outcomes()
        assert set(reasons["other.logs"]) == {"done"}, done.story
        if "app.logs" in reasons:
            assert "lock_not_obtained" in reasons["app.logs"], done.story
            assert set(reasons["app.logs"]) <= {"lock_not_obtained", "dependency_not_done", "done"}, done.story
        else:  # it could not even be looked at: said so, not passed over
            assert any(f["subject"] == "app.logs" and f["status"] == "not_available" for f in done.target["findings"])
        names_its_holder(done, holder)
        assert waiting(db) == 0
        if "lock table" not in held:
            writer(bed.target)
            conserved(db, case, name)
        holder.rollback()
    conserved(db, case, name)
    assert seconds < 40, seconds  # a busy machine's
    assert waits.strong < 1, waits.longest  # 80 ms, and what a busy machine adds
    again = bed.upkeep("run", case.job, *AT, before=tune(case))
    assert (again.status, again.target["status"]) == (0, "ok"), again.story
    conserved(db, case, "again")
    one, other = (comparable(help_.picture(db, schema), schema) for schema in ("app", "other"))
    assert one == other


def names_its_holder(done: help_.Done, holder: psycopg.Connection[Any]) -> None:
    """See that whoever reads the outcome (or the finding) knows whom to ask."""
    messages = [(a.get("outcome") or {}) for a in done.target["actions"]]
    texts = [str(o.get("message")) for o in messages if o.get("reason_code") == "lock_not_obtained"]
    texts = texts or [f["summary"] for f in done.target["findings"] if f["status"] == "not_available"]
    held = [text for text in texts if f"held by process {holder.info.backend_pid} (user app_owner" in text]
    assert held, texts
    assert "application 'night report', idle in transaction, since 20" in held[0]
    assert "app.logs set" not in held[0]


@pytest.mark.parametrize("job", ["data_retention", "partition_creation"])
def test_it_says_that_it_comes_back(bed: Bed, db: Db, job: str) -> None:
    case = CASES["delete rows" if job == "data_retention" else "create, rows moved at once"]
    held = "update app.logs set at = at where id = 1" if job == "data_retention" else "select count(*) from app.logs"
    prepare(db, case)
    bed.declare({"app.logs": case.policy})

    def message() -> str:
        done = bed.upkeep("run", job, *AT, before=impatient)
        return next(
            str(a["outcome"]["message"])
            for a in done.target["actions"]
            if (a.get("outcome") or {}).get("reason_code") == "lock_not_obtained"
        )

    with psycopg.connect(bed.target) as holder:
        holder.execute(held)
        assert "in a row" not in message()
        assert "(for the 2nd run in a row, since 20" in message()
        assert "(for the 3rd run in a row, since 20" in message()
    assert bed.upkeep("run", job, *AT).status == 0


def test_a_role_that_may_not_see_others_says_so(bed: Bed, db: Db) -> None:
    case = CASES["create, rows moved at once"]
    prepare(db, case)
    db.execute("create role lock_keeper login password 'keeper'")
    try:
        db.execute("grant usage, create on schema app to lock_keeper")
        db.execute(
            "do $$declare t regclass; begin for t in select oid::regclass from pg_class where relkind in ('r', 'p') "
            "and relnamespace = 'app'::regnamespace loop execute format('alter table %s owner to lock_keeper', t); "
            "end loop; end$$"
        )
        known = psycopg.conninfo.conninfo_to_dict(bed.target)
        bed.declare({"app.logs": case.policy})
        bed.addresses["shop"] = f"postgresql://lock_keeper:keeper@127.0.0.1:{known['port']}/{known['dbname']}"
        with psycopg.connect(bed.target) as holder:
            holder.execute("select count(*) from app.logs")
            done = bed.upkeep("run", case.job, *AT, before=impatient)
            text = " ".join(str((a.get("outcome") or {}).get("message")) for a in done.target["actions"])
            assert f"held by process {holder.info.backend_pid} (user app_owner; grant pg_monitor to our role" in text
    finally:
        db.execute("drop owned by lock_keeper cascade; drop role lock_keeper")


def comparable(picture: dict[str, Any], schema: str) -> Any:
    text = repr({name.replace(f"{schema}.", ""): facts for name, facts in picture.items()})
    return text.replace(f"{schema}.", "")


def waiting(db: Db) -> int:
    row = db.execute("select count(*) from pg_locks where not granted").fetchone()
    return int(row[0]) if row else -1


def writer(uri: str) -> None:
    """Write a row to the table that is held by a reader: at once."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("set lock_timeout = '5s'")
        connection.execute(f"insert into app.logs values ({ROWS + 1}, '2024-03-11')")
        connection.execute(f"delete from app.logs where id = {ROWS + 1}")
