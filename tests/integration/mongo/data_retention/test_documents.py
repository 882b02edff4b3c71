"""Data retention on ordinary collections of a real MongoDB server: exactly what is due goes, or moves."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Decimal128, Int64
from pymongo import IndexModel

from local.servers import MongoServer
from tests.harness.jobs import Run, Runs, undo
from tests.harness.mongo import AT, Place, fresh_place, run, target
from upkeep.errors import OverLimitError
from upkeep.jobs import rooms
from upkeep.jobs.data_retention import pace
from upkeep.model import Severity
from upkeep.mongo.data_retention import batches
from upkeep.mongo.session import MongoSession

JOB = "data_retention"
OLD, NEW = AT - timedelta(days=40), AT - timedelta(days=1)
DELETE = "events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}"
ARCHIVE = "events: {retain: {by: at, for: 30 days, then: archive, into: kept, requires: nothing}}"


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SMALLEST", 7)
    monkeypatch.setattr(batches, "FIRST", 7)
    monkeypatch.setattr(pace, "LARGEST", 7)


def fill(place: Place, old: int = 50, new: int = 20, name: str = "events") -> None:
    documents = [{"_id": n, "at": OLD + timedelta(seconds=n), "text": f"old {n}"} for n in range(old)]
    documents += [{"_id": 1000 + n, "at": NEW, "text": "new"} for n in range(new)]
    place.db[name].insert_many(documents)
    place.db[name].create_index("at", name="by_age")


def ids(place: Place, name: str) -> list[Any]:
    return sorted(d["_id"] for d in place.db[name].find({}, {"_id": 1}))


def test_what_is_due_is_deleted_and_nothing_else(session: MongoSession, place: Place, small_batches: None) -> None:
    fill(place)
    done = run(session, target(DELETE), JOB)
    assert done.well
    assert done.ends == ["done"]
    assert done.outcome("delete_rows").rows == 50
    assert done.outcome("delete_rows").evidence["batches"] == 8
    assert ids(place, "events") == list(range(1000, 1020))
    assert run(session, target(DELETE), JOB).kinds == []


def test_what_is_due_moves_byte_for_byte(session: MongoSession, place: Place, small_batches: None) -> None:
    fill(place)
    odd = {"_id": Int64(5_000), "at": OLD, "n": Decimal128("1.10"), "z": 1.0, "a": {"b": [1, {"c": None}]}, "": "x"}
    place.db.events.insert_one(odd)
    before = {d["_id"]: bytes(d.raw) for d in session.raw("events").find({"at": {"$lt": NEW}})}
    done = run(session, target(ARCHIVE), JOB)
    assert done.well
    assert done.kinds == ["create_archive", "archive_rows"]
    evidence = done.outcome("archive_rows").evidence
    assert (evidence["rows_copied"], evidence["rows_archived"], evidence["rows_deleted"]) == (51, 51, 51)
    assert {d["_id"]: bytes(d.raw) for d in session.raw("kept").find()} == before
    assert ids(place, "events") == list(range(1000, 1020))


def test_documents_without_a_date_are_never_due_and_reported(session: MongoSession, place: Place) -> None:
    fill(place)
    odd = [None, "2001-01-01", 5, [OLD], [OLD, NEW], {"at": OLD}, True, Decimal128("1")]
    place.db.events.insert_many([{"_id": f"odd {n}", "at": value} for n, value in enumerate(odd)] + [{"_id": "none"}])
    done = run(session, target(DELETE), JOB)
    assert done.well
    assert done.outcome("delete_rows").rows == 50
    assert place.db.events.count_documents({}) == 20 + len(odd) + 1
    finding = done.finding("undated")
    assert finding.severity is Severity.WARNING
    assert finding.evidence["documents"] >= 7  # lists of dates have entries of type date


@pytest.mark.parametrize("index", [{}, {"sparse": True}, {"name": "desc"}])
def test_ages_in_nested_fields_and_any_plain_index(session: MongoSession, place: Place, index: dict[str, Any]) -> None:
    place.db.events.insert_many([{"meta": {"at": OLD}, "n": n} for n in range(5)] + [{"meta": {"at": NEW}}, {}])
    place.db.events.create_index([("meta.at", -1 if index.get("name") else 1)], **index)
    done = run(session, target(DELETE.replace("by: at", "by: meta.at")), JOB)
    assert done.well
    assert place.db.events.count_documents({}) == 2
    assert done.finding("undated").evidence["documents"] == 1


def test_lists_of_documents_on_the_way_to_the_age_are_no_age(session: MongoSession, place: Place) -> None:
    place.db.events.insert_many([{"m": [{"at": OLD}, {"at": NEW}]}, {"m": {"at": OLD}}])
    place.db.events.create_index("m.at")
    assert run(session, target(DELETE.replace("by: at", "by: m.at")), JOB).well
    assert [d["m"] for d in place.db.events.find()] == [[{"at": OLD}, {"at": NEW}]]


@pytest.mark.parametrize("then", ["delete", "archive"])
@pytest.mark.parametrize("first", range(4))
def test_lists_of_documents_at_the_edge_of_a_batch_stay(
    session: MongoSession, place: Place, small_batches: None, then: str, first: int
) -> None:
    whole = [{"_id": n, "m": {"b": {"at": OLD + timedelta(seconds=n)}}} for n in range(60)]
    for n in range(first, 60, 4):  # whatever the size of a batch, some edge meets one
        age = OLD + timedelta(seconds=n)
        deep = [{"b": {"at": age}}] if n % 3 else {"b": [{"at": age}, 5]}
        whole.append({"_id": 100 + n, "m": deep if n % 5 else {"b": {"at": [age]}}})
    place.db.events.insert_many(whole)
    place.db.events.create_index("m.b.at")
    policy = (DELETE if then == "delete" else ARCHIVE).replace("by: at", "by: m.b.at")
    done = run(session, target(policy), JOB)
    assert done.well
    assert done.outcome("delete_rows" if then == "delete" else "archive_rows").rows == 60
    assert ids(place, "events") == list(range(100 + first, 160, 4))
    if then == "archive":
        assert ids(place, "kept") == list(range(60))


def test_dates_beyond_pythons_calendar(session: MongoSession, place: Place) -> None:
    from bson.datetime_ms import DatetimeMS  # noqa: PLC0415

    place.db.events.insert_many([{"_id": 1, "at": DatetimeMS(-(10**14))}, {"_id": 2, "at": DatetimeMS(10**15)}])
    place.db.events.create_index("at")
    assert run(session, target(ARCHIVE), JOB).well
    with place.session() as other:
        assert [d["_id"] for d in other.database.events.find()] == [2]
        assert [d["_id"] for d in other.database.kept.find()] == [1]


def test_many_documents_of_one_age_move_in_bounded_batches(
    session: MongoSession, place: Place, small_batches: None
) -> None:
    place.db.events.insert_many([{"at": OLD, "n": n} for n in range(100)])
    place.db.events.create_index("at")
    done = run(session, target(ARCHIVE, "limits: {share: 100 %}"), JOB)
    assert done.well
    assert done.outcome("archive_rows").evidence["batches"] == 15
    assert place.db.kept.count_documents({}) == 100


def test_large_documents_make_small_transactions(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 100_000)
    place.db.events.insert_many([{"at": OLD, "n": n, "text": "x" * 40_000} for n in range(10)])
    place.db.events.create_index("at")
    done = run(session, target(ARCHIVE), JOB)
    assert done.outcome("archive_rows").evidence["batches"] == 4
    assert place.db.kept.count_documents({}) == 10


# -- refused -----------------------------------------------------------------------------------------


def test_a_large_collection_without_an_index_on_the_age_is_refused(session: MongoSession, place: Place) -> None:
    place.db.events.insert_many([{"at": OLD} for _ in range(10_001)])
    place.db.events.create_indexes(
        [
            IndexModel("at", name="partial", partialFilterExpression={"n": 1}),
            IndexModel("at", name="hidden", hidden=True),
            IndexModel([("n", 1), ("at", 1)], name="second"),
        ]
    )
    done = run(session, target(DELETE), JOB)
    assert done.before.stopped_subjects == {"events"}
    assert "keys: {at: 1}" in (done.finding("age_index").remedy or "")
    assert done.outcomes == []


def test_a_small_one_needs_none(session: MongoSession, place: Place, small_batches: None) -> None:
    fill(place)
    place.db.events.drop_index("by_age")
    for policy in (DELETE, ARCHIVE):
        assert run(session, target(policy), JOB).well
        assert ids(place, "events") == list(range(1000, 1020))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"requires: nothing": "requires: approval"}, "expiry_before_approval"),
        ({"requires: nothing": "requires: {backup: 1 day}"}, "expiry_before_backup"),
        ({"then: delete": "then: archive, into: kept"}, "expiry_before_archive"),
    ],
)
def test_a_ttl_index_that_waits_for_nobody_is_refused(
    session: MongoSession, place: Place, change: dict[str, str], check: str
) -> None:
    fill(place)
    place.db.events.create_index("other", name="ttl", expireAfterSeconds=10**9, hidden=True)  # still expires
    policy = DELETE
    for old, new in change.items():
        policy = policy.replace(old, new)
    done = run(session, target(policy), JOB)
    assert done.finding(check).severity is Severity.ERROR
    assert 'dropIndex("ttl")' in (done.finding(check).remedy or "")
    assert done.outcomes == []


@pytest.mark.parametrize(
    ("seconds", "check", "severity"),
    [(86_400 * 365, "expiry_besides", Severity.INFO), (86_400 * 29, "expiry_too_short", Severity.ERROR)],
)
def test_a_ttl_index_beside_a_deleting_policy_is_reported(
    session: MongoSession, place: Place, seconds: int, check: str, severity: Severity
) -> None:
    place.db.events.insert_one({"at": datetime.now(UTC)})
    place.db.events.create_index("at", expireAfterSeconds=seconds)
    assert run(session, target(DELETE), JOB).finding(check).severity is severity


@pytest.mark.since(mongo="6.0")
def test_nan_on_a_ttl_index_is_reported(session: MongoSession, place: Place) -> None:
    place.db.events.insert_one({"at": datetime.now(UTC)})
    place.db.events.create_index("at", expireAfterSeconds=float("nan"))
    assert "nothing ever expires" in run(session, target(DELETE), JOB).finding("expiry_value").summary


def make_capped(place: Place) -> None:
    place.db.create_collection("events", capped=True, size=10_000)
    place.db.events.insert_one({"at": OLD})


def make_view(place: Place) -> None:
    place.db.command("create", "events", viewOn="other", pipeline=[])


def make_series_archive(place: Place) -> None:
    fill(place)
    place.db.create_collection("kept", timeseries={"timeField": "at"})


def make_expiring_archive(place: Place) -> None:
    fill(place)
    place.db.kept.create_index("at", expireAfterSeconds=5)


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (make_capped, "kind"),
        (make_view, "kind"),
        (make_series_archive, "archive_drift"),
        (make_expiring_archive, "archive_expires"),
    ],
)
def test_other_shapes_are_refused(
    session: MongoSession, place: Place, make: Callable[[Place], None], check: str
) -> None:
    make(place)
    done = run(session, target(ARCHIVE), JOB)
    assert done.finding(check).remedy
    assert done.outcomes == []


def test_a_wrong_age_field_deletes_nothing(session: MongoSession, place: Place) -> None:
    fill(place)
    done = run(session, target(DELETE.replace("by: at", "by: att")), JOB)
    assert done.before.stopped_subjects == {"events"}
    assert done.outcomes == []


def test_a_missing_collection_fails_alone(session: MongoSession, place: Place) -> None:
    fill(place)
    done = run(session, target(DELETE + "\n" + DELETE.replace("events", "nowhere")), JOB)
    assert done.before.stopped_subjects == {"nowhere"}
    assert done.ends == ["done"]


def test_more_than_the_limits_allow_waits_for_a_person(session: MongoSession, place: Place) -> None:
    fill(place, old=90, new=10)
    (action,) = run(session, target(DELETE), JOB, apply=False).plan.actions
    assert action.over_limit == "about 90% of the table would go, the limit is 80%"
    assert action.needs_person


def test_a_past_instant_deletes_no_more_and_a_future_one_neither(session: MongoSession, place: Place) -> None:
    now = datetime.now(UTC)
    place.db.events.insert_many([{"at": AT - timedelta(days=31)}, {"at": now - timedelta(days=31)}, {"at": now}])
    place.db.events.create_index("at")
    (action,) = run(session, target(DELETE), JOB, at=AT, apply=False).plan.actions
    assert action.rows == 1
    (action,) = run(session, target(DELETE), JOB, at=now + timedelta(days=900), apply=False).plan.actions
    assert action.rows == 2


# -- in the middle -----------------------------------------------------------------------------------


def test_an_equal_document_in_the_archive_is_fine(session: MongoSession, place: Place, small_batches: None) -> None:
    fill(place)
    place.db.kept.insert_many(place.db.events.find({"_id": {"$lt": 10}}))
    done = run(session, target(ARCHIVE), JOB)
    assert done.well
    assert done.outcome("archive_rows").evidence["archived_before"] == 10
    assert ids(place, "kept") == list(range(50))


@pytest.mark.parametrize("policy", ["DELETE", "ARCHIVE"])
def test_ages_that_many_share_and_lists_among_them(
    session: MongoSession, place: Place, small_batches: None, policy: str
) -> None:
    sizes = [1, 20, 3, 7, 6, 8, 1, 1, 14, 2]
    due = [
        {"_id": f"{age}-{n}", "at": OLD + timedelta(seconds=age)} for age, size in enumerate(sizes) for n in range(size)
    ]
    lists = [{"_id": f"list {n}", "at": [OLD + timedelta(seconds=n % 10), NEW]} for n in range(25)]
    place.db.events.insert_many(due + lists)
    place.db.events.create_index("at", name="by_age")
    done = run(session, target({"DELETE": DELETE, "ARCHIVE": ARCHIVE}[policy]), JOB)
    assert done.well
    assert ids(place, "events") == sorted(d["_id"] for d in lists)
    assert ids(place, "kept") == ([] if policy == "DELETE" else sorted(d["_id"] for d in due))
    (outcome,) = (o for o in done.outcomes if o.rows)
    assert outcome.rows == sum(sizes)


def test_another_document_under_the_same_id_stops_the_work(
    session: MongoSession, place: Place, small_batches: None
) -> None:
    fill(place)
    place.db.kept.insert_one({"_id": 20, "at": OLD, "text": "secret"})
    done = run(session, target(ARCHIVE), JOB)
    outcome = done.outcome("archive_rows")
    assert (outcome.status, outcome.reason_code, outcome.rows) == ("failed", "conservation_violated", 18)
    assert "secret" not in str(outcome)
    assert sorted(ids(place, "events") + ids(place, "kept")) == sorted([*range(50), 20, *range(1000, 1020)])


def test_a_unique_index_or_validator_of_the_archive_that_refuses_loses_nothing(
    session: MongoSession, place: Place
) -> None:
    fill(place)
    place.db.kept.create_index("text", unique=True)
    place.db.kept.insert_one({"_id": "other", "text": "old 3"})
    done = run(session, target(ARCHIVE), JOB)
    assert "unique index text_1" in (done.outcome("archive_rows").message or "")
    place.db.kept.drop()
    place.db.create_collection("kept", validator={"n": {"$exists": True}})
    done = run(session, target(ARCHIVE), JOB)
    assert "validator" in (done.outcome("archive_rows").message or "")
    assert len(ids(place, "events")) == 70
    assert ids(place, "kept") == []


class Meanwhile:
    """A checkpoint that lets something happen once, between two batches."""

    def __init__(self, do: Callable[[], object], after: int = 3) -> None:
        self.do, self.left = do, after

    def __call__(self, message: str = "", *, rows: int = 0) -> None:
        self.left -= 1
        if self.left == 0:
            self.do()


@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_what_becomes_younger_stays_and_what_arrives_late_is_counted(
    session: MongoSession, place: Place, small_batches: None, policy: str
) -> None:
    fill(place)

    def change() -> None:
        place.db.events.update_one({"_id": 49}, {"$set": {"at": NEW}})
        place.db.events.insert_one({"_id": "late", "at": OLD - timedelta(days=1)})

    done = run(session, target(policy), JOB, checkpoint=Meanwhile(change))
    assert done.well
    assert set(place.db.events.distinct("_id")) == {49, *range(1000, 1020)}


def test_a_document_changed_during_its_transaction_moves_as_it_is_then(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place, old=5, new=10)
    real = batches.Sweep._within
    calls = []

    def within(self: Any, own: Any, low: Any, *, compare: bool) -> Any:
        calls.append(1)
        if len(calls) == 1:
            session.raw("kept").find_one(session=own)  # the snapshot is taken
            place.db.events.update_one({"_id": 2}, {"$set": {"text": "changed"}})
            place.db.events.update_one({"_id": 3}, {"$set": {"at": NEW}})
        return real(self, own, low, compare=compare)

    monkeypatch.setattr(batches.Sweep, "_within", within)
    assert run(session, target(ARCHIVE), JOB).well
    assert len(calls) > 1
    assert place.db.kept.find_one({"_id": 2})["text"] == "changed"
    assert ids(place, "kept") == [0, 1, 2, 4]
    assert 3 in ids(place, "events")


def test_paused_between_two_batches_and_going_on(session: MongoSession, place: Place, small_batches: None) -> None:
    fill(place)

    def pause() -> None:
        raise OverLimitError("paused")

    with pytest.raises(OverLimitError):
        run(session, target(ARCHIVE), JOB, checkpoint=Meanwhile(pause, after=6))
    moved = len(ids(place, "kept"))
    assert 0 < moved < 50
    assert moved + len(ids(place, "events")) == 70
    assert run(session, target(ARCHIVE), JOB).well
    assert ids(place, "kept") == list(range(50))


def test_another_collection_of_the_same_name_is_left_alone(session: MongoSession, place: Place) -> None:

    fill(place)
    planned = run(session, target(DELETE), JOB, apply=False)
    place.db.events.drop()
    fill(place)
    runs = Runs(JOB, target(DELETE))
    outcome = runs.apply(session, planned.plan.actions[0], runs.observe(session, AT))
    assert outcome.reason_code == "state_changed"
    assert len(ids(place, "events")) == 70


def carried_out(session: MongoSession, planned: Run, wanted: str, **changed: Any) -> Any:
    """Apply the plan's destructive action later, with some of its args narrowed."""
    (action,) = (a for a in planned.plan.actions if a.destructive)
    narrowed = action.model_copy(update={"args": {**action.args, **changed}})
    runs = Runs(JOB, target(wanted))
    return runs.apply(session, narrowed, runs.observe(session, AT))


@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_an_approval_takes_what_the_narrowed_cut_off_says(session: MongoSession, place: Place, policy: str) -> None:
    fill(place)
    place.db.create_collection("kept")
    planned = run(session, target(policy), JOB, apply=False)
    outcome = carried_out(session, planned, policy, cut_off=(OLD + timedelta(seconds=7)).isoformat())
    assert (outcome.status, outcome.rows) == ("done", 7)
    assert ids(place, "events")[0] == 7
    assert len(ids(place, "kept")) == (7 if policy == ARCHIVE else 0)


def test_an_archive_made_anew_since_the_plan_takes_nothing(session: MongoSession, place: Place) -> None:
    fill(place)
    place.db.kept.insert_one({"_id": "of last month", "at": OLD})
    planned = run(session, target(ARCHIVE), JOB, apply=False)
    place.db.kept.drop()
    place.db.create_collection("kept")
    outcome = carried_out(session, planned, ARCHIVE)
    assert outcome.reason_code == "state_changed"
    assert "dropped and made anew" in (outcome.message or "")
    assert len(ids(place, "events")) == 70


def test_an_intent_is_the_object_and_the_effect_and_no_cut_off(session: MongoSession, place: Place) -> None:
    """By it an approved plan is found again in what today's fleet file yields."""
    fill(place)
    intents: dict[str, list[Any]] = {}

    def plan(name: str, policy: str) -> None:
        (action,) = (a for a in run(session, target(policy), JOB, apply=False).plan.actions if a.destructive)
        intents[name] = [action.intent, action.reach]

    plan("planned", DELETE)
    place.db.events.insert_one({"at": OLD})
    plan("more rows", DELETE)
    plan("longer", DELETE.replace("30 days", "35 days"))
    plan("archive", ARCHIVE)
    place.db.create_collection("kept")
    plan("archive is made", ARCHIVE)
    plan("another archive", ARCHIVE.replace("kept", "stored"))
    place.db.events.create_index("seen")
    place.db.events.insert_one({"seen": OLD})
    plan("another field", DELETE.replace("by: at", "by: seen"))
    place.db.events.drop()
    fill(place)
    plan("made anew", DELETE)
    planned, reach = intents["planned"]
    assert intents["more rows"] == [planned, reach]
    assert intents["longer"][0] == planned
    assert intents["longer"][1] == reach - 5 * 86_400_000
    assert intents["archive"] == intents["archive is made"]
    others = ("archive", "another archive", "another field", "made anew")
    assert len({planned, *(intents[name][0] for name in others)}) == 5


def test_a_lagging_member_is_waited_for(
    session: MongoSession, place: Place, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lags = iter([None, 30.0, 12.0, 0.5])
    monkeypatch.setattr("upkeep.mongo.catalog.replication_lag", lambda _: next(lags, None))
    monkeypatch.setattr("upkeep.mongo.data_retention.batches.LOOK_SECONDS", 0.0)
    fill(place)
    said = []

    def checkpoint(message: str = "", *, rows: int = 0) -> None:
        said.append(message)

    done = run(session, target(DELETE), JOB, checkpoint=checkpoint)
    assert done.outcome("delete_rows").evidence["waited_seconds"] == 3.0
    assert [s for s in said if s] == [f"waiting: a member is {n} s behind" for n in (30, 12)]


def test_globs_take_what_is_there(session: MongoSession, place: Place) -> None:
    for name in ("log_a", "log_b", "log_kept", "other"):
        fill(place, name=name)
    policy = ARCHIVE.replace("events", "log_*").replace("kept", "log_kept")
    done = run(session, target(policy), JOB)
    assert [a.subject for a in done.plan.actions] == ["log_a", "log_b"]


def test_undo_says_what_it_cannot(session: MongoSession, place: Place) -> None:

    fill(place)
    done = run(session, target(ARCHIVE), JOB)
    job = rooms.job(JOB, "mongo")
    assert job is not None
    for action in done.plan.actions:
        undone = undo(job, session, action, done.outcome(action))
        assert undone.reason_code == "not_supported"
        assert undone.message
