"""The house: no circles, and the rooms of engines as the tables of jobs and engines have them."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp
import pytest

from upkeep.jobs import spec
from upkeep.model import ENGINES


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("upkeep")


def test_no_module_needs_itself(graph: grimp.ImportGraph) -> None:
    """Raises `graphlib.CycleError`, which names the circle."""
    TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_is_a_package_of_the_engines_in_its_row_and_knows_no_other(graph: grimp.ImportGraph, engine: str) -> None:
    jobs = {name: f"upkeep.{engine}.{name}" for name in spec.JOBS}
    here = {name for name, package in jobs.items() if package in graph.modules}
    assert here == {name for name, row in spec.JOBS.items() if engine in row.engines}
    for name in here:
        own = {jobs[name], *graph.find_descendants(jobs[name])}
        imported = {found for module in own for found in graph.find_modules_directly_imported_by(module)}
        others = {found for other in here - {name} for found in (jobs[other], *graph.find_descendants(jobs[other]))}
        assert not imported & others, f"{name} knows another job"
        above = {
            f"upkeep.{engine}",
            f"upkeep.{engine}.engine",
            f"upkeep.{engine}.check",
            f"upkeep.{engine}.first_fleet",
        }
        knowing = {found for module in own for found in graph.find_modules_that_directly_import(module)}
        base = {m for m in knowing - own if m.startswith(f"upkeep.{engine}.")} - above
        assert not base, f"the base of {engine} knows {name}: {base}"
