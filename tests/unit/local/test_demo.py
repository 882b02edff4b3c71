"""What `make run` says: what is not there yet is no failure, and all of it fits two screens."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from local import demo
from local.obtain import tidb
from local.stack import building
from upkeep import fleet, settings
from upkeep.jobs import spec
from upkeep.model import Finding, RunReport, Severity, TargetReport, TargetStatus

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        monkeypatch.setenv("UPKEEP_STATE_DIR", made)
        monkeypatch.delenv("UPKEEP_FLEET", raising=False)
        monkeypatch.delenv("UPKEEP_TIDB_URI", raising=False)
        yield Path(made)


def test_what_is_being_built_is_left_out_until_it_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidb, "installed", lambda: None)
    whole = fleet.load(settings.fleet_file())
    building.leave_out()
    (left_out,) = building.left_out()
    assert whole.target(left_out).engine == building.ENGINE
    path = Path(building.environment()["UPKEEP_FLEET"])
    known = fleet.load(path)
    assert whole.targets.keys() - known.targets.keys() == {left_out}
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
    building.put_back()
    assert building.left_out() == []
    assert fleet.load(path).targets == whole.targets
    assert building.environment()  # Airflow goes on with the same file


def test_where_all_is_there_nothing_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidb, "installed", lambda: Path("/somewhere"))
    building.leave_out()
    assert building.left_out() == []
    assert building.environment() == {}


def test_each_job_is_shown_and_none_before_what_it_waits_for() -> None:
    assert sorted(demo.ACTING + demo.LOOKING) == sorted(name for name, row in spec.JOBS.items() if row.cron)
    assert sorted(demo.ACTING + demo.LOOKING + demo.BY_HAND) == sorted(spec.JOBS)
    first = demo.ACTING[: demo.IN_ORDER]
    for name, row in spec.JOBS.items():
        assert {*row.waits_for} <= {*(first[: first.index(name)] if name in first else first)}, name


def test_the_summary_fits_two_screens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(width=80, record=True, highlight=False)
    monkeypatch.setattr(demo, "out", screen)
    bad = tuple(Finding.of("c", f"s{n}", Severity.ERROR, "very long " * 40) for n in range(9))
    targets = [TargetReport(target="t", engine="postgres", status=TargetStatus.UNHEALTHY, findings=bad)]
    targets += [TargetReport(target="u", engine="postgres", status=TargetStatus.FAILED, error="no\n" * 90)]
    for job in (*demo.ACTING, *demo.LOOKING):
        demo._tell(RunReport(run_id="r" * 25, job=job, at=AT, targets=tuple(targets)))
    lines = screen.export_text().splitlines()
    assert len(lines) <= 2 * 24 - 10, "and your turn"
    assert max(map(len, lines)) <= 80
    assert any("and 7 findings more" in line for line in lines)
