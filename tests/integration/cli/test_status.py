"""The page of the fleet as text, on a real ledger: what needs a person, what is known, how old it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result

from tests.harness import values
from tests.harness.command_line import Upkeep
from upkeep import connections
from upkeep.jobs import spec
from upkeep.ledger import Ledger
from upkeep.model import (
    Action,
    Finding,
    GateFailure,
    GateResult,
    Issue,
    IssueEvent,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    Requirement,
    Severity,
    TargetStatus,
    Transition,
    fingerprint,
)

FLEET = """\
version: 1
targets:
  shop:
    engine: postgres
    connection: shop_db
    tables:
      app.logs: {partition: {by: at, every: 1 month, ahead: 3}, retain: {for: 30 days, then: delete}}
  books:
    engine: postgres
    connection: books_db
    mode: observe
    tables:
      app.logs: {partition: {by: at, every: 1 month, ahead: 3}}
"""
RETENTION, CREATION, LOOKING = "data_retention", "partition_creation", "looking"


@pytest.fixture
def ledger(control_database: str) -> Iterator[Ledger]:
    with Ledger.open(connections.parse(connections.CONTROL, control_database), migrate=True) as opened:
        yield opened


@pytest.fixture
def upkeep(control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    looking = {"cron": "*/5 * * * *", "looks_only": True, "description": "Looks"}
    looks = spec.JobSpec(name=LOOKING, engines=frozenset({"postgres"}), policy_keys=("quality",), **looking)
    rows = {name: spec.JOBS[name] for name in (CREATION, RETENTION)}
    monkeypatch.setattr(
        spec, "JOBS", rows | {LOOKING: looks}
    )  # jobs that hold everywhere would be in all of the counts
    return Upkeep(tmp_path / "fleet.yaml", FLEET)


class Nights:
    """A ledger in which runs are written down as they ended."""

    def __init__(self, ledger: Ledger, control: str) -> None:
        self.ledger = ledger
        self.control = control

    def ended(
        self,
        job: str,
        target: str,
        status: TargetStatus,
        *,
        hours: float = 1,
        error: str | None = None,
        trigger: str = "scheduled",
        at: datetime | None = None,
        options: dict[str, Any] | None = None,
    ) -> str:
        """Write down a run of so many hours ago over one target."""
        moment = datetime.now(UTC) - timedelta(hours=hours)
        run_id = self.ledger.start_run(job, at or moment, trigger=trigger, actor="airflow", options=options or {})
        self.ledger.start_target(run_id, target, "postgres")
        self.ledger.finish_target(run_id, target, status, at=moment, error=error)
        self.ledger.finish_run(run_id)
        with psycopg.connect(self.control, autocommit=True) as connection:
            for table in ("run", "run_target"):
                connection.execute(
                    f"update upkeep.{table} set started_at = %s, finished_at = %s where run_id = %s",
                    (moment, moment + timedelta(minutes=2), run_id),
                )
        return run_id

    def fine(self) -> None:
        """Let all jobs have ended well an hour ago."""
        self.ended(CREATION, "shop", TargetStatus.NOTHING_TO_DO)
        self.ended(RETENTION, "shop", TargetStatus.OK)
        self.ended(CREATION, "books", TargetStatus.OBSERVED)

    def open(self, severity: Severity, *, hours: float, check: str = "default_rows", subject: str = "app.logs") -> str:
        """Let a finding be open since so many hours ago."""
        finding = Finding.of(check, subject, severity, "12 rows <far> ahead", "look at them", evidence={"rows": 12})
        key = fingerprint("shop", CREATION, finding)
        since = datetime.now(UTC) - timedelta(hours=hours)
        known = finding.model_dump(include={"check", "subject", "status", "severity", "summary", "remedy", "evidence"})
        issue = Issue(fingerprint=key, target="shop", job=CREATION, first_seen=since, first_run="r", **known)
        self.ledger.change_issues([Transition(event=IssueEvent.NEW, issue=issue, at=since, run_id="r")])
        return key

    def waits(self, *, subject: str = "app.logs_2025") -> str:
        """Let a plan of the retention of shop wait for a person."""
        run_id = self.ended(RETENTION, "shop", TargetStatus.AWAITING_APPROVAL)
        drop = Action.make(
            kind="drop_partition",
            subject=subject,
            args={},
            statements=("drop table x",),
            reason="old",
            destructive=True,
            precondition="still there",
            rows=480981,
            requires=Requirement(kind="approval"),
        )
        now = datetime.now(UTC)
        seen = values.observation(
            target="shop", engine="postgres", job=RETENTION, identity="i", version="15", at=now, frames={}
        )
        plan = Plan.make(seen, [drop], [])
        self.ledger.save_plan(run_id, plan)
        return plan.plan_id


@pytest.fixture
def nights(ledger: Ledger, control_database: str) -> Nights:
    return Nights(ledger, control_database)


def sentence(found: Any) -> str:
    """Return the verdict without the hour, which is another one while the night goes on."""
    return re.sub(r"\d\d:\d\d UTC", "HOUR", str(found["verdict"]))


def document(upkeep: Upkeep, status: int) -> Any:
    result = upkeep("status", "--json")
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def cell(found: Any, target: str, job: str) -> Any:
    (line,) = [t for t in found["targets"] if t["target"] == target]
    (only,) = [c for c in line["jobs"] if c["job"] == job]
    return only


def text(upkeep: Upkeep) -> str:
    result: Result = upkeep("status")
    return " ".join(result.output.split())


def test_what_never_ran_is_not_fine(upkeep: Upkeep, nights: Nights) -> None:
    found = document(upkeep, 3)
    assert sentence(found).startswith("Nothing is known yet: no job has run; next night at HOUR")
    assert {c["status"] for t in found["targets"] for c in t["jobs"]} == {"never"}
    nights.fine()
    found = document(upkeep, 0)
    assert sentence(found) == "Nothing needs you; nothing was lost; next night at HOUR"
    # plans only, looks at another time, runs for a part and what takes back say nothing about how it is
    for options, more in (
        ({"plan_only": True}, {}),
        ({"request": {"table": "x"}}, {}),
        ({}, {"trigger": "undo"}),
        ({}, {"at": datetime(2026, 1, 1, tzinfo=UTC)}),
    ):
        nights.ended(RETENTION, "shop", TargetStatus.FAILED, hours=0, options=options, error="not so", **more)
    assert cell(document(upkeep, 0), "shop", RETENTION)["status"] == "ok"
    upkeep.text = FLEET.replace("  books:", "  extra:")  # one is gone from the fleet file, one came
    found = document(upkeep, 3)
    assert [t["target"] for t in found["targets"]] == ["shop", "extra"]
    assert cell(found, "extra", CREATION)["status"] == "never"
    assert "partition creation (on 1 database) has never run" in sentence(found)
    assert "nothing was lost" not in sentence(found)
    assert "has never run here" in text(upkeep)


def test_what_needs_a_person(upkeep: Upkeep, nights: Nights, ledger: Ledger) -> None:
    nights.fine()
    plan_id = nights.waits()
    found = document(upkeep, 0)
    assert sentence(found) == "One thing needs you; nothing was lost; next night at HOUR"
    (need,) = found["needs"]
    assert need["title"] == "shop, data retention: 1 action (480,981 rows) waits for your approval"
    assert need["plan_id"] == plan_id
    assert f"run data_retention --approve {plan_id}" in text(upkeep)

    run_id = nights.ended(CREATION, "shop", TargetStatus.PARTIAL, hours=0.5, error="")
    failure = GateFailure(expectation="e", summary="expected: no gap; not so: app.logs", stops="subject")
    gate = GateResult(suite="s", stage="after", success=False, evaluated=1, failed=(failure,), checked=("no gap",))
    ledger.save_gate(run_id, "shop", gate)
    found = document(upkeep, 1)
    assert sentence(found).startswith("Two things need you; next night")
    assert "gate after: expected: no gap; not so: app.logs" in text(upkeep)
    ledger.save_gate(run_id, "shop", gate.model_copy(update={"success": True, "failed": ()}))
    busy = Action.make(
        kind="attach", subject="app.logs_1", args={}, statements=(), reason="r", destructive=False, precondition="p"
    )
    failed = Outcome(
        action_id=busy.id, status=OutcomeStatus.FAILED, reason_code=ReasonCode.LOCK_NOT_OBTAINED, message="busy"
    )
    ledger.record(run_id, "shop", failed)
    found = document(upkeep, 3)  # not now: the next run tries again
    assert sentence(found).startswith("One thing needs you; one could not be finished or looked at; next night")

    nights.open(Severity.ERROR, hours=30)
    found = document(upkeep, 1)
    shop = found["targets"][0]
    assert (shop["verdict"], shop["findings"], shop["pending"]) == ("bad", {"ERROR": 1}, 1)
    nights.ended(CREATION, "shop", TargetStatus.UNREACHABLE, hours=0.2, error="no answer")
    said = text(upkeep)
    assert "shop, partition creation: unreachable no answer ERROR: app.logs 12 rows <far> ahead" in said


def test_an_approved_part_does_not_hide_what_else_failed(upkeep: Upkeep, nights: Nights) -> None:
    nights.fine()
    approved = {"planned_by": "r", "plan_id": "p"}
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)  # it works on the instant of its plan
    nights.ended(RETENTION, "shop", TargetStatus.FAILED, hours=0.9, error="boom")
    nights.ended(RETENTION, "shop", TargetStatus.OK, hours=0.5, options=approved, at=long_ago)
    assert cell(document(upkeep, 1), "shop", RETENTION)["status"] == "failed"
    nights.ended(RETENTION, "shop", TargetStatus.AWAITING_APPROVAL, hours=0.4)
    nights.ended(RETENTION, "shop", TargetStatus.OK, hours=0.3, options=approved, at=long_ago)
    assert cell(document(upkeep, 0), "shop", RETENTION)["status"] == "ok"


def test_a_job_that_stopped_and_one_that_was_killed(upkeep: Upkeep, nights: Nights, ledger: Ledger) -> None:
    nights.ended(RETENTION, "shop", TargetStatus.OK, hours=70)
    nights.ended(CREATION, "shop", TargetStatus.OK, hours=37)
    nights.ended(CREATION, "books", TargetStatus.OBSERVED, hours=2)
    found = document(upkeep, 1)
    stopped, late = cell(found, "shop", RETENTION), cell(found, "shop", CREATION)
    assert (stopped["pace"], stopped["overdue"], stopped["status"]) == ("stopped", True, "ok")
    assert 69 * 3600 < stopped["age_seconds"] < 71 * 3600
    assert (late["pace"], late["overdue"]) == ("late", True)
    assert "partition creation (on 1 database) did not run when it was due" in sentence(found)
    assert "nothing was lost" not in sentence(found)
    assert "data retention has stopped: it has not run on shop since" in text(upkeep)

    nights.ended(CREATION, "shop", TargetStatus.OK, hours=2)
    run_id = ledger.start_run(RETENTION, datetime.now(UTC), trigger="scheduled", actor="airflow", options={})
    ledger.start_target(run_id, "shop", "postgres")
    found = document(upkeep, 3)
    assert cell(found, "shop", RETENTION)["status"] == "not_finished"
    assert "data retention is running" in sentence(found)
    ledger.finish_run(run_id)  # its process is gone, and never said how it ended
    assert "never finished" in text(upkeep)
    assert document(upkeep, 1)["targets"][0]["verdict"] == "bad"


def test_who_holds_changes_back_is_said(upkeep: Upkeep, nights: Nights, ledger: Ledger) -> None:
    nights.fine()
    ledger.pause("shop", actor="anna", reason="moving")
    said = text(upkeep)
    assert "paused by anna since" in said
    assert ": moving" in said
    assert "only observed: the fleet file says mode: observe; nothing was ever changed" in said
    ledger.pause(None, actor="otto")
    assert "the whole fleet was paused by otto" in text(upkeep)


def test_findings_new_before_standing_the_gravest_first(upkeep: Upkeep, nights: Nights, ledger: Ledger) -> None:
    nights.fine()
    nights.open(Severity.WARNING, hours=2, check="gap")
    nights.open(Severity.WARNING, hours=50, check="overlap")
    known = nights.open(Severity.CRITICAL, hours=50, check="corrupt")
    nights.open(Severity.INFO, hours=2, check="small")
    until = datetime.now(UTC) + timedelta(days=1)
    ledger.acknowledge(known, until=until, actor="anna", why="known")
    said = text(upkeep)
    assert document(upkeep, 0)["targets"][0]["findings"] == {"WARNING": 2, "INFO": 1}
    assert said.index("(new)") < said.index("(since ")
    assert "1 of severity INFO, 1 acknowledged" in said
    assert "CRITICAL" not in said


def test_how_far_the_partitions_reach(
    upkeep: Upkeep, nights: Nights, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("create schema app")
        db.execute("create table app.logs (at timestamptz not null) partition by range (at)")
    nights.fine()
    (line, _) = document(upkeep, 0)["targets"]
    assert "headroom_days" not in line
    assert "How far the partitions reach is not known" in text(upkeep)
    assert upkeep("run", CREATION, "--target", "shop").exit_code == 0
    (line, _) = document(upkeep, 0)["targets"]
    assert 88 < line["headroom_days"] < 124
    assert "(app.logs)" in text(upkeep)


def test_a_look_counts_though_nothing_has_changed(upkeep: Upkeep, nights: Nights, ledger: Ledger) -> None:
    """Looks that find what the one before found write no target of a run: their cell is fresh all the same."""
    (upkeep.fleet.parent / "own.json").write_text(
        json.dumps({"name": "own", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "v"}}]})
    )
    upkeep.text = FLEET.replace("then: delete}}", "then: delete}, quality: own.json}")
    nights.fine()
    written = nights.ended(LOOKING, "shop", TargetStatus.OK, hours=20)
    assert cell(document(upkeep, 1), "shop", LOOKING)["pace"] == "stopped"

    def look(status: TargetStatus) -> str:
        run_id = ledger.start_run(LOOKING, datetime.now(UTC), trigger="scheduled", actor="airflow", options={})
        ledger.record_look(run_id, "shop", LOOKING, at=datetime.now(UTC), status=status.value, seen=[], unseen=[])
        return run_id

    look(TargetStatus.OK)
    found = cell(document(upkeep, 0), "shop", LOOKING)
    assert (found["pace"], found["status"], found["run_id"]) == ("on_time", "ok", written)
    assert found["age_seconds"] < 60
    blind = look(TargetStatus.UNREACHABLE)
    found = document(upkeep, 3)
    assert (cell(found, "shop", LOOKING)["status"], cell(found, "shop", LOOKING)["run_id"]) == ("unreachable", blind)
    assert sentence(found).startswith("Nothing needs you; one could not be finished or looked at; nothing was lost")
