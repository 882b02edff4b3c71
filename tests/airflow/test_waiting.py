# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
"""A task sleeps, without a worker, until the backup that its plan needs has ended."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.dag_runs import OLD, READINGS, execute, report, run, states
from upkeep.model import TargetStatus

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.filterwarnings("ignore")  # as in test_runs

FLEET = """
version: 1
targets:
  good:
    engine: postgres
    connection: good
    backup: {{into: {into}}}
    tables:
      public.readings:
        retain: {{by: at, for: 30 days, then: delete, grace: 0 days, requires: {{backup: 26 hours}}}}
"""


def test_it_sleeps_until_the_backup_has_ended(  # noqa: PLR0917 - fixtures
    dags: "dict[str, DAG]",
    fleet: Callable[[str], Path],
    database: str,
    ledger: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from upkeep.airflow import waiting

    execute(database, READINGS + OLD)
    fleet(FLEET.format(into=tmp_path))
    monkeypatch.setattr(waiting, "EVERY", timedelta(seconds=1))
    backup = ledger.start_run("backup", datetime.now(UTC), trigger="manual", actor="ada", options={})
    ledger.start_target(backup, "good", "postgres")
    ended: list[datetime] = []

    def end() -> None:
        ended.append(datetime.now(UTC))
        ledger.finish_target(backup, "good", TargetStatus.FAILED, at=None, error="the disk is full")

    looks: list[str | None] = []
    asked = waiting.wait_or_go_on

    def counted(*given: Any, **more: Any) -> None:
        looks.append("look")
        if len(looks) == 2:
            threading.Timer(0.5, end).start()
        asked(*given, **more)

    monkeypatch.setattr(waiting, "wait_or_go_on", counted)
    dag_run = run(dags["data_retention"])
    assert states(dag_run)["wait[good]"] == "success", states(dag_run)
    assert len(looks) >= 3
    assert ended
    (target,) = report(ledger, dag_run).targets
    assert {o.reason_code for o in target.outcomes} <= {"needs_backup", "dependency_not_done"}, target.outcomes
    assert target.outcomes
    (count,) = execute(database, "select count(*) from readings where at < now() - interval '30 days'")
    assert count[0] > 0
