"""The Redis part of the sample fleet: loaded once, put in order with nothing to ask."""

from collections.abc import Iterator

import pytest

from local.sample import redis as sample
from local.servers import RedisServer
from tests.harness.redis import Place, fresh_place, run
from upkeep import fleet, settings


@pytest.fixture(scope="module")
def place(redis_server: RedisServer) -> Iterator[Place]:
    with fresh_place(redis_server) as made:
        assert sample.load_into(made.admin_uri) is True
        yield made


def test_put_in_order_without_asking_anybody(place: Place) -> None:
    target = fleet.load(settings.include_dir() / "fleet.yaml").targets["cache"]
    before = {name: place.client.xlen(name) for name in (sample.NOTIFICATIONS, sample.ESCALATIONS)}
    assert before[sample.NOTIFICATIONS] > 1_000
    with place.session() as session:
        done = run(session, target)
        assert done.well
        assert not [a for a in done.plan.actions if a.needs_person or a.blocked]
        assert done.checks == ["held_by_group"]
        assert done.finding("held_by_group").subject == sample.ESCALATIONS
        assert (done.outcome(sample.NOTIFICATIONS).rows or 0) > 500
        assert done.outcome(sample.ESCALATIONS).rows == before[sample.ESCALATIONS] // 2
        assert run(session, target).plan.actions == ()


def test_loading_again_changes_nothing_and_a_reset_loads_afresh(place: Place) -> None:
    length = place.client.xlen(sample.NOTIFICATIONS)
    place.client.xtrim(sample.NOTIFICATIONS, maxlen=5, approximate=False)
    assert sample.load_into(place.admin_uri) is False
    assert place.client.xlen(sample.NOTIFICATIONS) == 5
    assert sample.load_into(place.admin_uri, reset=True) is True
    assert place.client.xlen(sample.NOTIFICATIONS) >= length
