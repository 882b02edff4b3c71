"""How big the next batch is, and how a table is cut into ranges."""

from itertools import pairwise

import pytest

from upkeep.jobs.data_retention.pace import FIRST, LARGEST, MAX_GROWTH, SMALLEST, TARGET_SECONDS, Pace
from upkeep.postgres.data_retention.batches import Removed, Tally


@pytest.mark.parametrize(("rate", "expected"), [(1_000_000, LARGEST), (20_000, 10_000), (100, SMALLEST)])
def test_batches_come_to_take_half_a_second(rate: int, expected: int) -> None:
    pace = Pace()
    for _ in range(50):
        pace.learn(pace.size, pace.size / rate)
    assert pace.size == pytest.approx(expected, rel=0.01)
    if SMALLEST < expected < LARGEST:
        assert pace.size / rate == pytest.approx(TARGET_SECONDS, rel=0.01)


def test_a_batch_grows_step_by_step() -> None:
    pace = Pace(size=1000)
    sizes = [pace.size]
    for _ in range(10):
        pace.learn(pace.size, 0.0001)
        sizes.append(pace.size)
    assert all(later <= earlier * MAX_GROWTH for earlier, later in pairwise(sizes))
    assert sizes[-1] == LARGEST


def test_a_slow_server_is_followed_at_once() -> None:
    pace = Pace(size=LARGEST)
    pace.learn(LARGEST, 50.0)
    assert pace.size == SMALLEST


def test_a_rest_teaches_nothing() -> None:
    pace = Pace()
    pace.learn(3, 0.4)
    assert pace.size == FIRST


def test_after_trouble_it_halves_down_to_the_smallest() -> None:
    pace = Pace(size=1500)
    assert [pace.shrink(), pace.size, pace.shrink(), pace.size, pace.shrink()] == [True, 750, True, 500, False]


def test_hashes_add_up_in_any_order() -> None:
    batches = [Removed(2, 2, 2**63 + 5, 2**63 + 5), Removed(1, 1, 2**64 - 3, 2**64 - 3), Removed(4, 4, 17, 17)]
    forward, backward = Tally(), Tally()
    for one in batches:
        forward.add(one)
    for one in reversed(batches):
        backward.add(one)
    assert forward == backward
    assert forward.hash_source == forward.hash_archive == (2**63 + 5 + 2**64 - 3 + 17) % 2**64
    assert (forward.rows, forward.archived, forward.batches) == (7, 7, 3)
