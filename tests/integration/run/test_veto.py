"""Today's policy wins: a plan that waited is held against today's fleet file and the present state before it runs.

Each "no" of today keeps every row, and the unchanged plan still goes through: refusing everything would pass the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness.command_line import Upkeep
from upkeep import connections
from upkeep.errors import CancelledError
from upkeep.fleet import Fleet, parse
from upkeep.ledger import Ledger
from upkeep.run import undoing
from upkeep.run.runner import Runner

Db = psycopg.Connection[Any]
FOR, MODE = "for: 30 days", "mode: enforce"
FLEET = f"""\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    {MODE}
    tables:
      public.logs:
        retain: {{by: at, {FOR}, then: delete, precision: row}}
      public.other:
        retain: {{by: at, for: 30 days, then: delete, precision: row}}
"""


@pytest.fixture
def db(database: str) -> Iterator[Db]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.logs (id bigint generated always as identity, at timestamptz)")
        connection.execute("create index on public.logs (at)")
        connection.execute("create table public.other (like public.logs including all)")
        connection.execute(
            # clearly older than so many days: a run's time is of whole seconds
            "insert into public.logs (at) select now() - n * interval '24:01:00' from generate_series(1, 60) n"
        )
        connection.execute("analyze")
        yield connection


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    return Upkeep(tmp_path / "fleet.yaml", FLEET, status=0)


def left(db: Db) -> int:
    return int(db.execute("select count(*) from public.logs").fetchall()[0][0])


def code(target: Any) -> str | None:
    (action,) = [a for a in target["actions"] if a["destructive"]]
    found: str | None = action["outcome"].get("reason_code")
    return found


def test_an_unchanged_plan_goes_through_and_counts_once(db: Db, upkeep: Upkeep) -> None:
    plan_id = upkeep.plan()
    assert upkeep.approve(plan_id)["status"] == "ok"
    assert left(db) == 29
    assert upkeep("run", "data_retention", "--approve", plan_id).exit_code == 1
    assert left(db) == 29


NOES: list[Any] = [
    pytest.param((MODE, "mode: observe"), "observe_only", 0, id="observe"),
    pytest.param((FOR, "for: 5 years"), "state_changed", 3, id="longer"),
    pytest.param(("public.logs:", "public.elsewhere:"), "state_changed", 3, id="no policy"),
    pytest.param(("precision: row}", "precision: row, by: made}"), "state_changed", 3, id="another age"),
    pytest.param(("then: delete", "then: archive, into: public.old"), "state_changed", 3, id="archive instead"),
    pytest.param(("precision: row", "precision: row, requires: {backup: 1 day}"), "needs_backup", 0, id="backup"),
    pytest.param((MODE, 'window: {start: "00:00", end: "00:01", timezone: NOT_NOW}'), "outside_window", 0, id="window"),
]


@pytest.mark.parametrize(("change", "reason", "status"), NOES)
def test_a_no_of_today_keeps_every_row(
    db: Db, upkeep: Upkeep, change: tuple[str, str], reason: str, status: int
) -> None:
    plan_id = upkeep.plan()
    hour = int(db.execute("select extract(hour from now() at time zone 'UTC')").fetchall()[0][0])
    away = change[1].replace("NOT_NOW", "Etc/GMT-12" if 1 <= hour < 11 or hour > 13 else "UTC")
    upkeep.text = FLEET.replace(change[0], away, 1).replace(
        "by: at, for", "for" if "made" in away else "by: at, for", 1
    )
    db.execute("alter table public.logs add made timestamptz not null default now()")
    db.execute("create table public.old (like public.logs)")
    result = upkeep("run", "data_retention", "--approve", plan_id, "--json")
    assert left(db) == 60, result.output
    if result.exit_code != status:  # findings of today may weigh more
        assert result.exit_code == 1, result.output
    assert code(json.loads(result.stdout)["targets"][0]) == reason


@pytest.mark.parametrize(("age", "stay"), [("10 days", 29), ("45 days", 44)])
def test_another_age_today_narrows_and_never_widens(db: Db, upkeep: Upkeep, age: str, stay: int) -> None:
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace(FOR, f"for: {age}")
    upkeep.approve(plan_id)
    assert left(db) == stay


def test_an_approval_is_used_up_only_when_something_was_let_through(db: Db, upkeep: Upkeep) -> None:
    plan_id = upkeep.plan()
    upkeep("pause", "shop")
    paused = upkeep.approve(plan_id)
    assert (paused["status"], code(paused), left(db)) == ("paused", "paused", 60)
    assert [f["check"] for f in paused["findings"]] == ["paused"]
    upkeep("resume", "shop")
    assert upkeep.approve(plan_id)["status"] == "ok"
    assert left(db) == 29


@pytest.mark.parametrize(("more", "goes"), [(1_000, True), (1_500, False)])
def test_rows_that_arrive_later_are_counted(db: Db, upkeep: Upkeep, more: int, goes: bool) -> None:
    plan_id = upkeep.plan()
    db.execute(f"insert into public.logs (at) select now() - interval '45 days' from generate_series(1, {more})")
    found = upkeep.approve(plan_id)
    gone = 60 + more - left(db)
    assert (gone == 31 + more) is goes
    assert gone <= 31 + 1_000
    assert code(found) == (None if goes else "over_limit")


def test_a_target_that_left_the_fleet_is_not_touched(db: Db, upkeep: Upkeep) -> None:
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace("  shop:", "  other:")
    result = upkeep("run", "data_retention", "--approve", plan_id)
    assert (result.exit_code, left(db)) == (2, 60)
    assert "shop" in result.output


def test_a_dropped_and_recreated_table_is_another_one(db: Db, upkeep: Upkeep) -> None:
    plan_id = upkeep.plan()
    db.execute("create table public.copy (like public.logs including all)")
    db.execute("insert into public.copy (at) select at from public.logs")
    db.execute("drop table public.logs")
    db.execute("alter table public.copy rename to logs")
    assert code(upkeep.approve(plan_id, status=3)) == "state_changed"
    assert left(db) == 60


def test_observed_planned_and_paused_are_said(db: Db, upkeep: Upkeep) -> None:
    upkeep.text = FLEET.replace(FOR, f"{FOR}, requires: nothing").replace(MODE, "mode: observe")
    assert upkeep.target("plan", "data_retention")["status"] == "observed"
    assert upkeep.target("run", "data_retention")["status"] == "observed"
    upkeep.text = FLEET.replace(FOR, f"{FOR}, requires: nothing")
    assert upkeep.target("plan", "data_retention")["status"] == "planned"
    upkeep("pause")
    assert upkeep.target("run", "data_retention")["status"] == "paused"
    upkeep("resume")
    assert upkeep.target("run", "data_retention")["status"] == "ok"
    assert upkeep.target("plan", "data_retention")["status"] == "nothing_to_do"
    assert left(db) == 29


@pytest.mark.parametrize("no", ["mode: observe", "paused", "untested"])
def test_undo_obeys_today(
    db: Db, upkeep: Upkeep, no: str, monkeypatch: pytest.MonkeyPatch, control_database: str
) -> None:
    db.execute("create table public.parts (at timestamptz not null) partition by range (at)")
    db.execute("create table public.parts_1 partition of public.parts for values from ('2020-01-01') to ('2020-02-01')")
    db.execute("create table public.parts_2 partition of public.parts for values from ('2020-02-01') to (maxvalue)")
    policy = "public.parts: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}"
    upkeep.text = FLEET.split("      public.logs", maxsplit=1)[0] + f"      {policy}\n"
    result = upkeep("run", "data_retention", "--json")
    document = json.loads(result.stdout)
    assert [a["outcome"]["status"] for a in document["targets"][0]["actions"]] == ["done"], result.output
    today = upkeep.text
    if no == "mode: observe":
        upkeep.text = today.replace(MODE, no)
    elif no == "paused":
        upkeep("pause", "shop")
    else:
        monkeypatch.setattr("upkeep.postgres.session.PostgresSession.tested", property(lambda _: False))
    upkeep("undo", document["run_id"])
    assert attached(db) == ["parts_2"]
    with psycopg.connect(control_database) as control:
        assert control.execute("select count(*) from upkeep.run where finished_at is null").fetchall() == [(0,)]
    upkeep.text = today
    upkeep("resume", "shop")
    monkeypatch.undo() if no == "untested" else None
    if no != "untested":
        said = upkeep("undo", document["run_id"])
        assert attached(db) == ["parts_1", "parts_2"], said.output
        assert "does it again" in said.output


def attached(db: Db) -> list[str]:
    rows = db.execute("select inhrelid::regclass::text from pg_inherits where inhparent = 'public.parts'::regclass")
    return sorted(row[0] for row in rows.fetchall())


# -- late, without anybody being asked -----------------------------------------------------------------


@pytest.fixture
def runner(upkeep: Upkeep, db: Db) -> Iterator[Runner]:
    with Ledger.open(connections.resolve(connections.CONTROL), migrate=True) as ledger:
        yield Runner(fleet_of(FOR), ledger)


def fleet_of(age: str) -> Fleet:
    return parse(FLEET.replace(FOR, f"{age}, requires: nothing"))


def planned(runner: Runner) -> str:
    run_id = runner.start("data_retention", datetime.now(UTC), trigger="test", actor="test")
    runner.observe(run_id, "shop")
    runner.gate(run_id, "shop", "before")
    runner.plan(run_id, "shop")
    return run_id


def test_a_policy_that_changed_between_plan_and_apply_counts(runner: Runner, db: Db) -> None:
    run_id = planned(runner)
    runner.fleet = fleet_of("for: 5 years")
    assert {o.reason_code for o in runner.apply(run_id, "shop")} == {"state_changed"}
    assert left(db) == 60


@pytest.mark.parametrize(("hours", "goes"), [(0.5, 2_031), (2, 0)])
def test_an_old_plan_is_counted_against_what_was_planned(runner: Runner, db: Db, hours: float, goes: int) -> None:
    run_id = planned(runner)
    db.execute("insert into public.logs (at) select now() - interval '45 days' from generate_series(1, 2000)")
    runner.now = lambda: datetime.now(UTC) + timedelta(hours=hours)
    codes = {o.reason_code for o in runner.apply(run_id, "shop")}
    assert 2_060 - left(db) == goes
    assert ("over_limit" in codes) is not bool(goes)


def test_what_a_target_that_left_still_keeps_is_said(runner: Runner, db: Db) -> None:
    db.execute("create table public.parts (at timestamptz not null) partition by range (at)")
    db.execute("create table public.parts_1 partition of public.parts for values from ('2020-01-01') to ('2020-02-01')")
    db.execute("create table public.parts_2 partition of public.parts for values from ('2020-02-01') to (maxvalue)")
    text = FLEET.replace("public.logs", "public.parts").replace(", precision: row", ", requires: nothing", 1)
    runner.fleet = parse(text)
    runner.apply(planned(runner), "shop")
    assert attached(db) == ["parts_2"]
    runner.fleet = parse(text.replace("  shop:", "  bazaar:"))
    run_id = runner.start("data_retention", datetime.now(UTC), trigger="test", actor="test")
    report = runner.report(run_id)
    assert [t.target for t in report.targets] == ["bazaar"]
    (gone,) = report.findings
    assert (gone.check, gone.subject) == ("departed", "public.parts_1")
    assert "last seen" in gone.summary
    assert report.document()["findings"][0]["check"] == "departed"


def test_a_cancelled_undo_is_a_finished_run(
    runner: Runner, db: Db, control_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("create table public.parts (at timestamptz not null) partition by range (at)")
    db.execute("create table public.parts_1 partition of public.parts for values from ('2020-01-01') to ('2020-02-01')")
    db.execute("create table public.parts_2 partition of public.parts for values from ('2020-02-01') to (maxvalue)")
    runner.fleet = parse(
        FLEET.replace("public.logs", "public.parts").replace(", precision: row", ", requires: nothing", 1)
    )
    run_id = planned(runner)
    runner.apply(run_id, "shop")
    runner.ledger.finish_run(run_id)

    def reattach(*_: Any) -> str:
        runner.cancel()
        raise CancelledError("asked to stop")

    monkeypatch.setattr("upkeep.postgres.data_retention.reattach.reattach", reattach)
    with pytest.raises(CancelledError):
        undoing.undo(runner, run_id, actor="test")
    assert attached(db) == ["parts_2"]
    with psycopg.connect(control_database) as control:
        assert control.execute("select count(*) from upkeep.run where finished_at is null").fetchall() == [(0,)]
