"""The life of findings over whole runs on a real server: what a run mends, what stands, what nobody could look at."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from local.process import free_port
from tests.harness import least
from tests.harness.command_line import Upkeep
from tests.harness.commands import Bed
from upkeep import connections
from upkeep.fleet import parse
from upkeep.ledger import Ledger
from upkeep.run.runner import Runner

Db = psycopg.Connection[Any]
FLEET = """\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    tables:
      app.logs:
        partition: {by: at, every: 1 month, ahead: 1}
"""
HOSTILE = "a;b\"'\u202e\U0001f600"
AHEAD = "insert into app.logs select n, now() + interval '20 years' from generate_series(1, 7) n"
_numbers = itertools.count(1)


@pytest.fixture
def db(database: str) -> Iterator[Db]:
    """A table whose rows of this month lie in the default partition: theirs is missing."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create schema app")
        connection.execute("create table app.logs (id bigint, at timestamptz not null) partition by range (at)")
        connection.execute("create table app.logs_default partition of app.logs default")
        yield connection


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    return Upkeep(tmp_path / "fleet.yaml", FLEET)


@pytest.fixture
def control(control_database: str) -> Iterator[Db]:
    with psycopg.connect(control_database, autocommit=True) as connection:
        yield connection


def due(db: Db, rows: int = 3) -> None:
    db.execute(f"insert into app.logs select n, now() from generate_series(1, {rows}) n")


def sales(db: Db, upkeep: Upkeep, folder: Path) -> None:
    """Make due rows that fail their owner's expectations."""
    expected = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "v"}}
    (folder / "own.json").write_text(json.dumps({"name": "own", "expectations": [expected]}))
    db.execute("create table app.sales (id int primary key, at timestamptz, v int)")
    db.execute("insert into app.sales select n, '2024-01-01' from generate_series(1, 9) n")
    retain = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}, quality: own.json"
    tables = f"    limits: {{share: 100 %}}\n    tables:\n      app.sales: {{{retain}}}\n"
    upkeep.text = FLEET.partition("    tables:")[0] + tables


def run(upkeep: Upkeep, *more: str, status: int | None = 0) -> dict[str, Any]:
    """Run partition creation; return the target, and its findings by check."""
    target = upkeep.target("run", "partition_creation", *more, status=status)
    return {**target, "by": {f["check"]: f for f in target["findings"]}}


def events(control: Db) -> list[str]:
    return [row[0] for row in control.execute("select event from upkeep.issue_event order by id").fetchall()]


def written(control: Db) -> list[Any]:
    """Return all that is known of lives, with what changes whenever a row is written."""
    return control.execute("select xmin::text, * from upkeep.issue order by fingerprint").fetchall()


def open_now(upkeep: Upkeep, *more: str) -> list[dict[str, Any]]:
    result = upkeep("findings", "--json", *more)
    assert result.exit_code == 0, result.output
    return list(json.loads(result.stdout)["findings"])


def test_what_a_run_puts_right_is_no_warning_any_more(db: Db, upkeep: Upkeep, control: Db) -> None:
    due(db)
    planned = upkeep.target("plan", "partition_creation", status=0)
    (warned,) = [f for f in planned["findings"] if f["check"] == "default_rows"]
    assert (warned["severity"], warned.get("state")) == ("WARNING", None)
    assert events(control) == [], "a plan touches no life"
    target = run(upkeep)
    assert target["status"] == "ok"
    finding = target["by"]["default_rows"]
    assert (finding["state"], finding["fingerprint"]) == ("mended", warned["fingerprint"])
    assert open_now(upkeep) == []
    assert events(control) == ["new", "mended"]
    (gone,) = open_now(upkeep, "--all")
    assert (gone["state"], gone["subject"]) == ("mended", "app.logs")
    said = upkeep("show", gone["gone_run"]).output
    assert "put right by this run; it was WARNING" in said
    assert "; 1 put right" in said
    assert "nothing is open; last looked at" in upkeep("findings").output
    due(db)  # its partition is there: nothing is found
    assert "default_rows" not in run(upkeep)["by"]
    assert events(control) == ["new", "mended"]


def test_what_stands_writes_nothing_until_it_is_gone_and_returns(db: Db, upkeep: Upkeep, control: Db) -> None:
    db.execute(AHEAD)
    first = run(upkeep)["by"]["default_future_rows"]
    assert first["state"] == "new"
    before, (entry,) = written(control), open_now(upkeep)
    db.execute("delete from app.logs where id = 1")
    second = run(upkeep)["by"]["default_future_rows"]
    assert (second["state"], second["first_seen"]) == ("standing", first["first_seen"])
    assert written(control) == before
    assert events(control) == ["new"]
    (again,) = open_now(upkeep)
    assert again["last_seen"] > entry["last_seen"]
    assert again["summary"].startswith("6 rows"), "what was said last, not first"
    text = upkeep("findings").output
    for word in ("1 finding: 1 WARNING", "default_future_rows of app.logs on shop", first["fingerprint"][:10], "→"):
        assert word in text
    assert f"since {datetime.now(UTC):%Y-%m-%d}" in upkeep("run", "partition_creation").output
    db.execute("delete from app.logs")
    assert "default_future_rows" not in run(upkeep)["by"]
    assert events(control) == ["new", "gone"]
    assert open_now(upkeep) == []
    db.execute(AHEAD)
    third = run(upkeep)["by"]["default_future_rows"]
    assert third["state"] == "new"
    assert third["first_seen"] > first["first_seen"]
    assert events(control) == ["new", "gone", "returned"]


def test_a_look_that_could_not_look_ends_nothing(
    db: Db, upkeep: Upkeep, control: Db, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"keeper_{os.getpid()}_{next(_numbers)}"
    db.execute(f"create role {role} login password 'x'")
    try:
        db.execute(f"grant usage, create on schema app to {role}")
        for table in ("app.logs", "app.logs_default"):
            db.execute(f"alter table {table} owner to {role}")
        known = conninfo_to_dict(database)
        monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgresql://{role}:x@127.0.0.1:{known['port']}/{known['dbname']}")
        db.execute(AHEAD)
        assert run(upkeep)["by"]["default_future_rows"]["state"] == "new"
        before, (entry,) = written(control), open_now(upkeep)
        db.execute(f"revoke select on app.logs_default from {role}")
        blind = run(upkeep, status=None)
        assert "default_future_rows" not in blind["by"]
        assert [w for w in written(control) if w in before] == before, "nobody could look: it stands"
        still = next(f for f in open_now(upkeep) if f["fingerprint"] == entry["fingerprint"])
        assert still["last_seen"] == entry["last_seen"], "it was not seen this time"
        known_issues = written(control)
        monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgresql://u:x@127.0.0.1:{free_port()}/d")
        assert run(upkeep, status=3)["status"] == "unreachable"
        assert written(control) == known_issues
        monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
        db.execute(f"grant {role} to {least.ROLE}; grant select on app.logs_default to {role}")
        db.execute("delete from app.logs")
        run(upkeep, status=None)
        assert open_now(upkeep) == []
    finally:
        db.execute(f"drop owned by {role} cascade; drop role {role}")


def test_runs_that_do_not_look_at_the_present_touch_nothing(
    db: Db, upkeep: Upkeep, control: Db, control_database: str
) -> None:
    db.execute(AHEAD)
    first = run(upkeep)["by"]["default_future_rows"]
    before = written(control)
    looks = control.execute("select count(*) from upkeep.look").fetchall()
    db.execute("delete from app.logs")
    past = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    for arguments in (("plan", "partition_creation"), ("run", "partition_creation", "--at", past)):
        upkeep.target(*arguments, status=None)
    with Ledger.open(connections.parse("upkeep_control", control_database), migrate=False) as ledger:
        runner = Runner(parse(upkeep.text), ledger)
        run_id = runner.start("partition_creation", datetime.now(UTC), trigger="backfill", actor="ada")
        runner.run_target(run_id, "shop", apply=True)
    assert written(control) == before
    assert control.execute("select count(*) from upkeep.look").fetchall() == looks
    db.execute(AHEAD)
    told = upkeep.target("plan", "partition_creation", status=0)
    (known,) = [f for f in told["findings"] if f["check"] == "default_future_rows"]
    assert (known["state"], known["first_seen"]) == ("standing", first["first_seen"])


def test_a_run_as_of_an_earlier_time_tells_what_it_has_put_right(db: Db, upkeep: Upkeep, control: Db) -> None:
    db.execute("insert into app.logs select n, now() - interval '1 day' from generate_series(1, 3) n")
    earlier = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    finding = run(upkeep, "--at", earlier)["by"]["default_rows"]
    assert (finding["state"], finding.get("first_seen")) == ("mended", None)
    assert written(control) == []


def test_the_run_of_an_approved_plan_ends_only_what_it_mends(db: Db, upkeep: Upkeep) -> None:
    upkeep.text = FLEET + "      app.plain:\n        partition: {by: at, every: 1 month, ahead: 1}\n"
    db.execute("create table app.plain (id int, at timestamptz not null)")
    db.execute("insert into app.plain select n, now() - n * interval '1 day' from generate_series(1, 90) n")
    db.execute(AHEAD)
    planned = run(upkeep)
    assert planned["status"] == "awaiting_approval"
    about = {f["check"] for f in open_now(upkeep) if f["subject"] == "app.plain"}
    assert about
    db.execute("delete from app.logs")
    approved = run(upkeep, "--approve", planned["plan_id"], status=None)
    assert [o["outcome"]["status"] for o in approved["actions"]] == ["done"], approved
    mended = {f["check"] for f in approved["findings"]}
    assert mended <= about
    assert mended
    assert {f["state"] for f in approved["findings"]} == {"mended"}
    left = {(f["subject"], f["check"]) for f in open_now(upkeep)}
    assert ("app.logs", "default_future_rows") in left, "the run looked as of the instant that was planned for"
    assert not {(subject, check) for subject, check in left if subject == "app.plain" and check in mended}
    run(upkeep)
    assert open_now(upkeep) == []


def test_an_acknowledged_finding_makes_no_run_fail(db: Db, upkeep: Upkeep, control: Db, tmp_path: Path) -> None:
    sales(db, upkeep, tmp_path)

    def night(status: int) -> dict[str, Any]:
        target = upkeep.target("run", "data_retention", status=status)
        return {**target, "by": {f["check"]: f for f in target["findings"]}}

    target = night(1)
    assert target["status"] == "partial"
    fingerprint = target["by"]["quality"]["fingerprint"]
    for wrong, said in (
        (("--until", "2020-01-01T00:00:00+00:00", "--why", "known"), "is past"),
        (("--until", "2099-01-01T00:00:00", "--why", "known"), "has no offset"),
        (("--until", "7 lunches", "--why", "known"), "is not a duration"),
        (("--until", "7 days", "--why", " "), "say why"),
        (("--until", "7 days"), "Missing option"),
    ):
        refused = upkeep("acknowledge", fingerprint, *wrong)
        assert (refused.exit_code, said in refused.output) == (2, True), refused.output
    assert upkeep("acknowledge", "fffffffff", "--until", "7 days", "--why", "known").exit_code == 2
    done = upkeep("acknowledge", fingerprint[:10], "--until", "7 days", "--why", "mended on Monday", "--json")
    assert done.exit_code == 0, done.output
    known = json.loads(done.stdout)
    assert known["fingerprint"] == fingerprint
    finding = night(0)["by"]["quality"]
    assert (finding["state"], finding["acknowledged_until"][:19]) == ("standing", known["acknowledged_until"][:19])
    (entry,) = [f for f in open_now(upkeep) if f["check"] == "quality"]
    assert entry["acknowledged_why"] == "mended on Monday"
    for text in (upkeep("findings").output, upkeep("run", "data_retention").output):
        assert "acknowledged" in text
    control.execute("update upkeep.issue set acknowledged_until = now()")  # its time has come
    assert night(1)["status"] == "partial"
    assert upkeep("acknowledge", fingerprint, "--until", "7 days", "--why", "known").exit_code == 0
    db.execute("update app.sales set v = 1")
    assert "quality" not in night(0)["by"]
    assert upkeep("acknowledge", fingerprint, "--until", "7 days", "--why", "known").exit_code == 2
    db.execute("insert into app.sales values (1, '2024-01-01')")
    assert night(1)["by"]["quality"]["state"] == "new"
    told = "select event from upkeep.issue_event where fingerprint = %s order by id desc limit 2"
    assert control.execute(told, [fingerprint]).fetchall() == [("returned",), ("gone",)]


def test_only_the_targets_of_the_run_are_touched(db: Db, upkeep: Upkeep, database: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_DB", database)
    upkeep.text = FLEET + FLEET.split("targets:\n")[1].replace("shop", "other")
    db.execute(AHEAD)
    assert upkeep("run", "partition_creation").exit_code == 0
    assert {f["target"] for f in open_now(upkeep)} == {"shop", "other"}
    assert {f["target"] for f in open_now(upkeep, "--target", "other")} == {"other"}
    db.execute("delete from app.logs")
    run(upkeep, "--target", "shop")
    assert {f["target"] for f in open_now(upkeep)} == {"other"}
    assert "nobody looks at it" not in " ".join(upkeep("findings").output.split())
    upkeep.text = FLEET
    left = upkeep("findings", "--target", "other")
    assert (left.exit_code, "nobody looks at it" in " ".join(left.output.split())) == (0, True), left.output
    unknown = upkeep("findings", "--target", "shopp")
    assert (unknown.exit_code, "shopp" in unknown.output) == (2, True)


def test_two_runs_at_once_tell_it_once(db: Db, bed: Bed, control: Db) -> None:
    bed.declare(
        {
            "app.logs": "partition: {by: at, every: 1 month, ahead: 1}",
            "app.nothing": "partition: {by: at, every: 1 month, ahead: 1}",
        }
    )
    db.execute(AHEAD)
    due(db)
    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(lambda _: bed.upkeep("run", "partition_creation", "--json"), range(3)))
    assert {end.status for end in ends} <= {1, 3}, [end.story for end in ends]
    told = control.execute(
        "select check_name, event, count(*) from upkeep.issue_event join upkeep.issue using (fingerprint) "
        "where check_name != 'default_rows' group by 1, 2 order by 1"
    ).fetchall()
    assert told == [("default_future_rows", "new", 1), ("table_exists", "new", 1)]


def test_hostile_names(db: Db, upkeep: Upkeep) -> None:
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    db.execute(f"create table app.{quoted} (id bigint, at timestamptz not null) partition by range (at)")  # type: ignore[call-overload]
    db.execute(f"create table app.d partition of app.{quoted} default")  # type: ignore[call-overload]
    db.execute(f"insert into app.{quoted} values (1, now() + interval '20 years')")  # type: ignore[call-overload]
    upkeep.text = FLEET.replace("app.logs", "'" + f"app.{quoted}".replace("'", "''") + "'")
    assert run(upkeep)["by"]["default_future_rows"]["state"] == "new"
    (entry,) = open_now(upkeep)
    assert HOSTILE.replace('"', '""') in entry["subject"]
    assert "\u202e" not in upkeep("findings").output
    assert upkeep("acknowledge", entry["fingerprint"], "--until", "1 hour", "--why", HOSTILE).exit_code == 0
    assert "\u202e" not in upkeep("findings").output
    assert run(upkeep)["by"]["default_future_rows"]["state"] == "standing"


def test_rows_that_fail_the_owner_s_expectations_stand_until_they_were_looked_at(
    db: Db, upkeep: Upkeep, tmp_path: Path
) -> None:
    sales(db, upkeep, tmp_path)

    def states() -> list[tuple[str, str]]:
        target = upkeep.target("run", "data_retention")
        return [(f["check"], f["state"]) for f in target["findings"] if f["check"] == "quality"]

    assert states() == [("quality", "new")]
    assert upkeep("pause", "shop").exit_code == 0
    assert states() == []  # nothing was tried, so nobody looked at the rows
    assert [f["check"] for f in open_now(upkeep) if f["check"] == "quality"] == ["quality"]
    assert upkeep("resume", "shop").exit_code == 0
    assert states() == [("quality", "standing")]
    db.execute("update app.sales set v = 1")
    assert states() == []
    assert open_now(upkeep) == []
