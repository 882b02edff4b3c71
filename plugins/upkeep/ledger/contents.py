"""What a run saw and decided: observations, plans, findings, gates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from upkeep.errors import ConfigurationError
from upkeep.ledger import codec
from upkeep.ledger.base import Part
from upkeep.ledger.control import Row
from upkeep.model import Finding, GateResult, Observation, Outcome, Plan, Stage


class Contents(Part):
    """The part of the ledger that keeps values. Saving again appends; the newest counts."""

    def save_observation(self, run_id: str, target: str, stage: Stage, observation: Observation) -> None:
        """Store what a run saw, before or after."""
        content = codec.pack(observation.model_dump())
        self._write("save_observation", run_id=run_id, target=target, stage=stage, content=content)

    def load_observation(self, run_id: str, target: str, stage: Stage) -> Observation:
        """Return the newest observation; `ConfigurationError` when there is none."""
        rows = self._fetch("load_observation", run_id=run_id, target=target, stage=stage)
        if not rows:
            raise ConfigurationError(f"run {run_id} has not observed '{target}' ({stage}); observe comes first")
        return Observation.model_validate(codec.unpack(rows[0]["content"]))

    def save_plan(self, run_id: str, plan: Plan) -> None:
        """Store a plan; it supersedes every other plan of the same target and job.

        Except under a run whose options name ``planned_by``: that run applies what another one planned.
        """
        with self._control.transaction():
            self._control.write("decision_lock", target=plan.target, job=plan.job)
            self._write(
                "save_plan",
                run_id=run_id,
                target=plan.target,
                job=plan.job,
                plan_id=plan.plan_id,
                awaiting=[action.id for action in plan.awaiting],
                content=codec.pack(plan.model_dump()),
            )

    def load_plan(self, run_id: str, target: str) -> Plan:
        """Return the newest plan of a run and target; `ConfigurationError` when there is none."""
        return _plan(self._planned(run_id, target))

    def planned_at(self, run_id: str, target: str) -> datetime:
        """Return when a run planned for a target; `ConfigurationError` when it did not."""
        moment: datetime = self._planned(run_id, target)["recorded_at"]
        return moment

    def planned(self, run_id: str, target: str) -> tuple[Plan, datetime]:
        """Return the newest plan of a run and target, and since when it is there; raises as `load_plan`."""
        row = self._planned(run_id, target)
        return _plan(row), row["recorded_at"]

    def _planned(self, run_id: str, target: str) -> Row:
        rows = self._fetch("load_plan", run_id=run_id, target=target)
        if not rows:
            raise ConfigurationError(f"run {run_id} has no plan for '{target}'; plan comes first")
        return rows[0]

    def find_plan(self, plan_id: str) -> tuple[str, Plan]:
        """Return the run that newest planned exactly this, and the plan; a unique beginning of the id is enough.

        Raises
        ------
        ConfigurationError
            There is none, or there are several that begin so.
        """
        found = self._fetch("find_plans", prefix=plan_id) if plan_id else []
        if not found:
            raise ConfigurationError(f"no plan '{plan_id}' in the ledger; `upkeep pending` lists those that wait")
        if len(found) > 1 and found[0]["plan_id"] != plan_id:
            several = ", ".join(row["plan_id"] for row in found)
            raise ConfigurationError(f"several plans begin with '{plan_id}' ({several} …); write more of the id")
        return str(found[0]["run_id"]), Plan.model_validate(codec.unpack(found[0]["content"]))

    def save_findings(self, run_id: str, target: str, findings: Iterable[Finding]) -> None:
        """Store findings; what they say about a check and subject replaces what was saved before."""
        bodies = [finding.model_dump(mode="json") for finding in findings]
        if bodies:
            self._write("save_findings", run_id=run_id, target=target, findings=codec.jsonb(bodies))

    def save_gate(self, run_id: str, target: str, gate: GateResult) -> None:
        """Store the result of a gate."""
        self._write(
            "save_gate",
            run_id=run_id,
            target=target,
            stage=gate.stage,
            suite=gate.suite,
            success=gate.success,
            body=codec.jsonb(gate.model_dump(mode="json")),
        )

    def load_gate(self, run_id: str, target: str, stage: str) -> GateResult | None:
        """Return the newest result of the stage's gate, or ``None`` when it was not evaluated."""
        rows = self._fetch("load_gate", run_id=run_id, target=target, stage=stage)
        return GateResult.model_validate(rows[0]["body"]) if rows else None

    def outcomes(self, run_id: str, target: str) -> list[Outcome]:
        """Return the newest outcome of each action of a run and target, in the order in which they ended."""
        return [
            Outcome.model_validate(row["body"]) for row in self._fetch("run_outcomes", run_id=run_id, target=target)
        ]


def _plan(row: Row) -> Plan:
    return Plan.model_validate(codec.unpack(row["content"]))
