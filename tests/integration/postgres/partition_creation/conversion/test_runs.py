"""A conversion through the command line: planned, pending, approved, undone; nothing is wrong meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from tests.harness import conversions as conv
from tests.harness import postgres as help_
from tests.harness.postgres import creation
from upkeep.cli import main
from upkeep.postgres.partition_creation import JOB
from upkeep.run import veto

FLEET = """\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    tables:
      public.logs:
        partition: {by: at, every: 1 month, ahead: 3}
      public.parted:
        partition: {by: at, every: 1 month, ahead: 1}
"""
ONE = FLEET[: FLEET.index("      public.parted")]

Upkeep = Callable[..., Result]


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.logs (id int generated always as identity, at timestamptz not null)")
        connection.execute(
            "insert into public.logs (at) select now() - g * interval '1 day' from generate_series(1, 90) g"
        )
        connection.execute("create table public.parted (at timestamptz not null) partition by range (at)")
        yield connection


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    fleet = tmp_path / "fleet.yaml"

    def run(*arguments: str, fleet_text: str = FLEET) -> Result:
        fleet.write_text(fleet_text)
        return CliRunner().invoke(main, ["--fleet", str(fleet), *arguments])

    return run


def target(result: Result) -> dict[str, Any]:
    (only,) = json.loads(result.stdout)["targets"]
    found: dict[str, Any] = only
    return found


def kind(db: conv.Db) -> str:
    row = db.execute("select relkind::text from pg_class where oid = 'public.logs'::regclass").fetchone()
    assert row is not None
    return str(row[0])


def test_it_waits_for_a_person_and_nothing_is_wrong(upkeep: Upkeep, db: Any) -> None:
    planned = upkeep("plan", "partition_creation", "--json")
    assert planned.exit_code == 0, planned.output
    assert target(planned)["status"] == "awaiting_approval"
    ran = upkeep("run", "partition_creation", "--json")
    assert ran.exit_code == 0, ran.output
    told = target(ran)
    assert told["status"] == "awaiting_approval"
    by_kind = {a["kind"]: a for a in told["actions"]}
    assert by_kind["convert_table"]["outcome"]["reason_code"] == "needs_approval"
    assert by_kind["create_partition"]["outcome"]["status"] == "done"
    assert by_kind["convert_table"]["destructive"] is False
    assert by_kind["convert_table"]["undo"]
    assert all(g["success"] for g in told["gates"])
    assert ["public.logs"] in [g.get("left_out") for g in told["gates"]]
    assert kind(db) == "r"


def test_approved_by_id_then_undone(upkeep: Upkeep, db: Any) -> None:
    first = target(upkeep("run", "partition_creation", "--json"))
    pending = upkeep("pending")
    assert first["plan_id"] in pending.output
    assert "public.logs" in pending.output
    done = upkeep("run", "partition_creation", "--approve", first["plan_id"], "--json")
    assert done.exit_code == 0, done.output
    told = target(done)
    assert told["status"] == "ok", told
    (action,) = told["actions"]
    assert action["outcome"]["status"] == "done"
    assert action["outcome"]["evidence"]["lock_seconds"] < 5
    assert [g["success"] for g in told["gates"]] == [True, True]
    assert kind(db) == "p"
    assert db.execute("select count(*) from public.logs").fetchone() == (90,)
    again = upkeep("run", "partition_creation", "--json")
    assert target(again)["status"] == "nothing_to_do", again.output
    assert first["plan_id"] not in upkeep("pending").output
    run_id = json.loads(done.stdout)["run_id"]
    undone = upkeep("undo", run_id)
    assert undone.exit_code == 0, undone.output
    assert kind(db) == "r"
    assert db.execute("select count(*) from public.logs").fetchone() == (90,)
    assert db.execute("insert into public.logs (at) values (now()) returning id").fetchone() == (91,)


def test_approved_in_the_same_run(upkeep: Upkeep, db: Any) -> None:
    done = upkeep("run", "partition_creation", "--approve", "--json")
    assert done.exit_code == 0, done.output
    assert target(done)["status"] == "ok"
    assert kind(db) == "p"
    assert conv.left_behind(db) == 0
    assert target(upkeep("run", "partition_creation", "--json"))["status"] == "nothing_to_do"


def test_a_table_changed_since_is_not_converted(upkeep: Upkeep, db: Any) -> None:
    first = target(upkeep("plan", "partition_creation", "--json", fleet_text=ONE))
    db.execute("alter table public.logs add column more int")
    done = upkeep("run", "partition_creation", "--approve", first["plan_id"], "--json", fleet_text=ONE)
    (action,) = target(done)["actions"]
    assert action["outcome"]["reason_code"] == "state_changed"
    assert done.exit_code == 3, done.output
    assert kind(db) == "r"
    fresh = target(upkeep("plan", "partition_creation", "--json", fleet_text=ONE))
    assert fresh["plan_id"] != first["plan_id"]


def test_observed_only(upkeep: Upkeep, db: Any) -> None:
    text = FLEET.replace("    engine: postgres\n", "    engine: postgres\n    mode: observe\n")
    ran = target(upkeep("run", "partition_creation", "--approve", "--json", fleet_text=text))
    assert {a["outcome"]["reason_code"] for a in ran["actions"]} == {"observe_only"}
    assert kind(db) == "r"


def test_a_refused_table_fails_alone(upkeep: Upkeep, db: Any) -> None:
    db.execute("create view public.v as select * from public.logs")
    ran = upkeep("run", "partition_creation", "--json")
    assert ran.exit_code == 1
    told = target(ran)
    assert {a["subject"]: a["outcome"]["status"] for a in told["actions"]} == {"public.parted": "done"}
    assert any("view public.v depends" in f["summary"] and f["severity"] == "ERROR" for f in told["findings"])


def test_the_plan_for_people_shows_every_statement(upkeep: Upkeep, db: Any) -> None:
    told = target(upkeep("plan", "partition_creation", "--json", fleet_text=ONE))
    (action,) = told["actions"]
    text = "\n".join(action["statements"])
    for expected in (
        "not valid",
        "validate constraint",
        "access exclusive",
        "rename to",
        "attach partition",
        "analyze",
    ):
        assert expected in text, expected
    assert "approval" in json.dumps(action["requires"])


@pytest.mark.parametrize(
    ("today", "goes"),
    [
        (ONE.replace("ahead: 3", "ahead: 2"), True),  # its first partition would be the same
        (ONE.replace("every: 1 month", "every: 1 day"), False),
        (ONE.replace("by: at", "by: made"), False),
        (ONE.replace("public.logs", "public.parted"), False),
    ],
)
def test_todays_policy_can_forbid_an_approved_conversion(upkeep: Upkeep, db: Any, today: str, *, goes: bool) -> None:
    db.execute("alter table public.logs add column made timestamptz not null default now()")
    first = target(upkeep("run", "partition_creation", "--json", fleet_text=ONE))
    done = target(upkeep("run", "partition_creation", "--approve", first["plan_id"], "--json", fleet_text=today))
    (action,) = done["actions"]
    assert action["outcome"]["status"] == ("done" if goes else "skipped"), action
    assert goes or action["outcome"]["reason_code"] == "state_changed"
    assert kind(db) == ("p" if goes else "r")


def test_an_approval_that_came_weeks_later_fits_while_its_bound_is_far(database: str, db: Any) -> None:
    what = help_.target({"public.logs": conv.POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        planned = JOB.plan(observation, what)
        (server,) = observation.frames["server"]
        later = (datetime.fromisoformat(server["now"]) + timedelta(days=62)).isoformat()
        frames = {**observation.frames, "server": [{**server, "now": later}]}
        today = JOB.plan(observation.model_copy(update={"frames": frames}), what)
        assert today.actions[0].args["upper"] != planned.actions[0].args["upper"]
        (action,) = veto.restrict(planned, today, approved=True).actions
        assert action.blocked is None
        # the real clock tells how near the bound is, whatever the plan's own instant was
        long_ago = observation.model_copy(update={"at": observation.at - timedelta(days=300)})
        soon = session.now() + timedelta(hours=20)
        near = action.model_copy(update={"args": {**action.args, "upper": soon.isoformat(sep=" ")}})
        refused = creation(what).apply(session, near, long_ago)
        assert (refused.status, refused.reason_code) == ("skipped", "state_changed")
        assert "come near the bound" in (refused.message or "")
        assert kind(db) == "r"
        done = creation(what).apply(session, action, observation)
    assert done.status == "done", done
    assert kind(db) == "p"


def test_a_new_partition_is_the_same_wish_with_more_rows_to_move(database: str, db: Any) -> None:
    db.execute("create table public.rest partition of public.parted default")
    what = help_.target({"public.parted": conv.POLICY})
    with help_.session(database) as session:
        before = creation(what).plan(session)
        db.execute("insert into public.parted values (now())")
        after = creation(what).plan(session)
    assert len({a.intent for a in before.actions}) == len(before.actions) == 4
    assert [a.intent for a in before.actions] == [a.intent for a in after.actions]
    assert [a.id for a in before.actions] != [a.id for a in after.actions]
