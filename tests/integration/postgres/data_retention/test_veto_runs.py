"""What was detached, or approved, on the command line: today's policy keeps it, and unchanged it goes (DESIGN 5.11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness.command_line import Upkeep
from tests.harness.postgres import attached, count, exists

Db = psycopg.Connection[Any]
RULE = "{by: at, for: 30 days, then: delete, requires: nothing, grace: 1 second}"
FLEET = f"""\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    tables:
      public.lg: {{retain: {RULE}}}
      public.other: {{retain: {{by: at, for: 30 days, then: delete, requires: nothing}}}}
"""


@pytest.fixture
def db(database: str) -> Iterator[Db]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table lg (at timestamptz not null) partition by range (at)")
        for name, low, high in (("jan", "2026-01-01", "2026-02-01"), ("later", "2026-02-01", "2200-01-01")):
            connection.execute(
                f"create table lg_{name} partition of lg for values from ('{low}+00') to ('{high}+00')".encode()
            )
        connection.execute("insert into lg select '2026-01-09+00' from generate_series(1, 10)")
        connection.execute("insert into lg select now() from generate_series(1, 100)")
        connection.execute("create table other (at timestamptz) partition by range (at)")
        connection.execute("create table archived (like lg)")
        connection.execute("analyze lg")
        yield connection


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    return Upkeep(tmp_path / "fleet.yaml", FLEET, status=0)


def rule(upkeep: Upkeep, *changes: tuple[str, str]) -> None:
    """Let today's fleet file want something else of lg."""
    wanted = RULE
    for old, new in changes:
        wanted = wanted.replace(old, new)
    upkeep.text = FLEET.replace(RULE, wanted)


def night(upkeep: Upkeep, status: int = 0) -> Any:
    return upkeep.target("run", "data_retention", status=status)


def kinds(target: Any) -> list[tuple[str, str]]:
    return [(a["kind"], a.get("outcome", {}).get("status", "planned")) for a in target["actions"]]


def test_what_is_no_longer_due_stays_and_comes_back(db: Db, upkeep: Upkeep) -> None:
    assert kinds(night(upkeep)) == [("detach_partition", "done")]
    time.sleep(1.1)
    rule(upkeep, ("30 days", "5 years"))
    kept = night(upkeep)
    assert kept["actions"] == []
    (finding,) = [f for f in kept["findings"] if f["check"] == "detached_not_due"]
    assert "public.lg_jan, detached 20" in finding["summary"]
    assert "no longer due under today's policy" in finding["summary"]
    assert count(db, "lg_jan") == 10
    command = finding["remedy"].split(" attaches")[0].split()
    undone = upkeep(*command[1:])
    assert undone.exit_code == 0, undone.output
    assert "does it again" not in undone.output
    assert attached(db, "lg") == ["lg_jan", "lg_later"]
    assert count(db, "lg") == 110
    assert [f["check"] for f in night(upkeep)["findings"]] == []


def test_an_undo_says_that_tonight_does_it_again(db: Db, upkeep: Upkeep) -> None:
    (action,) = night(upkeep)["actions"]
    undone = upkeep("undo", action["id"])
    assert undone.exit_code == 0, undone.output
    assert "does it again under today's policy" in " ".join(undone.output.split())
    assert attached(db, "lg") == ["lg_jan", "lg_later"]


def test_unchanged_it_goes_the_next_night(db: Db, upkeep: Upkeep) -> None:
    night(upkeep)
    time.sleep(1.1)
    assert kinds(night(upkeep)) == [("drop_partition", "done")]
    assert not exists(db, "lg_jan")


@pytest.mark.parametrize("gone", ["the table", "all retention", "the target"])
def test_without_a_policy_it_is_remembered(db: Db, upkeep: Upkeep, gone: str) -> None:
    night(upkeep)
    time.sleep(1.1)
    if gone == "the table":
        upkeep.text = "\n".join(line for line in FLEET.splitlines() if "public.lg" not in line)
    else:
        other = "postgres, connection: shop_db, tables: {public.x: {retain: {by: at, for: 1 day, then: delete}}}"
        head = FLEET.split("    tables:", maxsplit=1)[0] if gone == "all retention" else "version: 1\ntargets:\n"
        upkeep.text = head + "  \n  else: {engine: " + other + "}\n"
    result = upkeep("run", "data_retention", "--json")
    assert "lg_jan" in result.stdout
    assert "last seen" in result.stdout
    assert count(db, "lg_jan") == 10


def archive(upkeep: Upkeep, db: Db) -> None:
    del db
    rule(upkeep, ("requires: nothing", "requires: approval"), ("then: delete", "then: archive, into: public.archived"))


def longer(upkeep: Upkeep, db: Db) -> None:
    del db
    rule(upkeep, ("requires: nothing", "requires: approval"), ("30 days", "5 years"))


def backup(upkeep: Upkeep, db: Db) -> None:
    del db
    rule(upkeep, ("requires: nothing", "requires: {backup: 1 day}"))


def no_policy(upkeep: Upkeep, db: Db) -> None:
    del db
    upkeep.text = "\n".join(line for line in FLEET.splitlines() if "public.lg" not in line)


def grown(upkeep: Upkeep, db: Db) -> None:
    del upkeep
    db.execute("insert into lg_jan select '2026-01-19+00' from generate_series(1, 5000)")


def watched(upkeep: Upkeep, db: Db) -> None:
    del upkeep
    db.execute("create view seen as select * from lg_jan")


def renamed(upkeep: Upkeep, db: Db) -> None:
    del upkeep
    db.execute("alter table lg_jan rename to lg_january")


def unchanged(upkeep: Upkeep, db: Db) -> None:
    del upkeep, db


Change = Callable[[Upkeep, Db], None]


@pytest.mark.parametrize("change", [longer, grown, unchanged])
def test_an_approved_detaching_is_held_against_today(db: Db, upkeep: Upkeep, change: Change) -> None:
    rule(upkeep, ("requires: nothing", "requires: approval"))
    plan = upkeep.plan()
    change(upkeep, db)
    result = upkeep("run", "data_retention", "--approve", plan, "--json")
    assert ("lg_jan" in attached(db, "lg")) is (change is not unchanged), result.output


@pytest.mark.parametrize("change", [archive, longer, backup, no_policy, watched, renamed, unchanged])
def test_an_approved_drop_is_held_against_today(db: Db, upkeep: Upkeep, change: Change) -> None:
    night(upkeep)
    time.sleep(1.1)
    rule(upkeep, ("requires: nothing", "requires: approval"))
    plan = upkeep.plan()
    assert kinds(upkeep.target("run", "data_retention")) == [("drop_partition", "skipped")]
    change(upkeep, db)
    result = upkeep("run", "data_retention", "--approve", plan, "--json")
    stays = exists(db, "lg_jan") or exists(db, "lg_january")
    assert stays is (change is not unchanged), result.output
