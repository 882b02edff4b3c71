"""The package as people install it: built, installed into an environment of its own, and run where no checkout is.

``UPKEEP_DIST`` names a folder of packages that are built already (`make package`); else they are built here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

import upkeep
from upkeep.jobs.spec import JOBS

CHECKOUT = Path(__file__).resolve().parents[3]
UV = Path(sys.executable).with_name("uv")
FLEET = """
version: 1
targets:
  shop:
    engine: postgres
    connection: shop
    mode: enforce
    tables:
      public.orders:
        partition: {by: at, every: 1 month, ahead: 2}
"""
OTHERS = """
  numbers: {engine: tidb, connection: numbers, tables: {app.t: {partition: {by: at, every: 1 day, ahead: 1}}}}
  papers:
    engine: mongo
    connection: papers
    collections:
      assets: {validator: include/mongo/assets.validator.json}
      drafts: {validator: drafts.json}
  cache: {engine: redis, connection: cache, streams: {s: {retain: {for: 1 day, then: delete, requires: nothing}}}}
"""
DAG_FILE = """\
# Airflow looks only into files that hold these two words: airflow, dag
from upkeep.airflow.all_dags import *
"""
AIRFLOW = """
import json, sys, warnings
from airflow.utils.db import initdb
initdb()
from airflow import plugins_manager
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.providers_manager import ProvidersManager
DagBundlesManager().sync_bundles_to_db()
bag = DagBag(sys.argv[1], bundle_name="dags-folder", safe_mode=True)
sync_bag_to_db(bag, "dags-folder", None)
plugins = [plugin.name for plugin in plugins_manager._get_plugins()[0]]
run = bag.dags["partition_creation"].test()
print(json.dumps({
    "dags": sorted(bag.dags),
    "dag errors": bag.import_errors,
    "plugins": plugins,
    "plugin errors": plugins_manager.get_import_errors(),
    "apps": [app["url_prefix"] for app in plugins_manager.get_fastapi_plugins()[0]],
    "provider": ProvidersManager().providers["upkeep"].version,
    "run": str(run.state),
    "package": __import__("upkeep").__file__,
}))
"""


@dataclass
class Place:
    """An environment of its own, a folder of its own, and the wheel."""

    home: Path
    wheel: Path
    environment: dict[str, str]

    def install(self, *what: str) -> None:
        python = self.home / "venv" / "bin" / "python"
        pinned = ["-c", str(CHECKOUT / "requirements.txt")]
        run(UV, "pip", "install", "--quiet", "--python", python, *pinned, *what, cwd=self.home)

    def python(self, *arguments: object, env: dict[str, str]) -> str:
        return run(self.home / "venv/bin/python", *arguments, cwd=self.home, env=self.environment | env)

    def upkeep(self, *arguments: str, env: dict[str, str], status: int = 0) -> str:
        program = self.home / "venv" / "bin" / "upkeep"
        return run(program, *arguments, cwd=self.home, env=self.environment | env, status=status)


def run(*command: object, cwd: Path, env: dict[str, str] | None = None, status: int = 0) -> str:
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, cwd=cwd, env=env)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout or done.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if built := os.environ.get("UPKEEP_DIST"):
        return Path(built).resolve()
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", folder, CHECKOUT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def place(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The core, without Airflow and without any engine's extra."""
    home = tmp_path_factory.mktemp("elsewhere")
    strange = ("AIRFLOW", "UPKEEP", "PYTHON", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(strange)}
    (wheel,) = dist.glob(f"upkeep-{upkeep.__version__}-*.whl")
    place = Place(home, wheel, environment | {"UPKEEP_STATE_DIR": str(home / "state")})
    run(UV, "venv", "--quiet", "--python", sys.executable, home / "venv", cwd=home)
    place.install(str(wheel))
    return place


@pytest.fixture
def env(place: Place, database: str, empty_control_database: str) -> dict[str, str]:
    """A database with a table in partitions, and an empty one for the ledger."""
    with closing(psycopg.connect(database, autocommit=True)) as connection:
        connection.execute("create table public.orders (id bigint, at timestamptz not null) partition by range (at)")
    nowhere = {name: f"{kind}://nobody@127.0.0.1:1/0" for name, kind in (("NUMBERS", "tidb"), ("CACHE", "redis"))}
    others = {f"AIRFLOW_CONN_{key}": uri for key, uri in nowhere.items()}
    others["AIRFLOW_CONN_PAPERS"] = "mongo://nobody@127.0.0.1:1/papers"
    return others | {"AIRFLOW_CONN_SHOP": database, "AIRFLOW_CONN_UPKEEP_CONTROL": empty_control_database}


def partitions(uri: str) -> int:
    with closing(psycopg.connect(uri)) as connection:
        (found,) = connection.execute("select count(*) from pg_inherits").fetchone() or (0,)
        return int(found)


def test_what_is_in_the_packages(dist: Path, place: Place) -> None:
    """All that a checkout has for its package, and nothing of the sample stack."""
    found = (p for folder in ("plugins/upkeep", "include", "dags") for p in (CHECKOUT / folder).rglob("*"))
    listed = [str(p.relative_to(CHECKOUT)) for p in found if p.is_file() and "__pycache__" not in p.parts]
    stack = ("include/sample/", "include/fleet.yaml")
    wanted = [p for p in listed if not p.startswith(stack) and not p.endswith(".sqlfluff")]
    held = {name for name in zipfile.ZipFile(place.wheel).namelist() if ".dist-info/" not in name}
    assert held == {p.removeprefix("plugins/") if p.startswith("plugins/") else f"upkeep/{p}" for p in wanted}
    with tarfile.open(dist / f"upkeep-{upkeep.__version__}.tar.gz") as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {*listed, "LICENSE", "README.md", "pyproject.toml"} <= names


def test_without_airflow(place: Place, env: dict[str, str]) -> None:
    assert upkeep.__version__ in place.upkeep("--version", env=env)
    told = place.upkeep("check", env=env, status=2)
    assert "give one with --fleet or UPKEEP_FLEET; a first one is written by: upkeep --fleet FILE init --from" in told
    assert "ready" in place.upkeep("init", env=env)
    place.upkeep("--fleet", "first.yaml", "init", "--from", "shop", env=env)

    (place.home / "fleet.yaml").write_text(FLEET)
    (place.home / "drafts.json").write_text('{"validator": {}}')
    env["UPKEEP_FLEET"] = str(place.home / "fleet.yaml")
    assert "create" in place.upkeep("plan", "partition_creation", "--statements", env=env)
    place.python("-c", "import upkeep.postgres.data_retention", env=env)  # without Arrow

    (place.home / "fleet.yaml").write_text(FLEET + OTHERS)
    missing = {"numbers": "upkeep[tidb]", "papers": "upkeep[mongo]", "cache": "upkeep[redis]"}
    checked = json.loads(place.upkeep("check", "--json", env=env, status=1))["targets"]
    told = {target["target"]: target["findings"][0]["summary"] for target in checked}
    assert all(f"pip install '{what}'" in told[name] for name, what in missing.items()), told
    for job, others in (("partition_creation", {"numbers", "papers"}), ("health_check", {*missing})):
        document: Any = json.loads(place.upkeep("run", job, "--json", env=env, status=1))
        ended = {target["target"]: (target["status"], target.get("error") or "") for target in document["targets"]}
        assert ended.pop("shop")[0] == "ok", document
        assert {*ended} == others
        assert all(status == "failed" and missing[name] in text for name, (status, text) in ended.items()), ended
    assert partitions(env["AIRFLOW_CONN_SHOP"]) == 3


def test_with_airflow(place: Place, env: dict[str, str]) -> None:
    """Two lines in a DAG file; the plugin and the connection type come with the package, once."""
    place.install(f"{place.wheel}[all]")
    (place.home / "airflow" / "dags").mkdir(parents=True)
    (place.home / "airflow" / "dags" / "upkeep.py").write_text(DAG_FILE)
    (place.home / "fleet.yaml").write_text(FLEET)
    place.upkeep("init", env=env)
    home = str(place.home / "airflow")
    settings = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONWARNINGS": "ignore"}
    settings["UPKEEP_FLEET"] = str(place.home / "fleet.yaml")
    found = json.loads(place.python("-c", AIRFLOW, f"{home}/dags", env=env | settings).splitlines()[-1])
    assert found.pop("package").startswith(str(place.home))
    assert found.pop("plugins").count("upkeep") == 1
    assert found == {
        "dags": sorted([*JOBS, "approved_changes"]),
        "dag errors": {},
        "plugin errors": {},
        "apps": ["/upkeep"],
        "provider": upkeep.__version__,
        "run": "success",
    }
    assert partitions(env["AIRFLOW_CONN_SHOP"]) == 3
