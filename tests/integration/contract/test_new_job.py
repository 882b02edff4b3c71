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
from pathlib import Path
from typing import Any

import psycopg
import pytest

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
    assert copy.target("run", "table_comments")["status"] == "nothing_to_do"
    copy.upkeep("undo", done["run_id"])
    assert comments(database) == {"carts": None, "people": "WHO BUYS"}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop table public.carts")
    broken = copy.target("run", "table_comments", status=1)
    assert [f["check"] for f in broken["findings"] if f["severity"] == "ERROR"] == ["missing"]


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
