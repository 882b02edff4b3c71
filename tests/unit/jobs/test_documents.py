"""Checks over documents: each alone, and what cannot be made says why."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from upkeep import fleet
from upkeep.jobs.checks import Seen
from upkeep.jobs.contract import Ask
from upkeep.jobs.health_check import documents, measured
from upkeep.jobs.health_check.documents import Missing, Told
from upkeep.model import NOTHING_ASKED, Memory, ServerFacts

NOW = datetime(2024, 6, 1, tzinfo=UTC)
FACTS = ServerFacts(identity="i", version="1", tested=True, replica=False, role="r", clock=NOW)
ENGINES = ["mongo", "redis"]


def target(engine: str) -> fleet.Target:
    return fleet.parse(f"version: 1\ntargets: {{t: {{engine: {engine}, connection: c}}}}\n").target("t")


def measures(engine: str) -> Any:
    return importlib.import_module(f"upkeep.{engine}.health_check.measures").MEASURES


@pytest.mark.parametrize("engine", ENGINES)
def test_each_check_of_the_file_is_measured(engine: str) -> None:
    assert {*measures(engine)} == {*measured(target(engine))}


def test_a_check_that_cannot_be_made_stops_no_other() -> None:
    def broken(told: Told) -> Iterator[Seen]:
        yield Seen(check="memory_used", value=told["info"]["no_such"])

    def fine(_: Told) -> Iterator[Seen]:
        yield Seen(check="persistence", state="on disk")

    made = dict.fromkeys(measured(target("redis")), (("info",), lambda _: ()))
    made |= {"memory_used": (("info",), broken), "persistence": (("info",), fine), "latency": (("log",), fine)}
    ask = Ask("health_check", SimpleNamespace(), target("redis"), NOW, Memory(), NOTHING_ASKED, FACTS)
    seen = documents.observe(ask, {"info": {}, "log": Missing("not allowed", minds=False)}, made)
    looked = {row["check"]: row for row in seen.frames["looked"]}
    assert "no_such" in looked["memory_used"]["why"]
    assert looked["memory_used"]["minds"]
    assert (looked["latency"]["why"], looked["latency"]["minds"]) == ("not allowed", False)
    assert looked["persistence"]["why"] == ""
    assert [row["check"] for row in seen.frames["seen"] if row["check"] == "persistence"] == ["persistence"]
