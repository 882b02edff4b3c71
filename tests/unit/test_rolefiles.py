"""The role files: which sections they have, and what is said where."""

from __future__ import annotations

from pathlib import Path

import pytest

from upkeep import rolefiles
from upkeep.jobs import spec
from upkeep.model import ENGINES
from upkeep.settings import include_dir

FILES = [
    (engine, str(path.relative_to(include_dir())))
    for engine in ENGINES
    for path in sorted(
        [*(include_dir() / engine / "roles").glob("*"), *(include_dir() / "sql" / "roles").glob(f"{engine}_*")]
    )
]


@pytest.mark.parametrize(("engine", "path"), FILES, ids=[path for _, path in FILES])
def test_sections_are_those_of_jobs_of_the_engine_and_of_all_that_change_things(engine: str, path: str) -> None:
    found = rolefiles.sections(engine, path)
    assert all(section.text for section in found)
    jobs = {name for name, job in spec.JOBS.items() if engine in job.engines}
    named = {section.job for section in found}
    assert named <= {rolefiles.ALWAYS, *jobs}
    if Path(path).stem.endswith("target"):
        assert named == {rolefiles.ALWAYS, *jobs}


def test_a_section_is_for_some_versions_only() -> None:
    section = rolefiles.Section("a", "text", since=7)
    assert (section.holds(6), section.holds(7)) == (False, True)
    section = rolefiles.Section("a", "text", until=7)
    assert (section.holds(6), section.holds(7)) == (True, False)
