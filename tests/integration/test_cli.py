"""The command line on real servers: its documents, its exit statuses, its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from upkeep.cli import main

FLEET = """\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    tables:
      public.events:
        partition: {by: at, every: 1 month, ahead: 3}
"""
EVENTS = "create table public.events (id bigint, at timestamptz not null) partition by range (at)"

Upkeep = Callable[..., Result]


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    """Runs a command against a fleet of one database, with its own ledger."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(FLEET)

    def run(*arguments: str, fleet_text: str | None = None) -> Result:
        if fleet_text is not None:
            fleet.write_text(fleet_text)
        return CliRunner().invoke(main, ["--fleet", str(fleet), *arguments])

    return run


def execute(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def partitions(database: str) -> list[str]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("select inhrelid::regclass::text from pg_inherits order by 1").fetchall()
    return [row[0] for row in rows]


def document(result: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_check_says_what_was_found(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    result = upkeep("check")
    assert result.exit_code == 0, result.output
    assert "connected, version 15" in result.output
    assert "public.events found, partitioned by range" in result.output


def test_check_names_a_missing_table_and_exits_with_1(upkeep: Upkeep) -> None:
    result = upkeep("check", "--json")
    assert result.exit_code == 1
    (target,) = document(result)["targets"]
    assert target["status"] == "failed"
    assert any("no such table" in f["summary"] for f in target["findings"])


def test_check_of_an_unreachable_server_exits_with_3_and_hides_the_password(
    upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", "postgresql://ann:hidden-word@127.0.0.1:1/shop")
    result = upkeep("check")
    assert result.exit_code == 3
    assert "127.0.0.1" in result.output
    assert "ann" in result.output
    assert "hidden-word" not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "partition_creation", "--target", "nowhere"), "there are: shop"),
        (("plan", "data_retention", "--target", "shop"), "declares nothing for data_retention"),
        (("plan", "dance"), "partition_creation"),
        (("plan", "partition_creation", "--at", "2026-11-01T00:00:00"), "no offset"),
        (("plan", "partition_creation", "--at", "yesterday"), "ISO-8601"),
        (("show", "no-such-run"), "no-such-run"),
        (("undo", "no-such-run"), "no-such-run"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_possible(
    upkeep: Upkeep, arguments: tuple[str, ...], says: str
) -> None:
    result = upkeep(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output


def test_a_bad_fleet_file_exits_with_2(upkeep: Upkeep) -> None:
    result = upkeep(
        "plan", "partition_creation", fleet_text="version: 1\ntargets: {a: {engine: oracle, connection: c}}\n"
    )
    assert result.exit_code == 2
    assert "fleet.yaml:2:" in result.output


def test_plan_changes_nothing_and_run_does_it_once(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    planned = upkeep("plan", "partition_creation", "--json", "--exit-code")
    assert planned.exit_code == 10, planned.output
    (target,) = document(planned)["targets"]
    assert [a["kind"] for a in target["actions"]] == ["create_partition"] * 4
    assert partitions(database) == []

    done = upkeep("run", "partition_creation", "--json")
    assert done.exit_code == 0, done.output
    (target,) = document(done)["targets"]
    assert target["status"] == "ok"
    assert {a["outcome"]["status"] for a in target["actions"]} == {"done"}
    assert [g["stage"] for g in target["gates"]] == ["before", "after"]
    assert all(g["success"] for g in target["gates"])
    assert len(partitions(database)) == 4

    again = upkeep("run", "partition_creation", "--json")
    (target,) = document(again)["targets"]
    assert (target["status"], target["actions"]) == ("nothing_to_do", [])
    assert upkeep("plan", "partition_creation", "--exit-code").exit_code == 0


def test_runs_show_and_undo(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    run_id = str(document(upkeep("run", "partition_creation", "--json"))["run_id"])
    assert run_id in upkeep("runs").output
    shown = upkeep("show", run_id, "--json")
    assert document(shown)["run_id"] == run_id
    undone = upkeep("undo", run_id)
    assert undone.exit_code == 0, undone.output
    assert partitions(database) == []


def test_a_paused_target_is_left_alone_until_it_is_resumed(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    assert upkeep("pause", "shop", "--reason", "release day").exit_code == 0
    (target,) = document(upkeep("run", "partition_creation", "--json"))["targets"]
    assert {a["outcome"]["reason_code"] for a in target["actions"]} == {"paused"}
    assert "release day" in target["actions"][0]["outcome"]["message"]
    assert partitions(database) == []
    assert upkeep("resume", "shop").exit_code == 0
    upkeep("run", "partition_creation")
    assert len(partitions(database)) == 4


def test_init_writes_a_first_fleet_file_that_is_valid_and_changes_nothing(
    upkeep: Upkeep, database: str, tmp_path: Path
) -> None:
    execute(
        database,
        EVENTS,
        *(
            f"create table events_{m} partition of events"
            f" for values from ('2026-{m:02}-01+00') to ('2026-{m + 1:02}-01+00')"
            for m in (9, 10, 11)
        ),
        'create table "Odd; name" (id int primary key, created_at timestamptz)',
        "create table plain (id int primary key)",
        "create table hashed (id int, at timestamptz) partition by hash (id)",
        "create table hashed_0 partition of hashed for values with (modulus 4, remainder 0)",
        "create table regions (region text) partition by list (region)",
    )
    result = upkeep("init", "--from", "shop_db")
    # --fleet names an existing file: never written over
    assert result.exit_code == 2
    assert "exists" in result.output
    fresh = tmp_path / "fresh.yaml"
    result = CliRunner().invoke(main, ["--fleet", str(fresh), "init", "--from", "shop_db"])
    assert result.exit_code == 0, result.output
    text = fresh.read_text()
    assert "mode: observe" in text
    assert "partition: {by: at, every: 1 month, ahead: 3}" in text
    assert "create index concurrently on" in text
    assert "# partition: {by: id, modulus: 4} creates" in text
    assert "# partition: {by: region, list:" in text
    planned = CliRunner().invoke(main, ["--fleet", str(fresh), "run", "partition_creation", "--json"])
    assert planned.exit_code == 0, planned.output
    assert len(partitions(database)) == 4


def test_without_a_ledger_nothing_is_changed(upkeep: Upkeep, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(database, EVENTS)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", "postgresql://u@127.0.0.1:1/none")
    result = upkeep("run", "partition_creation")
    assert result.exit_code == 3, result.output
    assert partitions(database) == []


def test_a_plan_of_nothing_imports_no_great_expectations_and_a_plan_of_something_has_its_gate(
    upkeep: Upkeep, database: str, tmp_path: Path
) -> None:
    execute(database, EVENTS, EVENTS.replace("events", "visits"))
    text = FLEET + FLEET[FLEET.index("      public.events") :].replace("events", "visits")
    (target,) = document(upkeep("plan", "partition_creation", "--json", fleet_text=text))["targets"]
    assert [g["stage"] for g in target["gates"]] == ["before"]
    assert upkeep("run", "partition_creation").exit_code == 0
    code = (
        "import resource, sys\n"
        "from upkeep.cli import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('great_expectations' in sys.modules, used.ru_utime + used.ru_stime, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, "--fleet", str(tmp_path / "fleet.yaml"), "plan", "partition_creation"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported, cpu = done.stderr.split()[-2:]
    assert imported == "False"
    assert float(cpu) < 1.5
    assert "nothing to do" in done.stdout
