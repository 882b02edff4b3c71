"""Where the bounds of a converted table's partition lie: examples."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from upkeep.fleet import RangeLevel
from upkeep.jobs.partition_creation.axis import Axis
from upkeep.postgres.partition_creation.conversion.checks import of_dependents
from upkeep.postgres.partition_creation.conversion.judgement import APPROVAL, PROOF, room, span

ZONED = Axis("timestamptz", ZoneInfo("UTC"))
BERLIN = Axis("timestamptz", ZoneInfo("Europe/Berlin"))
IDS = Axis("int8", ZoneInfo("UTC"), "id")


def at(text: str) -> int:
    return ZONED.of(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("axis", "every", "now", "lowest", "highest", "expected"),
    [
        (ZONED, "1 month", "2024-02-15", "2023-11-07", "2024-02-15", "2023-11-01 to 2024-04-01"),
        (ZONED, "1 month", "2024-02-15", None, None, "2024-02-01 to 2024-04-01"),  # empty
        (ZONED, "1 month", "2024-02-28 12:00", "2024-01-01", None, "2024-01-01 to 2024-05-01"),  # March at the latest
        (ZONED, "1 month", "2024-02-15", "2024-05-01", "2024-05-31", "2024-02-01 to 2024-07-01"),  # all rows ahead
        (ZONED, "1 month", "2024-02-15", "2024-02-01", "3000-06-30", "2024-02-01 to 3000-08-01"),
        (ZONED, "1 hour", "2024-02-15 10:30", "2024-02-15", None, "2024-02-15 to 2024-02-17 12:00"),
        (ZONED, "1 year", "2024-12-30 12:00", "2020-05-05", None, "2020-01-01 to 2027-01-01"),
        (BERLIN, "1 month", "2024-02-28 23:30", "2024-02-29 23:30", None, "2024-01-31 23:00 to 2024-04-30 22:00"),
    ],
)
def test_on_axes_of_time(  # noqa: PLR0917 - a row of the table
    axis: Axis, every: str, now: str, lowest: str | None, highest: str | None, expected: str
) -> None:
    part = RangeLevel.model_validate({"by": "at", "every": every, "ahead": 3})
    found = span(axis, part, at(now), at(lowest) if lowest else None, at(highest) if highest else None)
    texts = [ZONED.write(value).removesuffix("+00:00").removesuffix(":00").removesuffix(" 00:00") for value in found]
    assert " to ".join(texts) == expected


@pytest.mark.parametrize(
    ("position", "lowest", "highest", "ahead", "expected"),
    [
        (0, None, None, 0, (0, 200)),
        (0, None, None, 1, (0, 200)),
        (150, 1, 150, 1, (0, 300)),
        (199, 1, 199, 1, (0, 300)),
        (200, 1, 200, 1, (0, 400)),
        (200, 1, 200, 5, (0, 800)),  # as many periods as the policy says that a run must be ahead
        (10, -250, 7, 1, (-300, 200)),
        (10, 5, 10_000, 1, (0, 10_200)),
    ],
)
def test_on_ids(position: int, lowest: int | None, highest: int | None, ahead: int, expected: tuple[int, int]) -> None:
    part = RangeLevel.model_validate({"by": "id", "every": 100, "ahead": ahead})
    assert tuple(span(IDS, part, position, lowest, highest)) == expected
    assert room(IDS, part) == 50 * max(ahead, 1)


def test_writers_have_a_day_while_the_rows_are_checked() -> None:
    """However short a period is: the CHECK must not refuse those who follow the clock."""
    part = RangeLevel.model_validate({"by": "at", "every": "1 hour", "ahead": 30})
    now = at("2024-02-15 10:30")
    assert span(ZONED, part, now, None, None).upper - now > APPROVAL + room(ZONED, part)
    assert room(ZONED, part) == PROOF == 24 * 3_600_000_000


def test_each_kind_of_dependent_is_one_reason() -> None:
    known = [{"kind": "view", "name": "a"}, {"kind": "view", "name": "b"}, {"kind": "foreign key", "name": "f of o"}]
    assert [r.reason for r in of_dependents(known)] == ["view a, b depends on it", "foreign key f of o points to it"]
