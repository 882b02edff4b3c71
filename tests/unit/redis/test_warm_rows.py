"""Of a row a key and a value are made: always the same ones, and none where a column says nothing."""

from __future__ import annotations

import json
import math
from datetime import time
from decimal import Decimal
from typing import Any

import pytest

from upkeep.fleet.policies.warm import WarmEntry
from upkeep.jobs.errors import ActionError
from upkeep.jobs.reading import select_of
from upkeep.redis.cache_warming.memory import refusal
from upkeep.redis.cache_warming.rows import Rows, key_of, plain, value_of
from upkeep.redis.cache_warming.store import life, steps


def entry(**more: Any) -> WarmEntry:
    said = {"from": "s", "query": "README.md", "key": "k:{a}:{b}", "ttl": "1 hour", "budget": 2000, **more}
    return WarmEntry.model_validate(said)


def take(rows: list[dict[str, Any]]) -> Rows:
    taken = Rows(entry())
    taken.take(rows)
    taken.refuse_unseen()
    return taken


def test_a_key_has_the_words_of_the_value_without_quotes() -> None:
    make = key_of("k{{}}:{a}")
    said = [(True, "true"), (1, "1"), (1.5, "1.5"), (Decimal("1.50"), "1.50"), ("ü:", "ü:"), (b"\0", "AA==")]
    for value, word in said:
        assert make({"a": value}) == f"k{{}}:{word}".encode()
    assert make({"a": [1, "x"]}) == b'k{}:[1,"x"]'
    assert make({"a": None}) is make({}) is None


def test_a_value_is_the_same_whatever_the_order_and_always_json() -> None:
    assert (
        value_of({"b": 1, "a": time(1, 2)}, ()) == value_of({"a": time(1, 2), "b": 1}, ()) == b'{"a":"01:02:00","b":1}'
    )
    assert value_of({"a": 1, "b": 2, "c": 3}, ("c", "a", "none")) == b'{"a":1,"c":3,"none":null}'
    assert plain([math.nan, math.inf, -0.0, 2**70, (1,), {"x": Decimal("1E+2")}]) == [
        *("nan", "inf", -0.0, 2**70, [1], {"x": "1E+2"})
    ]
    assert json.loads(value_of({"a": "\ud800"}, ()).decode("utf-8", "surrogatepass")) == {"a": "\ud800"}


def test_twins_too_many_bytes_and_columns_that_are_nowhere_are_refused_without_values() -> None:
    for rows, said in (
        ([{"a": "Secret", "b": 1}] * 2, "two rows have the same key: a, b do not tell them apart"),
        ([{"a": "Secret", "b": n} for n in range(9)], "more than the budget"),
        ([{"a": "Secret"}, {"a": None, "c": 1}], "returns no column b"),
    ):
        with pytest.raises(ActionError, match=said) as caught:
            take(rows)
        assert "Secret" not in str(caught.value)
    taken = take([{"a": 1, "b": 2}, {"a": None, "b": 1}, {"a": 1}])
    assert (len(taken.found), taken.left_out) == (1, 2)


def test_keys_live_a_tenth_more_or_less_and_always_as_long() -> None:
    lives = [life(str(n).encode(), 100) for n in range(1000)]
    assert min(lives) >= 90_000
    assert max(lives) <= 110_000
    assert len({*lives}) > 900
    assert lives == [life(str(n).encode(), 100) for n in range(1000)]


def test_portions_are_bounded_and_whole() -> None:
    pairs = [(b"k", b"x" * size) for size in (1, 9, 1, 1, 1, 50, 1)]
    found = [*steps(pairs, most=2, most_bytes=12)]
    assert [len(portion) for portion in found] == [2, 2, 1, 1, 1]
    assert [pair for portion in found for pair in portion] == pairs


def test_memory_is_refused_above_four_fifths_of_what_is_free() -> None:
    assert refusal({"limit": 1000, "used": 500}, 400) is None
    assert "at most 80%" in (refusal({"limit": 1000, "used": 500}, 401) or "")
    assert "maxmemory 0" in (refusal({"limit": 0, "used": 500}, 0) or "")


@pytest.mark.parametrize("text", ["delete from a", "", "-- select", "/*! select */ 1", "select 1 into outfile 'x'"])
def test_no_select_is_refused(text: str) -> None:
    with pytest.raises(ActionError, match="no SELECT that only reads"):
        select_of(text)


def test_a_select_is_taken_with_comments_before_and_without_its_end() -> None:
    assert select_of("-- a;\n/* b */\nSELECT 1; \n") == "SELECT 1"
    assert select_of("with a as (select 1) select * from a") == "with a as (select 1) select * from a"
