from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import values
from upkeep.errors import LedgerError
from upkeep.ledger import codec
from upkeep.model import Observation

ZONES = st.one_of(st.none(), st.just(UTC), st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.dates(),
    st.datetimes(timezones=ZONES),
    st.decimals(allow_nan=False),
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_packing_is_undone_by_unpacking(value: Any) -> None:
    assert codec.unpack(codec.pack(value)) == value


def test_an_observation_survives_with_its_types() -> None:
    observation = values.observation(
        target="t",
        engine="postgres",
        job="data_retention",
        identity="postgres:7:1",
        version="17.2",
        at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        frames={
            "partitions": [
                {
                    "subject": 'public."Ünïcode\nname"',
                    "upper": datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2))),
                    "day": date(2026, 2, 28),
                    "ratio": Decimal("0.10"),
                    "rows": 2**63,
                    "naive": datetime(2026, 3, 29, 2, 30),  # noqa: DTZ001 - a column without zone
                    "nothing": None,
                    "looks like one": "2026-10-25T01:30:00+00:00",
                    "nested": {"$date": "kept", "upkeep:other": "kept"},
                }
            ]
        },
    )
    again = Observation.model_validate(codec.unpack(codec.pack(observation.model_dump())))
    assert again == observation
    row = again.frames["partitions"][0]
    assert isinstance(row["looks like one"], str)
    assert row["upper"].utcoffset() == timedelta(hours=2)
    assert row["naive"].tzinfo is None
    assert type(row["day"]) is date


def test_what_cannot_be_recorded_is_named_by_type_not_by_value() -> None:
    with pytest.raises(LedgerError, match="type bytes") as refused:
        codec.pack({"secret": b"hunter2"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\0b", "a\ufffdb"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("whole 😀", "whole 😀"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (1.5, 1.5),
        (True, True),
        (Decimal("0.10"), "0.10"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        ({1: ("x", {"\0": None})}, {"1": ["x", {"\ufffd": None}]}),
    ],
)
def test_cleaning_leaves_only_what_jsonb_holds(value: Any, expected: Any) -> None:
    assert codec.clean(value) == expected
    json.dumps(codec.clean(value), allow_nan=False).encode()
