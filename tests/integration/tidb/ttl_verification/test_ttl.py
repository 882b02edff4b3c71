"""The proof of time to live on a real TiDB server: each fault is made, raised, put right, and clears.

What its TTL jobs have promised is written into their own history by the tests (they come by the hour), but for one test
in which a real one runs.
"""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import tidb
from tests.harness.jobs import declare
from tests.harness.jobs import session as open_session
from tests.harness.looking import Looks
from tests.harness.tidb import Db
from upkeep.model import Finding
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.ttl_verification import tables

pytestmark = pytest.mark.tidb

TTL = "carts: {ttl: {by: updated_at, after: 30 days}}"
RETAIN = "{retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}}"
USER = "ttl_limited"
Found = dict[tuple[str, str], Finding]
_jobs = itertools.count(1)


@pytest.fixture(scope="module")
def db(tidb_server: TidbServer) -> Iterator[Db]:
    """A database on whose server no TTL job begins unless a test says so."""
    with tidb.fresh(tidb_server) as made:
        made.run("set global tidb_ttl_job_enable = off")
        made.run("set time_zone = '+00:00'")
        try:
            yield made
        finally:
            made.run("set global tidb_ttl_job_enable = on")


@pytest.fixture
def session(db: Db) -> Iterator[TiDBSession]:
    with open_session("tidb", db.uri) as opened:
        yield opened


def looks(declared: str = TTL) -> Looks:
    return Looks("ttl_verification", declare("tidb", "tables", declared))


def how(found: Found, check: str, subject: str) -> str:
    one = found.get((check, subject))
    if one is None:
        return "ok"
    return one.severity.value if one.status == "finding" else one.status.value


def carts(db: Db, options: str = "", *, index: bool = True, type_: str = "datetime") -> str:
    """Make a table with a cart of each of the last days, and some without a time; return its subject."""
    db.run("drop table if exists carts")
    key = ", key (updated_at)" if index else ""
    db.run(f"create table carts (id bigint primary key, updated_at {type_}, other datetime{key}) {options}")
    db.run(f"insert into carts values {', '.join(f'({n}, now() - interval {n} day, null)' for n in range(20))}")
    db.run("insert into carts values (-1, null, null)")
    return f"{db.name}.carts"


def ran(db: Db, ago: timedelta, *, after: timedelta = timedelta(days=30), table: str = "carts") -> None:
    """Write down that a TTL job on a table has finished."""
    at = datetime.now(UTC).replace(tzinfo=None) - ago
    names = "tidb_table_id from information_schema.tables where table_schema = %s and table_name = %s"
    (number,) = db.run(f"select {names}", (db.name, table))[0]
    columns = (
        "job_id, table_id, parent_table_id, table_schema, table_name, create_time, finish_time, ttl_expire, status"
    )
    db.run(
        f"insert into mysql.tidb_ttl_job_history ({columns}) values ({'%s, ' * 8} 'finished')",
        (f"test-{next(_jobs)}-{db.name}", number, number, db.name, table, at, at, at - after),
    )


def test_the_ttl_is_as_declared_or_it_is_said(db: Db, session: TiDBSession) -> None:
    subject = carts(db)
    seen = looks()
    found = seen.look(session)
    assert how(found, "ttl_missing", subject) == "ERROR"
    assert "ttl = updated_at + interval 30 day" in (found["ttl_missing", subject].remedy or "")
    db.run("alter table carts ttl = other + interval 30 day")
    assert "by other, and updated_at is declared" in seen.look(session)["ttl_differs", subject].summary
    db.run("alter table carts ttl = updated_at + interval 31 day")
    found = seen.look(session)
    assert (how(found, "ttl_missing", subject), how(found, "ttl_differs", subject)) == ("ok", "ERROR")
    db.run("alter table carts ttl = updated_at + interval 720 hour ttl_enable = 'OFF'")
    found = seen.look(session)
    assert (how(found, "ttl_differs", subject), how(found, "ttl_disabled", subject)) == ("ok", "ERROR")
    db.run("alter table carts ttl_enable = 'ON'")
    assert how(seen.look(session), "ttl_disabled", subject) == "ok"


def test_the_switch_of_the_whole_server(db: Db, session: TiDBSession) -> None:
    carts(db, "ttl = updated_at + interval 30 day")
    seen = looks()
    assert how(seen.look(session), "ttl_disabled", "server") == "ERROR"
    db.run("set global tidb_ttl_job_enable = on")
    try:
        assert how(seen.look(session), "ttl_disabled", "server") == "ok"
    finally:
        db.run("set global tidb_ttl_job_enable = off")


@pytest.mark.parametrize("type_", ["datetime", "timestamp", "date"])
def test_what_the_last_jobs_should_have_removed(db: Db, session: TiDBSession, type_: str) -> None:
    subject = carts(db, "ttl = updated_at + interval 10 day", type_=type_)
    seen = looks(TTL.replace("30", "10"))
    found = seen.look(session)
    assert {how(found, check, subject) for check in ("ttl_stalled", "ttl_overdue")} == {"insufficient_evidence"}
    ran(db, timedelta(minutes=90), after=timedelta(days=10))
    found = seen.look(session)
    assert (how(found, "ttl_stalled", subject), how(found, "ttl_overdue", subject)) == ("ok", "insufficient_evidence")
    ran(db, timedelta(minutes=30), after=timedelta(days=10))
    found = seen.look(session)
    assert (how(found, "ttl_stalled", subject), how(found, "ttl_overdue", subject)) == ("ok", "ERROR")
    evidence = found["ttl_overdue", subject].evidence
    assert evidence["overdue"] in ((9, 10) if type_ == "date" else (9,))
    assert 5_300 < evidence["tolerance_seconds"] < 5_600
    assert len(evidence["ids"]) == evidence["overdue"]
    for look in seen.earlier:
        look["at"] = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    found = seen.look(session)
    assert "stuck, not late" in found["ttl_stalled", subject].summary
    assert how(found, "ttl_stalled", subject) == "ERROR"
    db.run("delete from carts where updated_at < now() - interval 9 day")
    found = seen.look(session)
    assert (how(found, "ttl_stalled", subject), how(found, "ttl_overdue", subject)) == ("ok", "ok")


def test_jobs_that_do_not_go_on(db: Db, session: TiDBSession) -> None:
    subject = carts(db, "ttl = updated_at + interval 30 day")
    seen = looks()
    ran(db, timedelta(hours=9))
    ran(db, timedelta(hours=8))
    found = seen.look(session)
    assert how(found, "ttl_stalled", subject) == "ERROR"
    assert "no TTL job has finished on it since" in found["ttl_stalled", subject].summary
    ran(db, timedelta(minutes=5))
    assert how(seen.look(session), "ttl_stalled", subject) == "ok"
    subject = carts(db, "ttl = updated_at + interval 30 day")  # made anew: nothing has run on it
    seen = looks()
    assert how(seen.look(session), "ttl_stalled", subject) == "insufficient_evidence"
    seen.earlier[0]["at"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert how(seen.look(session), "ttl_stalled", subject) == "ERROR"


def test_without_an_index_a_small_table_is_read_and_a_large_one_sampled(
    db: Db, session: TiDBSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = carts(db, "ttl = updated_at + interval 10 day", index=False)
    ran(db, timedelta(minutes=90), after=timedelta(days=10))
    ran(db, timedelta(minutes=30), after=timedelta(days=10))
    seen = looks(TTL.replace("30", "10"))
    assert how(seen.look(session), "ttl_overdue", subject) == "ERROR"
    monkeypatch.setattr(tables, "SMALL", 5)
    found = seen.look(session)["ttl_overdue", subject]
    assert (found.status.value, found.severity.value) == ("insufficient_evidence", "WARNING")
    assert found.evidence["sampled"] == 1  # of the only region the first row, which has no time
    db.run("delete from carts where id < 15")
    assert how(seen.look(session), "ttl_overdue", subject) == "ERROR"
    db.run("delete from carts")
    monkeypatch.setattr(tables, "SMALL", 10_000)
    assert how(seen.look(session), "ttl_overdue", subject) == "ok"


def test_a_real_job(db: Db, session: TiDBSession) -> None:
    subject = carts(db, "ttl = updated_at + interval 10 day ttl_job_interval = '1m'")
    seen = looks(TTL.replace("30", "10"))
    db.run("set global tidb_ttl_job_enable = on")
    try:
        deadline = time.monotonic() + 60
        while db.value("select count(*) from carts where updated_at < now() - interval 10 day"):
            assert time.monotonic() < deadline, "no TTL job removed anything"
            time.sleep(0.2)
        done = (
            f"select count(*) from mysql.tidb_ttl_job_history where table_schema = '{db.name}' and status = 'finished'"
        )
        while not db.value(f"{done} and job_id not like 'test-%'"):
            assert time.monotonic() < deadline, "no TTL job finished"
            time.sleep(0.2)
    finally:
        db.run("set global tidb_ttl_job_enable = off")
    found = seen.look(session)
    assert how(found, "ttl_stalled", subject) == "ok"
    ran(db, timedelta(), after=timedelta(days=10))
    assert how(seen.look(session), "ttl_overdue", subject) == "ok"
    assert db.value("select count(*) from carts") in (11, 12)


def test_what_retention_should_have_removed(db: Db, session: TiDBSession) -> None:
    db.run("create table plain (id bigint primary key, at datetime, key (at))")
    db.run(f"insert into plain values {', '.join(f'({n}, now() - interval {24 * n - 1} hour)' for n in range(1, 41))}")
    db.run("create table epoch (id bigint primary key, at bigint, key (at))")
    db.run("insert into epoch select id, unix_timestamp(at) from plain")
    today = datetime.now(UTC).date()
    ends = [today - timedelta(days=n) for n in (90, 60, 33, 0)]
    parts = ", ".join(f"partition p{n} values less than ('{end}')" for n, end in enumerate(ends))
    db.run(f"create table parts (at date not null) partition by range columns (at) ({parts})")
    whole = RETAIN.replace("precision: row, ", "")
    epoch = RETAIN.replace("then:", "unit: seconds, then:")
    seen = looks(f"plain: {RETAIN}\nepoch: {epoch}\nparts: {whole}\nnowhere: {RETAIN}")
    plain, parts_, numbers = (f"{db.name}.{name}" for name in ("plain", "parts", "epoch"))
    found = seen.look(session)
    assert found["ttl_overdue", plain].evidence["overdue"] == 9
    assert found["ttl_overdue", numbers].evidence["overdue"] == 9
    assert found["ttl_overdue", parts_].evidence["partitions"] == ["p1", "p2"]  # the lowest is emptied, never removed
    assert {how(found, "ttl_overdue", name) for name in (plain, parts_, numbers)} == {"ERROR"}
    assert "has not run here yet" in found["ttl_overdue", plain].summary
    assert how(found, "ttl_overdue", "nowhere") == "WARNING"
    seen.endings = [ending(plain, "needs_backup", "no verified backup is recorded")]
    found = seen.look(session)
    assert how(found, "ttl_overdue", plain) == "INFO"
    assert "no verified backup is recorded" in found["ttl_overdue", plain].summary
    db.run("delete from plain where at < now() - interval 30 day")
    db.run("delete from epoch where at < unix_timestamp(now() - interval 30 day)")
    db.run("alter table parts drop partition p1, p2")
    found = seen.look(session)
    assert {how(found, "ttl_overdue", name) for name in (plain, parts_, numbers)} == {"ok"}


def ending(subject: str, reason: str, message: str) -> dict[str, Any]:
    row = {"subject": subject, "kind": "delete_rows", "status": "skipped", "reason": reason, "message": message}
    at = datetime.now(UTC).isoformat()
    known = {"job": "data_retention", "run_id": "r", "status": "ok", "error": None, "at": at, "usual_seconds": 60.0}
    return {**known, "outcomes": [row]}


def test_partitions_hostile_names_and_missing_rights(db: Db, session: TiDBSession) -> None:
    subject = carts(db, "ttl = updated_at + interval 30 day")
    db.run(
        "create table `a``b; drop` (id bigint, `at ``x` datetime, primary key (id, `at ``x`)) "
        "ttl = `at ``x` + interval 0 day partition by range columns (`at ``x`) "
        "(partition a values less than ('2020-01-01'), partition b values less than (maxvalue))"
    )
    seen = looks(
        "'`a``b; drop`': {ttl: {by: '`at ``x`', after: 0 days}}\n'car*': {ttl: {by: updated_at, after: 30 days}}"
    )
    found = seen.look(session)
    hostile = next(name for check, name in found if check == "ttl_differs" and "drop" in name)
    assert {how(found, check, hostile) for check in ("ttl_missing", "ttl_differs", "ttl_disabled")} == {"ok"}
    assert how(found, "ttl_differs", subject) == "ok"
    db.run(f"create user {USER}@'%' identified by 'x'")
    try:
        db.run(f"grant select on {db.name}.* to {USER}@'%'")
        db.run(f"grant select on mysql.tidb to {USER}@'%'")
        with open_session("tidb", db.uri, user=USER, password="x") as limited:
            found = looks().look(limited)
    finally:
        db.run(f"drop user {USER}@'%'")
    assert how(found, "ttl_differs", subject) == "ok"
    assert how(found, "ttl_stalled", subject) == "not_available"
    assert how(found, "ttl_overdue", subject) == "not_available"
