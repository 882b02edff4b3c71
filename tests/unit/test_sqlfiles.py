from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from upkeep.errors import ConfigurationError
from upkeep.sqlfiles import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
