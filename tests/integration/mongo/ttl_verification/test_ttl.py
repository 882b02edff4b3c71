"""The proof of time to live on a real MongoDB server: each fault is made, raised, put right, and clears."""

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.process import free_port, give_to_account
from local.servers import MongoServer
from tests.harness.jobs import declare
from tests.harness.jobs import session as open_session
from tests.harness.looking import Looks
from tests.harness.mongo import Place, fresh_place
from tests.harness.servers import alone
from upkeep.model import Finding
from upkeep.mongo.session import MongoSession
from upkeep.mongo.ttl_verification import observe

TTL = "sessions: {ttl: {by: expires_at, after: 1 hour}}"
EVENTS = "events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}"
SERIES = "metrics: {timeseries: {time: at}, retain: {for: 2 days, then: delete, requires: nothing}}"
USER = "ttl_limited"
Found = dict[tuple[str, str], Finding]


class Quick(MongoServer):
    """A server whose TTL monitor passes every second; told at its start, for a monitor that sleeps hears nothing."""

    def prepare(self) -> None:
        super().prepare()
        conf = self.directory / "mongod.conf"
        conf.write_text(conf.read_text().replace("setParameter: {", "setParameter: {ttlMonitorSleepSecs: 1, "))
        give_to_account(conf)


def start(directory: Path) -> MongoServer:
    server = Quick(directory, port=free_port(), password=secrets.token_urlsafe(18))
    server.start()
    return server


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with alone(start) as server, fresh_place(server) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(place: Place) -> None:
    for name in place.db.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}}):
        place.db[name].drop()


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


def looks(collections: str = TTL) -> Looks:
    return Looks("ttl_verification", declare("mongo", "collections", collections))


def how(found: Found, check: str, subject: str = "sessions") -> str:
    one = found.get((check, subject))
    if one is None:
        return "ok"
    return one.severity.value if one.status == "finding" else one.status.value


def monitor(place: Place, *, on: bool) -> None:
    place.client.admin.command({"setParameter": 1, "ttlMonitorEnabled": on})


def passes(place: Place) -> int:
    return int(place.client.admin.command("serverStatus")["metrics"]["ttl"]["passes"])


def wait_for_passes(place: Place, more: int) -> None:
    wanted, deadline = passes(place) + more, time.monotonic() + 20
    while passes(place) < wanted:
        assert time.monotonic() < deadline, "the TTL monitor does not pass"
        time.sleep(0.05)


def fill(place: Place, name: str = "sessions", field: str = "expires_at", **index: Any) -> None:
    """Fill a collection with what is due since a day, and what is not due for a day."""
    now = datetime.now(UTC)
    place.db[name].insert_many([{field: now + timedelta(days=1), "n": n} for n in range(30)])
    if index:
        place.db[name].create_index(field, name="ttl", **index)


def test_the_index_is_as_declared_or_it_is_said(place: Place, session: MongoSession) -> None:
    seen = looks()
    assert how(seen.look(session), "ttl_missing") == "WARNING"  # no such collection
    fill(place)
    found = seen.look(session)
    assert how(found, "ttl_missing") == "ERROR"
    assert 'createIndex({"expires_at": 1}, {"expireAfterSeconds": 3600})' in (
        found["ttl_missing", "sessions"].remedy or ""
    )
    place.db.sessions.create_index([("expires_at", 1), ("n", 1)], name="compound")
    place.db.sessions.create_index("expires_at", name="ttl", expireAfterSeconds=7200)
    found = seen.look(session)
    assert (how(found, "ttl_missing"), how(found, "ttl_differs")) == ("ok", "ERROR")
    assert "later than the declared 3,600 s" in found["ttl_differs", "sessions"].summary
    remedy = found["ttl_differs", "sessions"].remedy or ""
    assert remedy.startswith('db.runCommand({collMod: "sessions", index: {name: "ttl", expireAfterSeconds: 3600}})')
    place.db.command("collMod", "sessions", index={"name": "ttl", "expireAfterSeconds": 3600})
    assert {how(seen.look(session), check) for check in ("ttl_missing", "ttl_differs")} == {"ok"}
    # another index that deletes by another field
    place.db.sessions.create_index("made", name="other", expireAfterSeconds=60)
    assert "deletes by another field, 'made'" in seen.look(session)["ttl_differs", "sessions"].summary
    place.db.sessions.drop_index("other")
    place.db.sessions.drop_index("ttl")
    place.db.sessions.create_index(
        "expires_at", name="ttl", expireAfterSeconds=3600, partialFilterExpression={"kind": "short"}
    )
    assert "is partial" in seen.look(session)["ttl_differs", "sessions"].summary
    place.db.sessions.drop_index("ttl")
    place.db.sessions.create_index([("expires_at", -1)], name="ttl", expireAfterSeconds=3600)
    assert {how(seen.look(session), check) for check in ("ttl_missing", "ttl_differs", "ttl_overdue")} == {"ok"}


def test_a_monitor_that_is_off_is_raised_with_what_is_overdue_then_stuck(place: Place, session: MongoSession) -> None:
    seen = looks()
    fill(place, expireAfterSeconds=3600)
    monitor(place, on=False)
    now = datetime.now(UTC)
    place.db.sessions.insert_many([{"expires_at": now - timedelta(days=1), "n": n} for n in range(25)])
    found = seen.look(session)
    assert (how(found, "ttl_disabled", "server"), how(found, "ttl_overdue")) == ("ERROR", "ERROR")
    evidence = found["ttl_overdue", "sessions"].evidence
    assert evidence["overdue"] == 25
    assert evidence["tolerance_seconds"] == 3  # two sleeps, and a pass
    assert len(evidence["ids"]) == 20
    assert how(seen.look(session), "ttl_stalled") == "ok"  # too soon after the first look
    for look in seen.earlier:
        look["at"] = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    found = seen.look(session)
    assert how(found, "ttl_stalled") == "ERROR"
    assert "stuck, not late" in found["ttl_stalled", "sessions"].summary
    monitor(place, on=True)
    wait_for_passes(place, 2)
    found = seen.look(session)
    assert {how(found, check) for check in ("ttl_overdue", "ttl_stalled")} == {"ok"}
    assert how(found, "ttl_disabled", "server") == "ok"
    assert place.db.sessions.count_documents({}) == 30


def test_a_monitor_that_does_not_go_on_is_raised(place: Place, session: MongoSession) -> None:
    wait_for_passes(place, 1)
    fill(place, expireAfterSeconds=3600)
    seen = looks()
    first = seen.look(session)["ttl_stalled", "server"]
    assert first.status == "ok"
    monitor(place, on=False)  # and said to be on: as if its thread had died
    seen.earlier[0]["measured"]["ttl_stalled"]["server"] |= {"passes": passes(place), "uptime": 0}
    reads = session.ask

    def ask(command: str, **options: Any) -> Any:
        answer = reads(command, **options)
        return {**answer, "ttlMonitorEnabled": True} if command == "getParameter" and answer else answer

    session.ask = ask  # type: ignore[method-assign]
    assert how(seen.look(session), "ttl_stalled", "server") == "ERROR"
    monitor(place, on=True)
    wait_for_passes(place, 1)
    assert how(seen.look(session), "ttl_stalled", "server") == "ok"


def test_a_hidden_index_still_expires_and_cannot_be_counted_through(
    place: Place, session: MongoSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "SMALL", 10)
    seen = looks()
    fill(place, expireAfterSeconds=3600)
    assert how(seen.look(session), "ttl_overdue") == "ok"
    place.db.command("collMod", "sessions", index={"name": "ttl", "hidden": True})
    found = seen.look(session)
    assert (how(found, "ttl_missing"), how(found, "ttl_differs")) == ("ok", "ok")
    assert how(found, "ttl_overdue") == "insufficient_evidence"
    assert "no index on 'expires_at' that is not hidden" in found["ttl_overdue", "sessions"].summary
    place.db.sessions.create_index([("expires_at", 1), ("n", 1)], name="beside")
    assert how(seen.look(session), "ttl_overdue") == "ok"


def test_what_is_no_date_is_never_due_and_said(place: Place, session: MongoSession) -> None:
    seen = looks()
    fill(place, expireAfterSeconds=3600)
    old = datetime.now(UTC) - timedelta(days=9)
    place.db.sessions.insert_many(
        [{"expires_at": old.isoformat()}, {"expires_at": old.timestamp()}, {}, {"expires_at": None}]
    )
    found = seen.look(session)
    assert (how(found, "undated"), how(found, "ttl_overdue")) == ("WARNING", "ok")
    assert found["undated", "sessions"].evidence == {"documents": 2}
    place.db.sessions.delete_many({"expires_at": {"$type": ["string", "number"]}})
    assert how(seen.look(session), "undated") == "ok"


def test_documents_that_retention_should_have_removed(place: Place, session: MongoSession) -> None:
    seen = looks(EVENTS)
    now = datetime.now(UTC)
    place.db.events.insert_many([{"at": now - timedelta(days=n, hours=1)} for n in range(40)])
    place.db.events.insert_many([{"at": None}, {"at": [now - timedelta(days=90)]}, {"at": "2001-01-01"}])
    found = seen.look(session)["ttl_overdue", "events"]
    assert found.severity.value == "ERROR"
    assert found.evidence["overdue"] == 9  # those of yesterday may still be there: the next run is due tonight
    assert "has not run here yet" in found.summary
    seen.endings = [ending("skipped", "needs_approval", "waits for a person's approval of this plan")]
    found = seen.look(session)["ttl_overdue", "events"]
    assert (found.severity.value, found.status.value) == ("INFO", "finding")
    assert "waits for a person's approval" in found.summary
    seen.endings = [ending("failed", "error", "the server refused")]
    found = seen.look(session)["ttl_overdue", "events"]
    assert (found.severity.value, found.status.value) == ("ERROR", "finding")
    assert "the server refused" in found.summary
    place.db.events.delete_many({"at": {"$lt": now - timedelta(days=30)}})
    assert how(seen.look(session), "ttl_overdue", "events") == "ok"


def ending(status: str, reason: str, message: str, subject: str = "events") -> dict[str, Any]:
    row = {"subject": subject, "kind": "delete_rows", "status": status, "reason": reason, "message": message}
    at = datetime.now(UTC).isoformat()
    known = {"job": "data_retention", "run_id": "r", "status": "ok", "error": None, "at": at, "usual_seconds": 60.0}
    return {**known, "outcomes": [row]}


def test_the_expiry_of_a_time_series(place: Place, session: MongoSession) -> None:
    seen = looks(SERIES)
    place.db.create_collection("metrics", timeseries={"timeField": "at", "granularity": "seconds"})
    now = datetime.now(UTC)
    place.db.metrics.insert_many([{"at": now - timedelta(hours=n)} for n in range(100)])
    found = seen.look(session)
    assert (how(found, "ttl_missing", "metrics"), how(found, "ttl_overdue", "metrics")) == ("ERROR", "ERROR")
    # one hour is the span of its buckets
    assert found["ttl_overdue", "metrics"].evidence["overdue"] == 100 - 48 - 2
    place.db.command("collMod", "metrics", expireAfterSeconds=3 * 86_400)
    found = seen.look(session)
    assert how(found, "ttl_differs", "metrics") == "ERROR"
    assert "259200, and 172,800 is declared" in found["ttl_differs", "metrics"].summary
    monitor(place, on=False)
    try:
        place.db.command("collMod", "metrics", expireAfterSeconds=2 * 86_400)
        assert how(seen.look(session), "ttl_overdue", "metrics") == "ERROR"
        # retention has just set it: a server that begins to remove what is due is not one that has stalled
        set_now = ending("done", "", "", subject="metrics")
        seen.endings = [set_now]
        early = seen.look(session)["ttl_overdue", "metrics"]
        assert (early.severity.value, early.status.value) == ("INFO", "insufficient_evidence")
        assert "retention has changed the expiry at" in early.summary
        seen.endings = [{**set_now, "at": (now - timedelta(hours=2)).isoformat()}]
        assert how(seen.look(session), "ttl_overdue", "metrics") == "ERROR"
    finally:
        monitor(place, on=True)
    seen.endings = []
    wait_for_passes(place, 2)
    found = seen.look(session)
    assert {how(found, c, "metrics") for c in ("ttl_missing", "ttl_differs", "ttl_overdue")} == {"ok"}


def test_without_the_right_to_look(place: Place) -> None:
    fill(place, expireAfterSeconds=3600)
    admin = place.client.admin
    admin.command("createUser", USER, pwd=USER, roles=[{"role": "read", "db": place.name}])
    try:
        login = place.uri.split("@", maxsplit=1)[0]
        with open_session("mongo", place.uri.replace(login, f"mongodb://{USER}:{USER}")) as limited:
            found = looks().look(limited)
    finally:
        admin.command("dropUser", USER)
    assert how(found, "ttl_disabled", "server") == "not_available"
    assert how(found, "ttl_stalled", "server") == "not_available"
    assert (how(found, "ttl_missing"), how(found, "ttl_overdue")) == ("ok", "ok")


def test_hostile_names_globs_and_strange_kinds(place: Place, session: MongoSession) -> None:
    name = 'a"b; drop'
    fill(place, name, field="meta.x y", expireAfterSeconds=60)
    place.db.create_collection("a_view", viewOn=name, pipeline=[])
    place.db.create_collection("a_series", timeseries={"timeField": "at"})
    seen = looks(
        f"""
'{name}': {{ttl: {{by: meta.x y, after: 1 minute}}}}
a_view: {{ttl: {{by: at, after: 1 minute}}}}
a_series: {{ttl: {{by: at, after: 1 minute}}}}
'no*': {{ttl: {{by: at, after: 1 minute}}}}
"""
    )
    found = seen.look(session)
    assert {how(found, c, name) for c in ("ttl_missing", "ttl_differs", "ttl_overdue", "undated")} == {"ok"}
    assert (how(found, "ttl_missing", "a_view"), how(found, "ttl_missing", "a_series")) == ("ERROR", "ERROR")
    assert how(found, "ttl_missing", "no*") == "WARNING"
