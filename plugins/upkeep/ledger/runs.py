"""Runs and their targets: begin, end, list, report."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from upkeep.errors import ConfigurationError, LedgerError
from upkeep.ledger import codec
from upkeep.ledger.approvals import Approvals
from upkeep.ledger.control import Row
from upkeep.ledger.records import NOT_FINISHED, RunRecord, RunSummary
from upkeep.model import (
    Finding,
    FindingStatus,
    GateResult,
    Json,
    Outcome,
    OutcomeStatus,
    Plan,
    PlanState,
    ReasonCode,
    RunReport,
    TargetReport,
    TargetStatus,
    fingerprint,
)

SKEW = timedelta(minutes=1)
"""Clocks of two machines may differ by so much without anybody asking for a time ahead."""


class Runs(Approvals):
    """The part of the ledger that knows runs, and what became of their plans."""

    def start_run(self, job: str, at: datetime, *, trigger: str, actor: str, options: Json) -> str:
        """Begin a run.

        Parameters
        ----------
        at
            The instant that the run works on (with zone).
        options
            What it was started with. ``planned_by`` marks a run that applies the plan of another run:
            plans saved under it are carried, not newly planned.

        Returns
        -------
        str
            The run's id, e.g. ``20261121T020000Z-1f3a5c7e``; ids sort by the time of starting.
        """
        rows = self._write(
            "start_run",
            suffix=secrets.token_hex(4),
            job=job,
            at=at,
            trigger=codec.text(trigger),
            actor=codec.text(actor),
            options=codec.jsonb(options),
        )
        return str(rows[0]["run_id"])

    def start_target(self, run_id: str, target: str, engine: str) -> None:
        """Begin a target of a run; doing it again (a cleared task) takes back how it ended."""
        self._write("start_target", run_id=run_id, target=target, engine=engine)

    def finish_target(
        self, run_id: str, target: str, status: TargetStatus, *, at: datetime | None, error: str | None
    ) -> None:
        """Record how a target ended; the last word counts."""
        safe = None if error is None else codec.text(error)
        if not self._write("finish_target", run_id=run_id, target=target, status=status.value, at=at, error=safe):
            raise LedgerError(f"run {run_id} has no target '{target}'; call start_target first")

    def finish_run(self, run_id: str) -> None:
        """Record the end of a run."""
        if not self._write("finish_run", run_id=run_id):
            raise LedgerError(f"there is no run {run_id}")

    def run(self, run_id: str) -> RunRecord:
        """Return a run by its id or a unique beginning of it.

        Raises
        ------
        ConfigurationError
            There is none, or there are several that begin so.
        """
        found = self._fetch("find_runs", prefix=run_id) if run_id else []
        if not found:
            raise ConfigurationError(f"no run '{run_id}' in the ledger; `upkeep runs` lists them")
        if len(found) > 1 and found[0]["run_id"] != run_id:
            several = ", ".join(row["run_id"] for row in found)
            raise ConfigurationError(f"several runs begin with '{run_id}' ({several} …); write more of the id")
        return RunRecord(**found[0])

    def runs(self, limit: int = 20, job: str | None = None, *, quiet: Sequence[str] = ()) -> list[RunSummary]:
        """Return the newest runs, newest first, with the states of their targets.

        Parameters
        ----------
        quiet
            Jobs of which only runs are wanted that found something changed.
        """
        return [_summary(row) for row in self._fetch("recent_runs", limit=limit, job=job, quiet=list(quiet))]

    def departed(self, job: str, targets: Sequence[str]) -> list[Row]:
        """Return the detached partitions of targets that are not among those of the fleet file any more."""
        return self._fetch("departed_partitions", job=job, targets=list(targets))

    def last_success(self, job: str, target: str) -> datetime | None:
        """Return when the job last ended ``ok`` or ``nothing_to_do`` for the target."""
        moment: datetime | None = self._fetch("last_success", job=job, target=target)[0]["finished_at"]
        return moment

    def report(self, run_id: str, target: str | None = None) -> RunReport:
        """Return everything that a run did, its targets by name, or of one of them.

        A target without an end is ``partial`` while the run goes on and ``failed`` when the run has ended
        without it; its ``error`` says so. Findings are those saved, and those of the plan that were not
        saved separately.

        Raises
        ------
        ConfigurationError
            As `run` does.
        """
        run = self.run(run_id)
        values: Row = {"run_id": run.run_id, "target": target}
        plans = {
            row["target"]: Plan.model_validate(codec.unpack(row["content"]))
            for row in self._fetch("run_plans", **values)
        }
        outcomes = _by_target(self._fetch("run_outcomes", **values), Outcome)
        running: dict[str, list[str]] = {}
        for row in self._fetch("run_unended", **values):
            if row["alive"]:
                running.setdefault(row["target"], []).append(row["action_id"])
            else:
                outcomes.setdefault(row["target"], []).append(_interrupted(row))
        findings = _by_target(self._fetch("run_findings", **values), Finding)
        gates = _by_target(self._fetch("run_gates", **values), GateResult)
        fates = self.fates([plan.plan_id for plan in plans.values()], run_id=run.run_id)
        targets = tuple(
            _target(
                row,
                run,
                plans.get(row["target"]),
                outcomes=tuple(outcomes.get(row["target"], ())),
                findings=tuple(findings.get(row["target"], ())),
                gates=tuple(gates.get(row["target"], ())),
                running=tuple(running.get(row["target"], ())),
                fates=fates,
            )
            for row in self._fetch("run_targets", **values)
        )
        if target is None or not targets:  # of one target that is written down there is no more to be known
            targets += tuple(map(_unchanged, self._fetch("run_looks", **values)))
        at, notes = _worked_on(run, targets)
        others = findings.keys() - {t.target for t in targets}
        apart = tuple(_named(f, run, name) for name in sorted(others) for f in findings[name])
        whole = tuple(g for name in sorted(gates.keys() - {t.target for t in targets}) for g in gates[name])
        return RunReport(
            run_id=run.run_id, job=run.job, at=at, targets=targets, notes=notes, findings=apart, gates=whole
        )


def _worked_on(run: RunRecord, targets: tuple[TargetReport, ...]) -> tuple[datetime, tuple[str, ...]]:
    """Return the instant that a run worked on: of one that lies ahead of the servers' clocks, those."""
    if run.at <= run.started_at + SKEW:
        return run.at, ()
    used = max((t.at for t in targets if t.at is not None), default=run.started_at)
    note = f"{run.at:%Y-%m-%d %H:%M:%S %Z} lies ahead: the server's clock was used instead"
    return min(used, run.at), (note,)


def _summary(row: Row) -> RunSummary:
    states = {name: state or NOT_FINISHED for name, state in sorted(row.pop("targets").items())}
    return RunSummary(**row, targets=states)


def _by_target(rows: list[Row], kind: type[Any]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row["target"], []).append(kind.model_validate(row["body"]))
    return grouped


def _unchanged(row: Row) -> TargetReport:
    """Return what is known of a target that was as it had been at the look before."""
    return TargetReport(target=row["target"], engine=row["engine"], status=TargetStatus(row["status"]), at=row["at"])


def _interrupted(row: Row) -> Outcome:
    """Return what is known of an action whose process was killed in the middle."""
    note = row["note"] or {}
    rows = note.get("rows_so_far", note.get("rows"))
    moved = "" if rows is None else f"; at least {rows:,} rows had gone until then"
    return Outcome(
        action_id=row["action_id"],
        status=OutcomeStatus.FAILED,
        reason_code=ReasonCode.INTERRUPTED,
        rows=rows,
        message=f"begun at {row['begun_at']:%Y-%m-%d %H:%M} UTC and stopped in the middle, its process is gone{moved}. "
        "What was committed stays; the next run looks at the state and carries on",
        evidence=note,
    )


def _named(finding: Finding, run: RunRecord, target: str) -> Finding:
    """Return a finding with its fingerprint, also where its target has not come to its end."""
    if finding.fingerprint is not None or finding.status is FindingStatus.OK:
        return finding
    return finding.model_copy(update={"fingerprint": fingerprint(target, run.job, finding)})


def _target(
    row: Row,
    run: RunRecord,
    plan: Plan | None,
    *,
    outcomes: tuple[Outcome, ...],
    findings: tuple[Finding, ...],
    gates: tuple[GateResult, ...],
    running: tuple[str, ...],
    fates: Mapping[str, PlanState],
) -> TargetReport:
    status, error = row["status"], row["error"]
    if status is None and run.finished_at is None:
        status, error = TargetStatus.PARTIAL, f"not finished yet (begun {row['started_at']:%Y-%m-%d %H:%M:%S} UTC)"
    elif status is None:
        status, error = TargetStatus.FAILED, "never finished: its process was stopped; the next run carries on"
    said = {(f.check, f.subject) for f in findings}
    planned = () if plan is None else tuple(f for f in plan.findings if (f.check, f.subject) not in said)
    return TargetReport(
        target=row["target"],
        engine=row["engine"],
        status=TargetStatus(status),
        at=row["at"] or (plan.at if plan else None),
        plan_id=plan.plan_id if plan else None,
        actions=plan.actions if plan else (),
        outcomes=outcomes,
        findings=tuple(_named(f, run, row["target"]) for f in findings + planned),
        gates=gates,
        running=running,
        plan_state=fates.get(plan.plan_id) if plan else None,
        error=error,
        seconds=(row["finished_at"] - row["started_at"]).total_seconds() if row["finished_at"] else None,
    )
