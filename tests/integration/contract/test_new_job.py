"""A job is a package and a row: one is added to a copy of the checkout, and nothing else of it is touched.

``tests/new_job`` has what somebody adds who adds a job: a package in an engine's room, its request, its statements, its
suites, its policy, its DAG file of three lines, and its row. All of it runs on the real server.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from upkeep import connections
from upkeep.ledger import Ledger

CHECKOUT = Path(__file__).resolve().parents[3]
ADDED = CHECKOUT / "tests" / "new_job"
PARTS = ("plugins", "include", "dags")
SPEC = Path("plugins/upkeep/jobs/spec.py")
IMPORT = "from upkeep.request import Request\n"
LAST_ROW = "    )\n}\n"
FLEET = """
version: 1
targets:
  shop:
    engine: postgres
    connection: shop
    comments:
      tables:
        public.carts: what people buy
        public.people: who buys
"""
DAG = """
import json, runpy, sys
dag = runpy.run_path(sys.argv[1])["dag"]
params = {name: [param.value, param.schema["type"], param.description] for name, param in dag.params.items()}
print(json.dumps([dag.dag_id, dag.description, [t.task_id for t in dag.topological_sort()], params]))
"""

DAG_RUNS = """
import json, sys
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
DagBundlesManager().sync_bundles_to_db()
bag = DagBag(sys.argv[1], bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
sync_bag_to_db(bag, "dags-folder", None)
told = {}
for name, conf in json.loads(sys.argv[2]).items():
    run = bag.dags[name].test(run_conf=conf)
    told[name] = {ti.task_id: [str(ti.state), ti.rendered_map_index] for ti in run.get_task_instances()}
print(json.dumps(told))
"""


@dataclass
class Copy:
    """A copy of the checkout with the new job, and how to run it."""

    home: Path
    environment: dict[str, str]

    def python(self, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=self.environment)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout or done.stderr

    def upkeep(self, *arguments: str, status: int = 0) -> str:
        return self.python("-m", "upkeep.cli", *arguments, status=status)

    def target(self, *arguments: str, status: int = 0) -> Any:
        document = json.loads(self.upkeep(*arguments, "--json", status=status))
        (target,) = document["targets"]
        return target | {"run_id": document["run_id"]}


@pytest.fixture
def copy(tmp_path: Path, database: str, control_database: str) -> Iterator[Copy]:
    home = tmp_path / "upkeep"
    for part in PARTS:
        shutil.copytree(CHECKOUT / part, home / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ADDED / part, home / part, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    text = (home / SPEC).read_text()
    assert text.count(IMPORT) == text.count(LAST_ROW) == 1
    text = text.replace(IMPORT, f"from upkeep.jobs.table_comments.request import CommentsRequest\n{IMPORT}")
    (home / SPEC).write_text(text.replace(LAST_ROW, (ADDED / "row.txt").read_text() + LAST_ROW))
    (home / "fleet.yaml").write_text(FLEET)
    environment = {
        **os.environ,
        "PYTHONPATH": str(home / "plugins"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "UPKEEP_HOME": str(home),
        "UPKEEP_FLEET": str(home / "fleet.yaml"),
        "AIRFLOW_CONN_UPKEEP_CONTROL": control_database,
        "AIRFLOW_CONN_SHOP": database,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
    }
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table public.carts (id int); create table public.people (id int)")
        yield Copy(home, environment)


def comments(uri: str) -> dict[str, str | None]:
    with psycopg.connect(uri) as connection:
        found = "select relname::text, obj_description(oid, 'pg_class') from pg_class where relkind = 'r'"
        rows = connection.execute(f"{found} and relnamespace = 'public'::regnamespace")
        return dict(rows.fetchall())


def test_one_row_and_new_files_are_all(copy: Copy) -> None:
    changed: list[str] = []
    for part in PARTS:
        waiting = [filecmp.dircmp(CHECKOUT / part, copy.home / part, ignore=["__pycache__"])]
        while waiting:
            here = waiting.pop()
            assert here.left_only == [], here.left_only
            changed += [str(Path(here.right, name).relative_to(copy.home)) for name in here.diff_files]
            waiting += here.subdirs.values()
    assert changed == [str(SPEC)]
    assert len((copy.home / "dags" / "table_comments.py").read_text().split("\n\n", 1)[1].strip().split("\n")) == 3


def test_it_is_planned_done_proven_and_taken_back(copy: Copy, database: str) -> None:
    planned = copy.target("plan", "table_comments")
    assert [(a["kind"], a["subject"]) for a in planned["actions"]] == [
        ("comment_table", "public.carts"),
        ("comment_table", "public.people"),
    ]
    some = copy.target("run", "table_comments", "--only", "public.people", "--shout")
    assert some["status"] == "ok", some
    assert comments(database) == {"carts": None, "people": "WHO BUYS"}
    done = copy.target("run", "table_comments")
    assert {g["stage"]: g["success"] for g in done["gates"]} == {"before": True, "after": True}
    assert [a["outcome"]["status"] for a in done["actions"]] == ["done", "done"]
    assert comments(database) == {"carts": "what people buy", "people": "who buys"}
    assert {(f["check"], f.get("state")) for f in done["findings"]} == {
        ("comment", "mended"),
        ("comments_written", "new"),
    }
    assert [f["evidence"] for f in done["findings"] if f["check"] == "comments_written"] == [
        {"written": 2, "changed": 2}
    ]
    assert copy.target("run", "table_comments")["status"] == "nothing_to_do"
    copy.upkeep("undo", done["run_id"])
    assert comments(database) == {"carts": None, "people": "WHO BUYS"}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop table public.carts")
    broken = copy.target("run", "table_comments", status=1)
    assert [f["check"] for f in broken["findings"] if f["severity"] == "ERROR"] == ["missing"]


def counted(uri: str) -> dict[str, int]:
    """Return how many rows the ledger has of what a run can leave there."""
    tables = ("look", "run_target", "observation", "plan", "gate", "finding", "issue", "issue_event")
    with psycopg.connect(uri) as connection:
        rows = (connection.execute(f"select count(*) from upkeep.{table}").fetchone() for table in tables)
        return {table: int(row[0]) for table, row in zip(tables, rows, strict=True) if row is not None}


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {table: after[table] - before[table] for table in after if after[table] != before[table]}


def test_a_job_that_only_looks_writes_what_changed(copy: Copy, database: str, control_database: str) -> None:
    def look(status: int) -> tuple[Any, dict[str, int]]:
        before = counted(control_database)
        return copy.target("run", "silent_tables", status=status), grown(before, counted(control_database))

    first, written = look(1)
    assert (first["status"], first["gates"], first["actions"]) == ("unhealthy", [], [])
    assert {(f["subject"], f["state"]) for f in first["findings"]} == {
        ("public.carts", "new"),
        ("public.people", "new"),
    }
    assert written == {"look": 1, "run_target": 1, "plan": 1, "finding": 2, "issue": 2, "issue_event": 2}
    same, written = look(1)
    assert {f["state"] for f in same["findings"]} == {"standing"}
    assert written == {"look": 1}  # as it was: one row
    assert copy.target("show", same["run_id"])["status"] == "unhealthy"
    assert same["run_id"] not in copy.upkeep("runs")
    assert same["run_id"] in copy.upkeep("runs", "--all")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("comment on table public.carts is 'what people buy'")
    better, written = look(1)
    assert written == {"look": 1, "run_target": 1, "plan": 1, "finding": 1, "issue_event": 1}
    (left,) = (f for f in better["findings"] if f["status"] == "finding")
    with Ledger.open(connections.parse("upkeep_control", control_database), migrate=False) as ledger:
        soon = datetime.now(UTC) + timedelta(hours=1)
        ledger.acknowledge(left["fingerprint"], until=soon, actor="ada", why="known")
    let_be, _ = look(0)
    assert let_be["status"] == "ok"


def test_what_cannot_be_looked_at_stays_as_it_was(copy: Copy, control_database: str) -> None:
    assert copy.target("run", "silent_tables", status=1)["status"] == "unhealthy"
    there = copy.environment["AIRFLOW_CONN_SHOP"]
    copy.environment["AIRFLOW_CONN_SHOP"] = "postgresql://nobody@127.0.0.1:1/nowhere"
    before = counted(control_database)
    blind = copy.target("run", "silent_tables", status=3)
    assert blind["status"] == "unreachable"
    assert grown(before, counted(control_database)) == {"look": 1, "run_target": 1}
    copy.target("run", "silent_tables", status=3)
    assert grown(before, counted(control_database)) == {"look": 2, "run_target": 1}
    copy.environment["AIRFLOW_CONN_SHOP"] = there
    again = copy.target("run", "silent_tables", status=1)
    assert {f["state"] for f in again["findings"]} == {"standing"}  # nobody looked, so nothing ended
    looked = copy.target("plan", "silent_tables", status=1)
    assert {f["state"] for f in looked["findings"]} == {"standing"}


def test_its_parameters_are_options_and_its_mistakes_are_said(copy: Copy) -> None:
    said = copy.upkeep("plan", "--help")
    assert "--only TEXT" in said
    assert "Only this table. [table_comments]" in " ".join(said.split())
    wrong = copy.upkeep("plan", "data_retention", "--shout", status=2)
    assert "--shout is no option of data_retention" in wrong
    with (copy.home / "fleet.yaml").open("a") as file:
        file.write("      colour: red\n")
    assert "fleet.yaml:11: targets.shop.comments.colour: unknown key" in copy.upkeep("plan", "table_comments", status=2)
    assert "CommentsPolicy" in copy.upkeep("schema")


def test_its_dag_has_a_form_of_its_parameters(copy: Copy) -> None:
    dag_id, description, tasks, params = json.loads(
        copy.python("-c", DAG, str(copy.home / "dags" / "table_comments.py")).splitlines()[-1]
    )
    assert (dag_id, description) == ("table_comments", "Lets comments of tables say what is declared")
    assert {"observe", "gate_before", "plan", "apply", "gate_after"} < {*tasks}
    assert params["only"] == [None, ["string", "null"], "Only this table."]
    assert params["shout"] == [False, ["boolean"], "In capitals."]
    dag_id, _, tasks, params = json.loads(
        copy.python("-c", DAG, str(copy.home / "dags" / "silent_tables.py")).splitlines()[-1]
    )
    assert (dag_id, {*tasks}, [*params]) == ("silent_tables", {"start", "look", "conclude", "all_well"}, ["targets"])


def test_its_dags_run(copy: Copy, database: str, tmp_path: Path) -> None:
    copy.environment |= {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(copy.home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    copy.upkeep("init")
    asked = {"silent_tables": {}, "table_comments": {"only": "public.people", "shout": True}}
    told = json.loads(
        copy.python("-W", "ignore", "-c", DAG_RUNS, str(copy.home / "dags"), json.dumps(asked)).splitlines()[-1]
    )
    assert told["silent_tables"]["look"] == ["failed", "shop – unhealthy"]
    assert told["silent_tables"]["conclude"][0] == "success"
    assert told["silent_tables"]["all_well"][0] == "upstream_failed"  # so the run is red
    assert told["table_comments"]["gate_after"] == ["success", "shop"]
    assert comments(database) == {"carts": None, "people": "WHO BUYS"}
