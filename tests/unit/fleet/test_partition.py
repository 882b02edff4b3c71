"""The ``partition`` part of the fleet file: what it takes, and what it refuses."""

import json
from typing import Any

import pytest

from upkeep import fleet
from upkeep.errors import ConfigurationError
from upkeep.fleet import HashLevel, HashPolicy, ListPolicy, PartitionPolicy
from upkeep.model.intervals import Duration


def table(text: str, engine: str = "postgres") -> fleet.TablePolicy:
    lines = ["version: 1", "targets:", "  t:", f"    engine: {engine}", "    connection: c", "    tables:"]
    return fleet.parse("\n".join([*lines, f"      public.x: {{{text}}}"])).target("t").tables["public.x"]


def policy(text: str) -> PartitionPolicy:
    known = table(f"partition: {{{text}}}").partition
    assert isinstance(known, PartitionPolicy)
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


LISTS = "by: region, list: {eu: [eu-west-1, eu-central-1], us: [us-east-1], nowhere: [null]}"


def test_list_hash_and_sub_partitions() -> None:
    listed = table(f"partition: {{{LISTS}, default: true, subpartition: {{by: server_id, modulus: 4}}}}").partition
    assert isinstance(listed, ListPolicy)
    assert listed.lists["nowhere"] == (None,)
    assert (listed.default, listed.max_creations, listed.move_default_rows) == (True, 200, 10_000)
    assert isinstance(listed.subpartition, HashLevel)
    hashed = table("partition: {by: id, modulus: 2, subpartition: {by: at, every: 1 month, ahead: 3}}").partition
    assert isinstance(hashed, HashPolicy)
    ranged = policy("by: at, every: 1 month, ahead: 3, subpartition: {by: k, list: {a: [1, 1.5, true, 2024-01-01]}}")
    assert isinstance(ranged.subpartition, fleet.ListLevel)
    assert [type(v).__name__ for v in ranged.subpartition.lists["a"]] == ["int", "float", "bool", "date"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("by: k, list: {}", "at least 1 item"),
        ("by: k, list: {a: []}", "no value"),
        ("by: k, list: {a: x}", "not a list of values"),
        ("by: k, list: {a: [[x]]}", "is not one value"),
        ("by: k, list: {a: [x, x]}", "again in a"),
        ("by: k, list: {a: [x], b: [y, x]}", "x is in a and again in b"),
        ("by: k, list: {no: [x]}", "write it in quotes"),
        ("by: k, list: {a: [x]}, every: 1 month", "every: belongs to range partitions"),
        ("by: k, list: {a: [x]}, modulus: 4", "modulus: belongs to hash partitions"),
        ("by: k, list: {a: [x]}, defualt: true", "unknown key 'defualt'"),
        ("by: k, modulus: 0", "greater than or equal to 1"),
        ("by: k, modulus: 4, ahead: 3", "ahead: belongs to range partitions"),
        ("by: k, modulus: 4, default: true", "hash partitions have no default partition"),
        ("modulus: 4", "'by' is missing"),
        ("by: k, modulus: 4, subpartition: {by: k, modulus: 8}", "raise modulus, or name another column"),
        ("by: at, every: 1 year, ahead: 1, subpartition: {by: at, every: 1 month, ahead: 3}", "choose one length"),
        ("by: k, modulus: 2, subpartition: {by: a, modulus: 2, subpartition: {by: b, modulus: 2}}", "one level"),
        ("by: k, modulus: 2, subpartition: {by: a, modulus: 2, max_creations: 9}", "write it beside subpartition"),
        ("by: k, modulus: 2, max_creations: 4, subpartition: {by: a, modulus: 4}", "is more than 4 tables; raise it"),
        ("by: k, modulus: 2, subpartition: {by: a, every: 1 month}", "'ahead' is missing"),
    ],
)
def test_impossible_lists_and_hashes_are_said(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"fleet\.yaml:7: targets\.t\.tables\.public\.x\.partition") as caught:
        table(f"partition: {{{text}}}")
    assert said in str(caught.value)
    assert " form" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"partition: {{{LISTS}}}, retain: {{for: 30 days, then: delete}}", "partitions by list tell no age"),
        ("partition: {by: k, modulus: 4}, retain: {by: at, for: 30 days, then: delete}", "write precision: row"),
    ],
)
def test_retention_needs_an_age(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"fleet\.yaml:7: ") as caught:
        table(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        (f"partition: {{{LISTS}, subpartition: {{by: at, every: 1 day, ahead: 1}}}}, retain: {{R}}", "at"),
        ("partition: {by: k, modulus: 4}, retain: {by: at, precision: row, R}", "at"),
        ("partition: {by: day, every: 1 day, ahead: 1, subpartition: {by: k, modulus: 2}}, retain: {R}", "day"),
    ],
)
def test_the_age_column_is_the_one_of_the_ranges(text: str, age: str) -> None:
    assert table(text.replace("R}", "for: 30 days, then: delete}")).age_column == age


@pytest.mark.parametrize(
    "text", ["by: k, modulus: 4", "by: at, every: 1 day, ahead: 1, subpartition: {by: k, modulus: 2}"]
)
def test_elsewhere_only_ranges(text: str) -> None:
    with pytest.raises(ConfigurationError, match="on engine postgres only"):
        table(f"partition: {{{text}}}", engine="tidb")


def test_the_schema_knows_every_form() -> None:
    schema: dict[str, Any] = fleet.json_schema()
    text = json.dumps(schema["$defs"]["TablePolicy"]["properties"]["partition"])
    assert all(f"/{name}" in text for name in ("PartitionPolicy", "ListPolicy", "HashPolicy"))
    assert {"list", "default", "subpartition", "max_creations"} <= set(schema["$defs"]["ListPolicy"]["properties"])
    assert "max_creations" not in schema["$defs"]["HashLevel"]["properties"]
