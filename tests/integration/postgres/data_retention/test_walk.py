"""How far a retention policy goes from the fleet file to the DELETE: few modules, and straight down.

The modules that read the policy, and those on the call stack when rows are deleted, are seen in a run on the server.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from types import FrameType
from typing import Any

import psycopg
import pytest

from tests.harness.commands import Bed
from upkeep import connections, fleet
from upkeep.fleet import RetainPolicy
from upkeep.ledger import Ledger
from upkeep.postgres.session import PostgresSession
from upkeep.run.runner import Runner

MOST = 12
FLEET = """
version: 1
targets:
  shop:
    engine: postgres
    connection: shop
    tables:
      public.logs: {retain: {for: 30 days, by: at, then: delete, precision: row, requires: nothing}}
"""


def callers(frame: FrameType | None) -> Iterator[str]:
    """Yield our modules on the stack, the innermost first."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("upkeep."):
            yield name
        frame = frame.f_back


def test_a_policy_enters_few_modules_and_comes_back_the_way_it_went(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(bed.target, autocommit=True) as db:
        db.execute("create table public.logs (id bigserial primary key, at timestamptz not null)")
        db.execute(
            "insert into public.logs (at) select now() - (n - 0.5) * interval '1 day' from generate_series(1, 60) n"
        )
    readers: set[str] = set()
    stacks: list[list[str]] = []
    read, execute = RetainPolicy.__getattribute__, PostgresSession.execute

    def reading(self: RetainPolicy, name: str) -> Any:
        if name in RetainPolicy.model_fields:
            readers.update([*callers(sys._getframe(1))][:1])
        return read(self, name)

    def executing(self: PostgresSession, statement: Any, *rest: Any, **more: Any) -> Any:
        if "delete from" in str(statement).lower():
            stacks.append([*callers(sys._getframe(1))][::-1])
        return execute(self, statement, *rest, **more)

    monkeypatch.setattr(RetainPolicy, "__getattribute__", reading)
    monkeypatch.setattr(PostgresSession, "execute", executing)
    known = {"shop": bed.target, "upkeep_control": bed.control}
    addresses = {name: connections.parse(name, uri) for name, uri in known.items()}
    with Ledger.open(addresses["upkeep_control"], migrate=True) as ledger:
        runner = Runner(fleet.parse(FLEET), ledger, addresses.__getitem__)
        run_id = runner.start("data_retention", datetime.now(UTC), trigger="test", actor="test")
        readers.clear()
        report = runner.run_target(run_id, "shop", apply=True)
    assert sum(o.rows or 0 for o in report.outcomes) == 30, report
    (down,) = {tuple(name for name, _ in groupby(stack)) for stack in stacks}
    entered = {*readers, *down, PostgresSession.__module__}
    assert len(entered) <= MOST, sorted(entered)
    # from the run to the room, through the one place that makes outcomes, to the statement: no other room is entered
    rooms = [name.split(".")[1] for name in down]
    assert [name for name, _ in groupby(rooms)] == ["run", "postgres", "jobs", "postgres"]
