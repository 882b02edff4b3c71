"""The command line on real servers: its documents, its exit statuses, its errors."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
NEW = "create table events_new partition of events for values from ('2020-01-01+00') to ('2099-01-01+00')"
OLD = "create table events_old partition of events for values from ('2019-01-01+00') to ('2020-01-01+00')"

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


def test_backups_that_others_take_are_no_work_of_ours(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    fleet = FLEET.replace("    tables:", "    backup: external\n    tables:")
    (told,) = document(upkeep("check", "--json", fleet_text=fleet))["targets"]
    assert "backup" not in {*told["declared"], *told["not_declared"]}
    assert told["verdict"].startswith("works: nothing is missing"), "more than that was not looked at"
    result = upkeep("run", "backup")
    assert (result.exit_code, "0 targets" in result.output) == (0, True)


def test_check_says_whether_a_backup_can_be_taken(
    upkeep: Upkeep, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, EVENTS, "create table others (secret text)")
    fleet = FLEET.replace("    tables:", f"    backup: {{into: {tmp_path}}}\n    tables:")
    result = upkeep("check", fleet_text=fleet)
    assert result.exit_code == 0, result.output
    assert "can be taken: pg_dump" in " ".join(result.output.split())
    execute(database, "create role asker login password 'asks'; grant select on events to asker")
    secret = database.split("://")[1].partition("@")[0]
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database.replace(secret, "asker:asks"))
    found = [
        f for f in document(upkeep("check", "--json"))["targets"][0]["findings"] if f["check"] == "backup_possible"
    ]
    execute(database, "drop owned by asker; drop role asker")
    assert [f["severity"] for f in found] == ["WARNING"]
    assert "asker may not read public.others" in found[0]["summary"]
    assert found[0]["remedy"]


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
        (
            ("plan", "partition_creation", "--at", "2026-11-01"),
            "2026-11-01T00:00+00:00 or 2026-11-01T00:00Z",
        ),
        (("plan", "partition_creation", "--at", "yesterday"), "ISO-8601"),
        (("show", "no-such-run"), "no-such-run"),
        (("undo", "no-such-run"), "no-such-run"),
        (("plan", "partition_creation", "--at", "0001-01-01T00:00:00+14:00"), "ISO-8601"),
        (("plan", "partition_creation", "--at", "1969-12-31T00:00:00Z"), "before 1970"),
        (("plan", "partition_creation", "--at", ""), "ISO-8601"),
        (("plan", "partition_creation", "--target", ""), "is no name"),
        (("run", "partition_creation", "--approve", ""), "is no id"),
        (("run", "partition_creation", "--approve", "\0"), "is no id"),
        (("run", "partition_creation", "--approve", "no-such-plan"), "no plan 'no-such-plan'"),
        (("show", ""), "is no id"),
        (("show", "a\0b"), "is no id"),
        (("show", "\x1b[2J"), "is no id"),
        (("undo", ""), "is no id"),
        (("reject", ""), "is no id"),
        (("pause", ""), "is no name"),
        (("resume", "nowhere"), "'nowhere' is not paused"),
        (("resume", "\0"), "is no name"),
        (("check", "--target", "\x1b[2J"), "is no name"),
        (("runs", "--limit", "-3"), "1<=x<=1000"),
        (("runs", "--limit", "0"), "1<=x<=1000"),
        (("runs", "--limit", "1001"), "1<=x<=1000"),
        (("restore-archive", "--target", "shop", "--table", "public.nothing"), "--from-location"),
        (("restore-archive", "--target", "nowhere", "--table", "public.events"), "there are: shop"),
        (("restore-archive", "--target", "shop", "--table", "a.b.c"), "a.b.c"),
        (
            (
                "restore-archive",
                "--target",
                "shop",
                "--table",
                "x",
                "--from",
                "2026-02-01T00:00Z",
                "--to",
                "2026-01-01T00:00Z",
            ),
            "is not before",
        ),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_possible(
    upkeep: Upkeep, arguments: tuple[str, ...], says: str
) -> None:
    result = upkeep(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "\x1b" not in result.output
    assert document(upkeep("runs", "--json"))["runs"] == []


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
    checked = upkeep("check", "--json")
    assert "release day" in str(document(checked)["targets"])
    assert checked.exit_code == 0
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
        'create table "esc\x1b del\x7f\n\u2028" (id int primary key, created_at timestamptz)',
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
    assert r"esc\x1b del\x7f\n\u2028" in text
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


def test_statements_can_be_copied(upkeep: Upkeep, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(database, EVENTS)
    monkeypatch.setenv("COLUMNS", "40")
    shown = upkeep("plan", "partition_creation", "--statements").stdout
    copied = shown[shown.index("\n-- ") :]
    assert "noqa" not in shown
    assert copied.count("-- shop: create partition public.events") == 4
    execute(database, copied)
    assert len(partitions(database)) == 4


def test_what_to_do_next_can_be_copied(upkeep: Upkeep, database: str, tmp_path: Path) -> None:
    execute(database, EVENTS, OLD, NEW)
    retained = FLEET.replace("3}", "3}\n        retain: {for: 30 days, then: delete}")
    odd = tmp_path / "the owner's fleet.yaml"
    odd.write_text(retained)

    def typed(command: str) -> Result:
        program, *arguments = shlex.split(command)
        assert program == "upkeep"
        return CliRunner().invoke(main, arguments)

    def hinted(said: str, what: str) -> str:
        (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith(f"{what}: ")]
        return line.removeprefix(f"{what}: ")

    command = shlex.join(["upkeep", "--fleet", str(odd), "run", "data_retention"])
    ran = typed(command)
    assert ran.exit_code == 0, ran.output
    waiting = typed(shlex.join(["upkeep", "--fleet", str(odd), "pending"])).stdout
    assert hinted(waiting, "approve with") == hinted(ran.stdout, "approve with")
    assert hinted(waiting, "reject with").startswith("upkeep --fleet ")
    approved = typed(hinted(ran.stdout, "approve with"))
    assert approved.exit_code == 0, approved.output
    assert partitions(database) == ["events_new"]
    undone = typed(hinted(approved.stdout, "take back with"))
    assert undone.exit_code == 0, undone.output
    assert partitions(database) == ["events_new", "events_old"]


def test_every_command_that_has_a_result_prints_one_document(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS, OLD, NEW.replace("2099", "2026"))
    upkeep("check", fleet_text=FLEET.replace("3}", "3}\n        retain: {for: 30 days, then: delete}"))
    assert document(upkeep("init", "--json"))["ledger"] == "ready"
    assert document(upkeep("plan", "data_retention", "--json"))["job"] == "data_retention"
    (target,) = document(upkeep("run", "data_retention", "--json"))["targets"]
    (waiting,) = document(upkeep("pending", "--json"))["pending"]
    assert (waiting["plan_id"], waiting["state"], waiting["actions"]) == (target["plan_id"], "awaiting", 1)
    rejected = document(upkeep("reject", waiting["plan_id"], "--reason", "not now", "--json"))
    assert (rejected["plan_id"], rejected["target"], rejected["reason"]) == (waiting["plan_id"], "shop", "not now")
    paused = document(upkeep("pause", "shop", "--reason", "release", "--json"))
    assert (paused["target"], paused["paused"], paused["reason"]) == ("shop", True, "release")
    resumed = document(upkeep("resume", "shop", "--json"))
    assert (resumed["paused"], resumed["was_paused"]) == (False, True)
    assert document(upkeep("resume", "--json"))["was_paused"] is False
    run_id = document(upkeep("run", "partition_creation", "--json", "--statements"))["run_id"]
    assert document(upkeep("undo", str(run_id), "--json"))["job"] == "partition_creation"
    listed = document(upkeep("runs", "--json"))["runs"]
    assert [(r["job"], r["trigger"], r["plan_only"]) for r in listed] == [
        ("partition_creation", "undo", False),
        ("partition_creation", "cli", False),
        ("data_retention", "cli", False),
        ("data_retention", "cli", True),
    ]
    assert all(r["finished_at"] and r["at"] and r["actor"] for r in listed)
    lines = upkeep("runs").stdout.splitlines()
    assert ["plan only" in line for line in lines] == [False, False, False, True]
    assert "undo by" in lines[0]


@pytest.mark.parametrize("arguments", [("init", "--from", "shop_db", "--json"), ("schema",)])
def test_what_is_written_for_programs_is_a_document(upkeep: Upkeep, database: str, arguments: tuple[str, ...]) -> None:
    execute(database, EVENTS)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert document(result)


def test_a_plan_of_what_is_only_observed_says_that_there_is_something_to_do(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    observed = FLEET.replace("shop_db", "shop_db\n    mode: observe")
    planned = upkeep("plan", "partition_creation", "--exit-code", fleet_text=observed)
    assert planned.exit_code == 10, planned.output
    assert upkeep("run", "partition_creation", fleet_text=FLEET).exit_code == 0
    assert upkeep("plan", "partition_creation", "--exit-code", fleet_text=observed).exit_code == 0


def test_an_instant_that_lies_ahead_is_said_not_to_be_used(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    before = datetime.now(UTC)
    done = upkeep("plan", "partition_creation", "--at", "2030-01-01T00:00:00Z", "--json")
    used = datetime.fromisoformat(str(document(done)["at"]))
    assert before - timedelta(minutes=1) < used < datetime.now(UTC) + timedelta(minutes=1)
    assert "2030-01-01 00:00:00 UTC lies ahead: the server's clock was used" in done.stderr
    assert "lies ahead" in str(document(done)["notes"])
    assert "lies ahead" in upkeep("show", str(document(done)["run_id"])).stdout
    past = upkeep("plan", "partition_creation", "--at", "2026-10-01T00:00:00Z", "--json")
    assert document(past)["at"] == "2026-10-01T00:00:00+00:00"
    assert "notes" not in document(past)


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("{upkeep} runs --limit 1000 | head -1", None),
        ("{upkeep} check | true", None),
        ("PYTHONIOENCODING=ascii {upkeep} plan partition_creation", 0),
        ("PYTHONIOENCODING=ascii {upkeep} plan partition_creation --json", 0),
        ("COLUMNS=40 {upkeep} plan partition_creation --statements", 0),
        ("COLUMNS=1 {upkeep} check", 0),
    ],
)
def test_whatever_reads_the_output_there_is_no_traceback(
    upkeep: Upkeep, database: str, tmp_path: Path, shell: str, status: int | None
) -> None:
    execute(database, EVENTS, 'create table "Größe" (at timestamptz) partition by range (at)')
    text = FLEET + FLEET[FLEET.index("      public.events") :].replace("events", '"Größe"')
    upkeep("check", fleet_text=text)
    program = shlex.join([sys.executable, "-m", "upkeep.cli", "--fleet", str(tmp_path / "fleet.yaml")])
    done = subprocess.run(["bash", "-c", shell.format(upkeep=program)], capture_output=True, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    assert b"Error" not in done.stderr, done.stderr
    if status is not None:
        assert done.returncode == status, done
    if "--json" in shell:
        assert "Größe" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


def test_a_wrong_request_for_archived_rows_is_no_run(upkeep: Upkeep, database: str) -> None:
    execute(database, EVENTS)
    for arguments in (("--table", "public.events"), ("--table", "public.events", "--from-location", "/nowhere/at/all")):
        result = upkeep("restore-archive", "--target", "shop", *arguments)
        assert result.exit_code == 2, result.output
    assert document(upkeep("runs", "--json"))["runs"] == []
