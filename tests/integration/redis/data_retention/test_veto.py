"""Today's policy wins on Redis too: a plan that waited is held against today's fleet file and stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.servers import RedisServer
from tests.harness.command_line import Upkeep, closed_window, code
from tests.harness.redis import Place, fresh_place
from upkeep.redis import session

FLEET = """\
version: 1
targets:
  cache:
    engine: redis
    connection: cache
    mode: enforce
    streams:
      s: {retain: {for: 30 days, then: delete}}
      other: {retain: {for: 30 days, then: delete}}
"""


@pytest.fixture
def place(redis_server: RedisServer) -> Iterator[Place]:
    with fresh_place(redis_server) as made:
        made.client.xadd("other", {"a": 1})
        yield made


@pytest.fixture
def upkeep(place: Place, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_CACHE", place.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    return Upkeep(tmp_path / "fleet.yaml", FLEET)


def add_old(place: Place, count: int) -> None:
    """Add entries that are due; their ids follow the last one."""
    first = int((datetime.now(UTC) - timedelta(days=35)).timestamp() * 1000)
    with place.client.pipeline(transaction=False) as pipe:
        for n in range(count):
            pipe.xadd("s", {"n": n}, id=f"{first + n}-0")
        pipe.execute()


def nothing(place: Place) -> None:
    """Leave it as it is."""


def lives_on(place: Place) -> None:
    for n in range(200):
        place.client.xadd("s", {"n": n})
    place.client.xgroup_create("s", "new", id="$")


def trimmed(place: Place) -> None:
    place.client.xtrim("s", minid=place.ids("s")[10], approximate=False)


@pytest.mark.parametrize(("change", "rows"), [(nothing, 50), (lives_on, 50), (trimmed, 40)])
def test_an_unchanged_plan_goes_through_and_counts_once(
    place: Place, upkeep: Upkeep, change: Callable[[Place], None], rows: int
) -> None:
    place.fill("s")
    plan_id = upkeep.plan()
    change(place)
    there = place.client.xlen("s")
    done = upkeep.approve(plan_id)
    assert (done["status"], code(done), done["exit"]) == ("ok", "done", 0)
    assert place.client.xlen("s") == there - rows
    assert upkeep("run", "data_retention", "--approve", plan_id).exit_code == 1


NOES = [
    pytest.param(("mode: enforce", "mode: observe"), "observe_only", id="observe"),
    pytest.param(("mode: enforce", closed_window()), "outside_window", id="window"),
    pytest.param(("30 days", "5 years"), "state_changed", id="longer"),
    pytest.param(("      s:", "      elsewhere:"), "state_changed", id="no policy"),
    pytest.param(("then: delete", "then: delete, requires: {backup: 1 day}"), "needs_backup", id="backup"),
]


@pytest.mark.parametrize(("change", "reason"), NOES)
def test_a_no_of_todays_fleet_file_keeps_every_entry(
    place: Place, upkeep: Upkeep, change: tuple[str, str], reason: str
) -> None:
    place.fill("s")
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace(*change, 1)
    assert code(upkeep.approve(plan_id)) == reason
    assert place.client.xlen("s") == 70


def made_anew(place: Place) -> None:
    place.client.delete("s")
    place.fill("s", old=100, new=0)


def now_a_list(place: Place) -> None:
    place.client.delete("s")
    place.client.rpush("s", *range(70))


def without_times(place: Place) -> None:
    place.client.delete("s")
    for n in range(100):
        place.client.xadd("s", {"n": n}, id=f"{n + 1}-0")


def needed(place: Place) -> None:
    place.client.xgroup_create("s", "reader", id="0")


@pytest.mark.parametrize("change", [made_anew, now_a_list, without_times, needed])
def test_a_stream_that_is_another_or_needed_by_now_keeps_every_entry(
    place: Place, upkeep: Upkeep, change: Callable[[Place], None]
) -> None:
    place.fill("s")
    plan_id = upkeep.plan()
    change(place)
    there = place.client.object("encoding", "s"), place.client.memory_usage("s")
    done = upkeep.approve(plan_id)
    assert code(done) in ("state_changed", "gate_failed", "not_supported")
    assert (place.client.object("encoding", "s"), place.client.memory_usage("s")) == there


def test_a_longer_age_takes_only_what_both_take(place: Place, upkeep: Upkeep) -> None:
    place.fill("s", new=0)
    add_old(place, 20)
    place.client.xadd("s", {"a": 1})
    plan_id = upkeep.run()["plan_id"]
    upkeep.text = FLEET.replace("30 days", "38 days")
    assert code(upkeep.approve(plan_id)) == "done"
    assert place.client.xlen("s") == 21


def test_a_shorter_age_takes_no_more(place: Place, upkeep: Upkeep) -> None:
    place.fill("s")
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace("30 days", "1 minute")
    upkeep.approve(plan_id)
    assert place.client.xlen("s") == 20


@pytest.mark.parametrize(("more", "goes"), [(1_000, True), (1_500, False)])
def test_entries_that_arrive_later_are_counted(place: Place, upkeep: Upkeep, more: int, goes: bool) -> None:
    place.only(since=7)  # before, it stops when the last entry of its plan is gone: the rest is the next run's
    place.fill("s", new=0)
    plan_id = upkeep.run()["plan_id"]
    add_old(place, more)
    done = upkeep.approve(plan_id)
    left = place.client.xlen("s")
    assert (left == 0) is goes
    assert left >= (0 if goes else more - 1_000)
    assert code(done) == ("done" if goes else "over_limit")


def test_an_untested_version_is_only_observed(place: Place, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fill("s")
    upkeep.text = FLEET.replace("then: delete", "then: delete, requires: nothing")
    monkeypatch.setattr(session, "TESTED_VERSIONS", ("6.9",))
    assert code(upkeep.run()) == "observe_only"
    assert place.client.xlen("s") == 70
    upkeep.text = upkeep.text.replace("mode: enforce", "allow_untested: true")
    assert code(upkeep.run()) == "done"
    assert place.client.xlen("s") == 20
