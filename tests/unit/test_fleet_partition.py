"""The ``partition`` part of the fleet file: what it takes, and what it refuses."""

import pytest

from upkeep import fleet
from upkeep.errors import ConfigurationError
from upkeep.fleet import PartitionPolicy
from upkeep.intervals import Duration


def policy(text: str) -> PartitionPolicy:
    lines = ["version: 1", "targets:", "  t:", "    engine: postgres", "    connection: c", "    tables:"]
    found = fleet.parse("\n".join([*lines, f"      public.x: {{partition: {{{text}}}}}"])).target("t")
    known = found.tables["public.x"].partition
    assert known is not None
    return known


def test_defaults_are_safe() -> None:
    known = policy("by: at, every: 1 month, ahead: 3")
    assert (known.every, known.timezone, known.unit, known.from_) == (Duration(months=1), "UTC", None, None)
    assert known.max_creations == 200
    assert known.move_default_rows == 10_000


@pytest.mark.parametrize(
    "text",
    [
        "by: id, every: 1000000, ahead: 2",
        "by: id, every: 1000000, ahead: 2, unit: id",
        "by: at, every: 1 week, ahead: 0, timezone: Europe/Berlin",
        "by: at, every: 1 quarter, ahead: 1, from: 2024-01-01",
        "by: at, every: 1 day, ahead: 1, unit: milliseconds",
        "by: at, every: 1 hour, ahead: 24, move_default_rows: 2 million, max_creations: 50",
    ],
)
def test_possible(text: str) -> None:
    assert policy(text).ahead >= 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every: 1 month, ahead: 3", "'by' is missing"),
        ("by: at, ahead: 3", "'every' is missing"),
        ("by: at, every: 1 month", "'ahead' is missing"),
        ("by: at, every: soon, ahead: 3", "not a duration"),
        ("by: at, every: 0 days, ahead: 3", "longer than nothing"),
        ("by: at, every: 0, ahead: 3", "at least 1"),
        ("by: at, every: true, ahead: 3", "duration"),
        ("by: at, every: 1 month 1 day, ahead: 3", "mixes"),
        ("by: at, every: 1 month, ahead: -1", "greater than or equal to 0"),
        ("by: at, every: 1 month, ahead: 3, timezone: Berlin", "time zone"),
        ("by: at, every: 1000, ahead: 3, unit: seconds", "number of ids"),
        ("by: at, every: 1 day, ahead: 3, unit: id", "whole number"),
        ("by: at, every: 1 day, ahead: 3, max_creations: 0", "greater than or equal to 1"),
        ("by: at, every: 1 day, ahead: 3, premake: 4", "unknown key 'premake'"),
    ],
)
def test_impossible_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"fleet\.yaml:\d+: .*") as caught:
        policy(text)
    assert said in str(caught.value)
