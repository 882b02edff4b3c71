"""What retention should have removed on a real PostgreSQL server: found, told with the reason, and gone when it ran."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.harness.commands import Bed
from tests.harness.looking import Looks
from tests.harness.postgres import session as open_session
from tests.harness.postgres import target
from tests.harness.servers import fresh_database
from upkeep.postgres.ttl_verification import observe

if TYPE_CHECKING:
    from local.servers import PostgresServer
    from upkeep.model import Finding
    from upkeep.postgres.session import PostgresSession

OVERDUE, STALLED = "ttl_overdue", "ttl_stalled"
RETAIN = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}"
WHOLE = "retain: {by: at, for: 30 days, then: delete, grace: 0, requires: nothing}"


@pytest.fixture(scope="module")
def uri(postgres_server: PostgresServer) -> Iterator[str]:
    with fresh_database(postgres_server, "ttl") as made:
        yield made


@pytest.fixture(scope="module")
def db(uri: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        yield connection


@pytest.fixture
def session(uri: str) -> Iterator[PostgresSession]:
    with open_session(uri) as opened:
        yield opened


def looks(tables: dict[str, str]) -> Looks:
    return Looks("ttl_verification", target(tables))


def only(seen: Looks, session: PostgresSession, subject: str = "public.t", check: str = OVERDUE) -> Finding:
    return seen.look(session)[check, subject]


def how(finding: Finding) -> str:
    return finding.severity.value if finding.status == "finding" else finding.status.value


def fill(db: psycopg.Connection[Any], days: int = 40, *, index: bool = True, type_: str = "timestamptz") -> None:
    """Make a table with a row for each of the last days, less an hour, and some without a time."""
    db.execute("drop table if exists public.t cascade")
    db.execute(f"create table public.t (id bigint primary key, at {type_}, note text)")
    age = f"(now() - n * interval '1 day' + interval '1 hour')::{type_}"
    db.execute(f"insert into public.t select n, {age} from generate_series(1, {days}) n")
    db.execute("insert into public.t values (0, null), (-1, 'infinity')")
    if index:
        db.execute("create index on public.t (at)")


def ending(status: str, reason: str | None, message: str = "why", subject: str = "public.t") -> dict[str, Any]:
    row = {"subject": subject, "kind": "delete_rows", "status": status, "reason": reason, "message": message}
    at = datetime.now(UTC).isoformat()
    known = {"job": "data_retention", "run_id": "r", "status": "ok", "error": None, "at": at, "usual_seconds": 60.0}
    return {**known, "outcomes": [row]}


@pytest.mark.parametrize("type_", ["timestamptz", "timestamp", "date"])
def test_overdue_rows_are_counted_then_stuck_then_gone(db: Any, session: PostgresSession, type_: str) -> None:
    fill(db, type_=type_)
    seen = looks({"public.t": RETAIN})
    found = only(seen, session)
    assert how(found) == "ERROR"
    assert found.evidence["overdue"] in (8, 9)  # those of the last night may go tonight
    assert found.evidence["tolerance_seconds"] == 86_400
    assert "has not run here yet" in found.summary
    assert (STALLED, "public.t") not in seen.look(session)
    for look in seen.earlier:
        look["at"] = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    assert how(only(seen, session, check=STALLED)) == "ERROR"
    db.execute("delete from public.t where at < now() - interval '30 days'")
    found = seen.look(session)
    assert how(found[OVERDUE, "public.t"]) == "ok"
    assert (STALLED, "public.t") not in found


def test_a_skipped_retention_carries_its_reason(db: Any, session: PostgresSession) -> None:
    fill(db)
    seen = looks({"public.t": RETAIN})
    for reason in ("needs_approval", "over_limit", "needs_backup", "outside_window", "paused", "observe_only"):
        seen.endings = [ending("skipped", reason, f"said of {reason}")]
        found = only(seen, session)
        assert (how(found), f"said of {reason}" in found.summary) == ("INFO", True)
    seen.endings = [ending("skipped", "lock_not_obtained", "held by a reader")]
    assert how(only(seen, session)) == "WARNING"  # told there, and tried again tonight
    seen.endings = [ending("failed", "error", "refused")]
    assert how(only(seen, session)) == "ERROR"
    seen.endings = [ending("skipped", "paused") | {"at": (datetime.now(UTC) - timedelta(days=5)).isoformat()}]
    found = only(seen, session)
    assert (how(found), "has not run here since" in found.summary) == ("ERROR", True)
    seen.endings = [ending("done", None)]
    found = only(seen, session)
    assert (how(found), "they stayed or came late" in found.summary) == ("ERROR", True)
    for other, level in (("public.t", "WARNING"), ("public.u", "ERROR")):  # told by retention: no second alarm
        seen.endings[0]["findings"] = [{"subject": other, "summary": "rows stay: others refer to them"}]
        found = only(seen, session)
        assert (how(found), "others refer to them" in found.summary) == (level, level == "WARNING")


def test_without_an_index_only_small_tables_are_read(
    db: Any, session: PostgresSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, index=False)
    seen = looks({"public.t": RETAIN})
    assert how(only(seen, session)) == "ERROR"
    monkeypatch.setattr(observe, "SMALL_PAGES", 0)
    found = only(seen, session)
    assert (how(found), found.severity) == ("insufficient_evidence", "WARNING")
    assert "no index that leads with at" in found.summary
    db.execute("create index on public.t using brin (at)")
    assert how(only(seen, session)) == "ERROR"


def test_many_are_counted_up_to_a_limit(db: Any, session: PostgresSession, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(db, days=200)
    monkeypatch.setattr(observe, "MOST", 20)
    found = only(looks({"public.t": RETAIN}), session)
    assert found.evidence["overdue"] == 21
    assert len(found.evidence["ids"]) == 20


def test_what_others_refer_to_stays_rightly(db: Any, session: PostgresSession) -> None:
    fill(db)
    db.execute("create table public.refers (t bigint references public.t)")
    db.execute("insert into public.refers select id from public.t where at < now() - interval '30 days'")
    seen = looks({"public.t": RETAIN})
    assert how(only(seen, session)) == "ok"
    db.execute("delete from public.refers where t = 40")
    assert only(seen, session).evidence["overdue"] == 1
    db.execute("drop table public.refers")


@pytest.mark.versions
def test_whole_partitions_are_judged_by_their_bounds(db: Any, session: PostgresSession) -> None:
    db.execute("create table public.logs (at timestamptz not null, n int) partition by range (at)")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for back in (90, 60, 34, 32, 30, 0):
        low, high = today - timedelta(days=back), today - timedelta(days=back - 1)
        db.execute(f"create table public.logs_{back} partition of public.logs for values from ('{low}') to ('{high}')")
    db.execute("create table public.logs_default partition of public.logs default")
    db.execute("insert into public.logs select now() - interval '89 days 23 hours' from generate_series(1, 3)")
    db.execute("analyze public.logs_90")
    seen = looks({"public.logs": WHOLE})
    found = only(seen, session, "public.logs")
    # the end of 32 was 31 days ago, at midnight: a day and some hours are not over the tolerance of a night
    wanted = ["public.logs_90", "public.logs_60", "public.logs_34"]
    assert (how(found), found.evidence["overdue"]) in (("ERROR", 3), ("ERROR", 4))
    assert found.evidence["partitions"][:3] == wanted
    assert found.evidence["rows_about"] == 3
    assert "partitions are still there" in found.summary
    for name in found.evidence["partitions"]:
        db.execute(f"drop table {name}")
    assert how(only(seen, session, "public.logs")) == "ok"
    for back in (30, 0):
        db.execute(f"drop table public.logs_{back}")
    db.execute("create table public.logs_old partition of public.logs for values from ('2001-01-01') to ('2001-01-02')")
    assert how(only(seen, session, "public.logs")) == "ok"  # the last one stays


def test_rows_of_partitions_one_by_one(db: Any, session: PostgresSession) -> None:
    db.execute("create table public.part (id int, at timestamptz not null) partition by hash (id)")
    for n in range(2):
        db.execute(f"create table public.part_{n} partition of public.part for values with (modulus 2, remainder {n})")
    db.execute("create index on public.part (at)")
    age = "now() - n * interval '1 day' + interval '1 hour'"
    db.execute(f"insert into public.part select n, {age} from generate_series(1, 40) n")
    seen = looks({"public.part": RETAIN})
    assert only(seen, session, "public.part").evidence["overdue"] == 9
    db.execute("delete from public.part where at < now() - interval '30 days'")
    assert how(only(seen, session, "public.part")) == "ok"
    whole = only(looks({"public.part": WHOLE}), session, "public.part")
    assert "do not tell the age at" in whole.summary


def test_ages_that_are_numbers(db: Any, session: PostgresSession) -> None:
    db.execute("create table public.epoch (id int primary key, at bigint)")
    db.execute("create index on public.epoch (at)")
    age = "extract(epoch from now() - n * interval '1 day' + interval '1 hour')"
    db.execute(f"insert into public.epoch select n, {age} from generate_series(1, 40) n")
    told = RETAIN.replace("then:", "unit: seconds, then:")
    assert only(looks({"public.epoch": told}), session, "public.epoch").evidence["overdue"] == 9
    wrong = only(looks({"public.epoch": told.replace("seconds", "milliseconds")}), session, "public.epoch")
    assert (how(wrong), "the values fit seconds" in wrong.summary) == ("insufficient_evidence", True)
    silent = only(looks({"public.epoch": RETAIN}), session, "public.epoch")
    assert "nothing says what it counts" in silent.summary


def test_what_cannot_be_looked_at_is_said(
    db: Any, uri: str, session: PostgresSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db)
    db.execute('create table public."a""b; drop" (at timestamptz)')
    db.execute("create view public.v as select * from public.t")
    seen = looks(
        {
            'public."a""b; drop"': RETAIN,
            "public.gone": RETAIN,
            "public.v": RETAIN,
            "no.name.at.all": RETAIN,
            "public.t": RETAIN.replace("by: at", "by: note"),
        }
    )
    found = seen.look(session)
    assert how(found[OVERDUE, 'public."a""b; drop"']) == "ok"
    told = {subject: f.summary for (check, subject), f in found.items() if check == OVERDUE}
    assert "does not exist" in told["public.gone"]
    assert "a view" in told["public.v"]
    assert "is text, no time" in told["public.t"]
    assert {how(found[OVERDUE, name]) for name in told if "b; drop" not in name} == {"insufficient_evidence"}
    db.execute("drop role if exists ttl_limited; create role ttl_limited login password 'x'")
    limited = psycopg.conninfo.make_conninfo(uri)
    with psycopg.connect(uri) as holder, open_session(uri) as other:
        holder.execute("lock table public.t in access exclusive mode")
        assert "locked" in only(looks({"public.t": RETAIN}), other).summary
    with open_session(uri, user="ttl_limited", password="x") as other:
        assert how(only(looks({"public.t": RETAIN}), other)) == "not_available", limited
        db.execute("grant select on public.t to ttl_limited")
        db.execute("alter table public.t enable row level security")
        hidden = only(looks({"public.t": RETAIN}), other)
        assert "row security hides rows" in hidden.summary
        assert how(hidden) == "not_available"
    monkeypatch.setattr(observe, "SECONDS", 0)
    assert "in time" in only(looks({"public.t": RETAIN}), session).summary
    db.execute("drop owned by ttl_limited; drop role ttl_limited")


def test_on_the_command_line_with_the_ledgers_memory(db: Any, uri: str, control_database: str, tmp_path: Path) -> None:
    """Retention waits for a person: no second alarm. It is told to do it: nothing is left to say."""
    fill(db)
    bed = Bed(uri, control_database, tmp_path)
    waits = RETAIN.replace("nothing", "approval")
    bed.declare({"public.t": waits}, more="limits: {share: 100 %}")
    assert bed.upkeep("run", "data_retention", "--json").target["status"] == "awaiting_approval"
    told = bed.upkeep("run", "ttl_verification", "--json")
    assert (told.status, told.target["status"]) == (0, "ok")
    (found,) = [f for f in told.target["findings"] if f["check"] == OVERDUE]
    assert (found["severity"], found["state"]) == ("INFO", "new")
    assert "waits for a person's approval" in found["summary"]
    bed.declare({"public.t": RETAIN}, more="limits: {share: 100 %}")
    assert bed.upkeep("run", "data_retention", "--json").target["status"] == "ok"
    done = bed.upkeep("run", "ttl_verification", "--json")
    assert (done.status, done.target["status"]) == (0, "ok")
    assert [f["status"] for f in done.target["findings"]] == ["ok"]
