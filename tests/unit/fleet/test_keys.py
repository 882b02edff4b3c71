"""A key of a target is one module in `upkeep.fleet.policies`, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from upkeep import fleet
from upkeep.errors import ConfigurationError
from upkeep.fleet import policies
from upkeep.model import ENGINES
from upkeep.run import veto

SHINE = """
from typing import ClassVar
from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.values import Length
from upkeep.model.intervals import Duration


class ShinePolicy(TargetPolicy):
    engines: ClassVar[frozenset[str]] = frozenset({"postgres", "redis"})
    everywhere: ClassVar[bool] = EVERYWHERE

    every: Length = Duration(days=1)
    coats: int = 2


POLICY = ShinePolicy
"""
HEAD = "version: 1\ntargets:\n  a:\n    engine: postgres\n    connection: c\n"
Add = Callable[..., None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Give what adds a module to the package of policies, for this test only."""
    added: list[str] = []

    def module(name: str = "shine", *, everywhere: bool = False) -> None:
        (tmp_path / f"{name}.py").write_text(SHINE.replace("EVERYWHERE", str(everywhere)))
        monkeypatch.setattr(policies, "__path__", [*policies.__path__, str(tmp_path)])
        added.append(f"{policies.__name__}.{name}")

    yield module
    for name in added:
        sys.modules.pop(name, None)


def one(text: str = "", engine: str = "postgres") -> fleet.Target:
    return fleet.parse(f"{HEAD.replace('postgres', engine)}{text}").target("a")


def policy(target: fleet.Target) -> fleet.TargetPolicy | None:
    return sys.modules[f"{policies.__name__}.shine"].POLICY.of(target)  # type: ignore[no-any-return]


def test_a_module_is_all_that_a_key_needs(add: Add) -> None:
    add()
    target = one("    shine: {every: 2 hours}\n")
    found = policy(target)
    assert found is not None
    assert str(found.every) == "2 hours"  # type: ignore[attr-defined]
    assert target.policies["shine"] == found
    assert list(target.declared(["shine"])) == ["a"]
    assert list(target.declared(["target.shine", "retain"])) == ["a"]
    assert list(target.declared(["tables.shine", "retain"])) == []
    silent = one()
    assert policy(silent) is None
    assert list(silent.declared(["shine"])) == []
    assert "shine" not in silent.policies
    assert isinstance(target, fleet.Target)
    assert target == one("    shine: {every: 2 hours}\n")


@pytest.mark.parametrize(
    ("text", "engine", "line", "key", "says"),
    [
        ("    shine:\n      evry: 2 hours\n", "postgres", 7, "targets.a.shine.evry", "unknown key 'evry'"),
        ("    shine:\n      every: 2 moons\n", "postgres", 7, "targets.a.shine.every", "not a duration"),
        ("    shine: {}\n", "mongo", 6, "targets.a.shine", "belongs to engine postgres or redis, not mongo; leave it"),
        ("    shine: false\n", "tidb", 6, "targets.a.shine", "belongs to engine postgres or redis, not tidb; leave it"),
        ("    shine: true\n", "postgres", 6, "targets.a.shine", "or false for nothing of it"),
        ("    shine: daily\n", "postgres", 6, "targets.a.shine", "write its keys below it (got 'daily')"),
        ("    shine: []\n", "postgres", 6, "targets.a.shine", "write its keys below it (got [])"),
        ("    shine:\n", "postgres", 6, "targets.a.shine", "{} for the defaults"),
        ("    tables: {t: {shine: {}}}\n", "postgres", 6, "targets.a.tables.t.shine", "is a key of a target; write it"),
        ("    mode: dry\n    shine: {coats: x}\n", "postgres", 7, "targets.a.shine.coats", "integer"),
    ],
)
def test_a_mistake_is_told_as_every_other(add: Add, *, text: str, engine: str, line: int, key: str, says: str) -> None:
    add()
    with pytest.raises(ConfigurationError) as caught:
        fleet.parse(f"{HEAD.replace('postgres', engine)}{text}", "my.yaml")
    *others, told = str(caught.value).splitlines()
    assert len(others) == text.count("dry")
    assert told.startswith(f"my.yaml:{line}: {key}: "), told
    assert says in told


def test_what_holds_everywhere_holds_without_a_word(add: Add) -> None:
    add(everywhere=True)
    assert policy(one()) is not None
    assert policy(one("    shine: {coats: 3}\n")) != policy(one())
    assert policy(one(engine="redis")) is not None
    assert policy(one(engine="mongo")) is None
    assert list(one().declared(["shine"])) == ["a"]
    assert list(one(engine="mongo").declared(["shine"])) == []
    off = one("    shine: false\n")
    assert policy(off) is None
    assert list(off.declared(["shine"])) == []


def test_a_plan_made_without_the_key_is_still_of_the_same_policy(add: Add) -> None:
    text = "    tables: {public.t: {retain: {by: at, for: 30 days, then: delete}}}\n"
    before = veto.policy_of(one(text))
    add(everywhere=True)
    assert veto.policy_of(one(text)) == before
    written = [veto.policy_of(one(f"{text}    shine: {value}\n")) for value in ("{}", "false", "{coats: 3}")]
    assert len({before, *written}) == 4


def test_the_schema_for_editors_shows_it_on_the_target(add: Add) -> None:
    add()
    schema = fleet.json_schema()
    known = schema["$defs"]["Target"]["properties"]
    assert known["shine"]["anyOf"] == [{"$ref": "#/$defs/ShinePolicy"}, {"const": False}]
    assert {"every", "coats"} == {*schema["$defs"]["ShinePolicy"]["properties"]}
    assert known["engine"]["enum"] == [*ENGINES]
    assert "shine" not in schema["$defs"]["Target"]["required"]
    assert schema["properties"]["targets"]["additionalProperties"] == {"$ref": "#/$defs/Target"}


def test_without_its_module_the_key_is_unknown_or_reserved(add: Add) -> None:
    assert "shine" not in json.dumps(fleet.json_schema())
    with pytest.raises(ConfigurationError, match="unknown key 'shine'"):
        one("    shine: {}\n")
    with pytest.raises(ConfigurationError, match="'cache' is reserved for a later job"):
        one("    cache: {}\n")
    add("cache")
    assert list(one("    cache: {}\n").declared(["cache"])) == ["a"]


def test_a_target_without_modules_is_what_it_was() -> None:
    plain = fleet.Target(name="a", engine="postgres", connection="c")
    assert plain.policies == {}
    assert plain.written() == plain.model_dump(mode="json")
