"""What goes is what a backup's restore held, byte for byte: also while others write, in pieces, to an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.servers import MongoServer
from tests.harness import jobs
from tests.harness.jobs import Run, Runs
from tests.harness.mongo import AT, Place, fresh_place, target
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.contract import go_on
from upkeep.mongo.backup.marks import marks
from upkeep.mongo.data_retention import batches

RULE = "by: meta.at, for: 30 days, requires: {backup: 26 hours}"
NOW = AT + timedelta(minutes=20)
CUT_OFF = NOW - timedelta(days=30)


@pytest.fixture(scope="module")
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "FIRST", 8)
    monkeypatch.setattr("upkeep.jobs.data_retention.pace.Pace.learn", lambda *_: None)


class Backed:
    """Retention of the collection, with the marks of what it held when this was made."""

    def __init__(self, place: Place, how: str) -> None:
        self.place = place
        self.runs = Runs("data_retention", target(f"events: {{retain: {{{how}, {RULE}}}}}", "limits: {share: 100 %}"))
        with place.session() as session:
            self.manifest = Manifest(
                id="b1",
                target="t",
                engine="mongo",
                identity=session.identity,
                database=place.name,
                server_version=session.version,
                tool="none",
                tool_version="1",
                snapshot_at=NOW,
                objects=(Contents(name="events", kind="collection", rows=1),),
            )
        self.marks = marks(jobs.address(place.uri), self.manifest, self.runs.what, Bench(go_on, go_on, None))

    def run(self, **how: Any) -> Run:
        with self.place.session() as session:
            return self.runs.run(session, NOW, backup=self.manifest, marks=self.marks, gate=True, **how)

    def left(self, name: str = "events") -> list[Any]:
        return [one["_id"] for one in self.place.db[name].find().sort("_id")]


def fill(place: Place) -> None:
    """Twenty documents in one hour, then two before and two after the cut-off, and some without a date."""
    place.db.events.drop()
    place.db.kept.drop()
    place.db.events.create_index("meta.at")
    old = datetime(2024, 1, 1, 1, tzinfo=UTC)
    ages = [
        *(old + timedelta(minutes=n // 2) for n in range(20)),
        *(CUT_OFF + timedelta(minutes=n) for n in range(-2, 2)),
    ]
    place.db.events.insert_many({"_id": n, "meta": {"at": at}} for n, at in enumerate(ages))
    place.db.events.insert_many([{"_id": 50, "meta": {"at": [old]}}, {"_id": 51, "meta": {"at": "2024"}}, {"_id": 52}])


KEPT = [22, 23, 50, 51, 52]


def when(calls: int, do: Callable[[], Any]) -> Callable[..., None]:
    """Return a checkpoint that does something at its nth call."""
    seen = [0]

    def checkpoint(*_: Any, **__: Any) -> None:
        seen[0] += 1
        if seen[0] == calls:
            do()

    return checkpoint


def test_pieces_go_while_others_write(place: Place) -> None:
    fill(place)
    done = Backed(place, "then: delete").run()
    assert Backed(place, "then: delete").left() == KEPT, done.outcomes
    assert done.well

    fill(place)
    backed, late = Backed(place, "then: delete"), {"_id": 99, "meta": {"at": datetime(2024, 1, 1, 1, 0, 1, tzinfo=UTC)}}
    calls: list[int] = []
    for number in range(1, 5):  # before the reading: nothing of that hour goes; afterwards: its piece stays
        fill(place)
        found = backed.run(checkpoint=when(number, lambda: place.db.events.insert_one(late)))
        left = backed.left()
        assert 99 in left, number
        assert {*KEPT} <= {*left}
        calls.append(len(left))
        assert found.outcomes[0].status.value == "done"
    assert max(calls) == len(KEPT) + 21
    assert [left for left in calls if len(KEPT) + 1 < left < len(KEPT) + 21], calls
    again = backed.run()
    assert again.outcomes[0].reason_code == "needs_backup", again.outcomes


def test_what_moves(place: Place) -> None:
    fill(place)
    place.db.create_collection("kept")
    backed = Backed(place, "then: archive, into: kept")
    done = backed.run()
    assert backed.left("kept") == [*range(22)], done.outcomes
    assert backed.left() == KEPT
    assert done.well
    fill(place)
    place.db.create_collection("kept")
    place.db.events.update_one({"_id": 20}, {"$set": {"more": 1}})
    done = backed.run()
    assert backed.left("kept") == [*range(20)], done.outcomes
    assert "in the hours from 2024-02-14 12:00" in str(done.outcomes[0].message)
