"""Engines and jobs are named once: in their tables, and where they themselves are at home."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from upkeep import fleet, settings
from upkeep.fleet import keys
from upkeep.jobs import spec
from upkeep.model import ENGINES, LeaseName

ROOT = settings.checkout()
FILES = sorted(p.relative_to(ROOT) for folder in ("plugins", "local") for p in (ROOT / folder).rglob("*.py"))
TABLES = {"plugins/upkeep/model/engine.py": {*ENGINES}, "plugins/upkeep/jobs/spec.py": {*spec.JOBS, *ENGINES}}
ALLOWED = {
    "plugins/upkeep/airflow/hooks.py": {*ENGINES},  # a class for each of Airflow's own hooks, which have those names
    "plugins/upkeep/airflow/provider.py": {"tidb"},  # read by every Airflow process: it imports nothing
}


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module, docstrings left out."""
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.lineno, node.value


def own(path: Path) -> set[str]:
    """Return the names that a module may write: those of the folders that it lies in, and what its table lists.

    The servers of the local stack are a table of their own, so engines may be named there.
    """
    names = {*path.parts[2:-1]} | TABLES.get(str(path), set()) | ALLOWED.get(str(path), set())
    return names | {*ENGINES} if path.parts[0] == "local" else names


def test_a_name_is_written_in_its_table_and_at_home_only() -> None:
    """Elsewhere it comes from `model.ENGINES`, `jobs.spec`, or what is at hand (``target.engine``, ``job.name``).

    ``backup`` is the word of a lease and of a requirement too; a test of words cannot tell which is meant.
    """
    found = []
    for path in FILES:
        strange = {*ENGINES, *spec.JOBS} - own(path) - {*get_args(LeaseName)}
        written = texts(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        found += [f"{path}:{line}: {text}" for line, text in written if text in strange]
    assert found == []


def test_what_is_allowed_is_there() -> None:
    assert {*TABLES, *ALLOWED} <= {str(path) for path in FILES}


@pytest.mark.parametrize("row", spec.JOBS.values(), ids=lambda row: row.name)
def test_a_jobs_row_names_what_there_is(row: spec.JobSpec) -> None:
    """A key that nobody can write would mean a job that never runs, without a word."""
    assert row.engines <= {*ENGINES}
    rooms = {name for name in ENGINES if (ROOT / "plugins/upkeep" / name / row.name / "__init__.py").is_file()}
    assert rooms == row.engines
    of_objects = {
        f"{section}.{key}"
        for section, field in fleet.Target.model_fields.items()
        if any(section in engine.sections for engine in ENGINES.values())
        for key in get_args(field.annotation)[1].model_fields
    }
    known = of_objects | {f"target.{key}" for key in keys.found()}
    known |= {key.partition(".")[2] for key in known}
    assert {*row.policy_keys} <= known


@pytest.mark.parametrize("name", ENGINES)
def test_the_linter_guards_each_engine(name: str) -> None:
    """The linter's contracts are no Python: that each room and each driver is in them is asked here."""
    rules = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'protected_modules = ["{ENGINES[name].driver}"]' in rules
    assert rules.count(f'"upkeep.{name}"') >= 3
