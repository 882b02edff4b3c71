from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import upkeep
from upkeep import checkfiles, settings
from upkeep.errors import ConfigurationError
from upkeep.sqlfiles import load

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "include" / "sql" / "postgres"
    (folder / "inner").mkdir(parents=True)
    for name in ("sizes", "sizes.pg14", "sizes.pg16", "sizes_all", "sizes_all.pg17", "only.pg16", "inner/deep"):
        (folder / f"{name}.sql").write_text(f"-- {name}\n  select 1;\n\n")
    monkeypatch.setenv("UPKEEP_HOME", str(tmp_path))
    load.cache_clear()
    yield "postgres"
    load.cache_clear()


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("sizes", None, "sizes"),
        ("sizes", 13, "sizes"),
        ("sizes", 14, "sizes.pg14"),
        ("sizes", 15, "sizes.pg14"),
        ("sizes", 16, "sizes.pg16"),
        ("sizes", 18, "sizes.pg16"),
        ("sizes", 150004, "sizes.pg14"),  # server_version_num
        ("sizes_all", 16, "sizes_all"),
        ("only", 17, "only.pg16"),
        ("inner/deep", 17, "inner/deep"),
    ],
)
def test_the_variant_for_the_version(room: str, name: str, version: int | None, expected: str) -> None:
    assert load(room, name, version) == f"-- {expected}\n  select 1;\n\n"


@pytest.mark.parametrize(("name", "version"), [("nothing", None), ("only", 15), ("only", None)])
def test_a_missing_statement_is_named(room: str, name: str, version: int | None) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(room, name, version)


def test_what_is_said_to_the_linter_is_not_part_of_a_statement(room: str, tmp_path: Path) -> None:
    text = "-- Says why.\nselect 1 -- noqa: PRS\nfrom t  --noqa\nwhere a = '--' -- noqa: AL05, LT01\n"
    (tmp_path / "include" / "sql" / room / "told.sql").write_text(text)
    assert load(room, "told") == "-- Says why.\nselect 1\nfrom t\nwhere a = '--'\n"


@functools.cache
def _said() -> set[str]:
    """All that stands between quotes in the code."""
    code = Path(upkeep.__file__).parent.rglob("*.py")
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in code)
    return {n.value for t in trees for n in ast.walk(t) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@pytest.mark.parametrize("engine", ["postgres", "tidb", "control"])
def test_every_statement_is_used_and_every_one_used_is_there(engine: str) -> None:
    folder, said = settings.include_dir() / "sql" / engine, _said()
    there = {re.sub(r"\.pg\d+$", "", f.relative_to(folder).with_suffix("").as_posix()) for f in folder.rglob("*.sql")}
    there = {name for name in there if not name.startswith("migrations/")}
    checks = checkfiles.names(engine) if engine != "control" else set()
    unused = {name for name in there - said if name.rpartition("/")[2] not in checks}  # a check's statement is its name
    assert not unused
    everywhere = {f.relative_to(folder.parent).with_suffix("").as_posix() for f in folder.parent.rglob("*.sql")}
    of_jobs = {s for s in said if re.fullmatch(r"(data_retention|partition_creation)/\w+(/\w+)*", s)}
    missing = {s for s in of_jobs if not any(e.split("/", 1)[1] == s or e.startswith(f"tidb/{s}") for e in everywhere)}
    assert not missing
