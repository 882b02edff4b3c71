"""The order of a run: observe → gate → plan → apply → observe → gate, every step in the ledger.

Each step is a method that can run in a process of its own (an Airflow task) and passes nothing on but
the run's id and the target's name. What is alike on all engines is decided here: approval, backup,
window, limits, pause, the lease on the physical database; what is to be done is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from upkeep import connections, engines
from upkeep.engines import Address, ReadableEngine, Reader, Session
from upkeep.errors import CancelledError, ConfigurationError, NotSupportedError, UpkeepError
from upkeep.fleet import Fleet, Target
from upkeep.jobs import rooms, spec
from upkeep.jobs.contract import Ask, Job
from upkeep.model import (
    ENGINES,
    NOTHING_ASKED,
    Finding,
    FindingStatus,
    GateResult,
    Json,
    Observation,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    Request,
    RunReport,
    Stage,
    TargetReport,
    TargetStatus,
)
from upkeep.run import asking, faults, rules, settling, veto, waiting
from upkeep.run.applier import Applier
from upkeep.run.asking import request_of
from upkeep.run.progress import Progress
from upkeep.run.stopping import Stop

if TYPE_CHECKING:
    from upkeep.ledger import Ledger, RunRecord


@dataclass(frozen=True, slots=True)
class StepResult:
    """A reference to what a step stored: small enough to pass between tasks."""

    run_id: str
    target: str
    rows: int


@dataclass
class Runner:
    """Runs the steps of one or more runs.

    Attributes
    ----------
    addresses
        Resolves a connection id; raises `ConfigurationError`.
    progress
        Told what happens.
    now
        The real clock, for windows and ages of approvals and backups.
    """

    fleet: Fleet
    ledger: Ledger
    addresses: Callable[[str], Address] = connections.resolve
    progress: Progress | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stop: Stop = field(default_factory=Stop, repr=False)

    # -- the run ------------------------------------------------------------------------------------

    def targets(self, job: str, names: Sequence[str] = ()) -> list[str]:
        """Return the targets that declare something for the job, or of ``names`` those given.

        Raises `ConfigurationError` for an unknown job or target, or a named target without such a policy.
        """
        row = spec.require(job)
        for name in names:
            target = self.fleet.target(name)
            if not any(True for _ in rooms.policies(target, job)):
                able = " and ".join(engine for engine in ENGINES if engine in row.engines)
                wrong = f"declares nothing for {job}; add it to the fleet file"
                if target.engine not in row.engines:
                    wrong = f"is of {target.engine}; {job} is there for {able} only"
                raise ConfigurationError(f"target '{name}' {wrong}")
        declared = [
            name for name, target in self.fleet.targets.items() if any(True for _ in rooms.policies(target, job))
        ]
        return [name for name in declared if not names or name in names]

    def start(
        self,
        job: str,
        at: datetime,
        *,
        trigger: str,
        actor: str,
        targets: Sequence[str] = (),
        options: Json | None = None,
        request: Request = NOTHING_ASKED,
    ) -> str:
        """Begin a run over the targets and return its id."""
        names = self.targets(job, targets)
        options = {**(options or {}), **asking.options_of(request)}
        run_id = self.ledger.start_run(job, at, trigger=trigger, actor=actor, options=options)
        if spec.require(job).looks_only:
            return run_id  # a look is one row, and the target of a run only where something changed
        for name in names:
            self.ledger.start_target(run_id, name, self.fleet.target(name).engine)
        if not targets:
            self._tell_of_departed(run_id, job)
        return run_id

    def _tell_of_departed(self, run_id: str, job: str) -> None:
        """Report what targets of an earlier fleet file still keep detached: nobody may connect there any more.

        Targets too that are there still and declare nothing for the job: it does not look at them.
        """
        found: dict[str, list[Finding]] = {}
        for row in self.ledger.departed(job, self.targets(job)):
            found.setdefault(row["target"], []).append(rules.departed(row))
        for name, findings in found.items():
            self.ledger.save_findings(run_id, name, findings)

    def start_approved(self, plan_id: str, *, trigger: str, actor: str, options: Json | None = None) -> tuple[str, str]:
        """Begin a run of its own that will apply the part of a recorded plan that waits for a person.

        Returns
        -------
        tuple
            The run's id and the target's name.
        """
        origin, plan = self.ledger.find_plan(plan_id)
        self.fleet.target(plan.target)
        merged = {**(options or {}), "plan_id": plan.plan_id, "planned_by": origin}
        merged |= {"request": plan.request} if plan.request else {}  # what was approved is planned again with its own
        run_id = self.ledger.start_run(plan.job, plan.at, trigger=trigger, actor=actor, options=merged)
        self.ledger.start_target(run_id, plan.target, plan.engine)
        self.ledger.save_plan(run_id, rules.awaiting_part(plan))
        return run_id, plan.target

    def report(self, run_id: str) -> RunReport:
        """Return everything that the run did."""
        return self.ledger.report(run_id)

    def cancel(self) -> None:
        """Stop as soon as possible: cancel the running statement on the server; callable from a signal handler."""
        self.stop.cancel()

    # -- the steps ----------------------------------------------------------------------------------

    def observe(self, run_id: str, target: str, stage: Stage = "before") -> StepResult:
        """Read the target's state and store it."""
        with self.step(run_id, target):
            run, declared = self.ledger.run(run_id), self.fleet.target(target)
            observation = self.look(run.job, declared, run.at, request_of(run))
            self.ledger.save_observation(run_id, target, stage, observation)
            rows = sum(len(frame) for frame in observation.frames.values())
            self.say(target, f"observed {rows} rows")
            return StepResult(run_id, target, rows)

    def gate(self, run_id: str, target: str, stage: Stage) -> GateResult:
        """Evaluate the stage's suite on the stored observation and store the result; never raises for a failed gate."""
        from upkeep import gates  # noqa: PLC0415 - Great Expectations takes seconds to import

        with self.step(run_id, target):
            run, declared = self.ledger.run(run_id), self.fleet.target(target)
            job = self.job(run.job, declared)
            observation = self.ledger.load_observation(run_id, target, stage)
            if stage == "before":
                frames = job.frames(observation, declared, stage, None, ())
                result = gates.evaluate(run.job, declared.engine, stage, frames, observed=declared.mode == "observe")
            else:
                plan, outcomes = self.ledger.load_plan(run_id, target), self.ledger.outcomes(run_id, target)
                frames = job.frames(observation, declared, stage, plan, outcomes)
                undone = rules.left_undone(plan, outcomes)
                result = gates.evaluate(run.job, declared.engine, stage, frames, left_out=undone)
            self.ledger.save_gate(run_id, target, result)
            self.say(target, f"gate {stage}: {'passed' if result.success else 'FAILED'}")
            return result

    def plan(self, run_id: str, target: str) -> Plan:
        """Decide from the stored observation what to do, and store it with its findings."""
        with self.step(run_id, target):
            run, declared = self.ledger.run(run_id), self.fleet.target(target)
            job = self.job(run.job, declared)
            observation = self.ledger.load_observation(run_id, target, "before")
            plan = job.plan(observation, declared, request_of(run))
            plan = plan.model_copy(update={"policy": veto.policy_of(declared)})
            gate = self.ledger.load_gate(run_id, target, "before")
            if gate is not None:
                plan = rules.stopped_by_gate(plan, gate)
            if declared.mode == "observe":
                plan = rules.observe_only(plan)
            self.ledger.save_plan(run_id, plan)
            # what is well is in the plan, and in what the look measured
            self.ledger.save_findings(run_id, target, [f for f in plan.findings if f.status is not FindingStatus.OK])
            self.say(target, f"planned {len(plan.actions)} actions")
            return plan

    def apply(self, run_id: str, target: str, *, approval: str | None = None) -> list[Outcome]:
        """Carry out the stored plan; without ``approval`` only what needs no person.

        Parameters
        ----------
        approval
            The id of this very plan: its recorded approval is used up.

        Raises
        ------
        ApprovalRefusedError
            No valid approval of exactly this plan is recorded.
        LeaseLostError, CancelledError
            The run had to stop; what was done is recorded.
        """
        with self.step(run_id, target):
            run, declared = self.ledger.run(run_id), self.fleet.target(target)
            plan = self.ledger.load_plan(run_id, target)
            if approval is not None:
                if approval != plan.plan_id:
                    raise ConfigurationError(f"the approval names plan {approval}, but this run planned {plan.plan_id}")
                self.ledger.require_approval(plan.plan_id)
            gate = self.ledger.load_gate(run_id, target, "before")
            if gate is not None and gate.stops_target:
                return self._skip_all(run_id, plan, ReasonCode.GATE_FAILED, "the gate before it failed")
            if not plan.actions:
                return []
            bounded = self._is_late(run, declared, plan)
            if bounded:  # a cleared task: what this run has done already stays told as done
                ended = {o.action_id for o in self.ledger.outcomes(run_id, target) if o.status is OutcomeStatus.DONE}
                plan = plan.model_copy(update={"actions": tuple(a for a in plan.actions if a.id not in ended)})
                observation, plan = self._restricted(run, declared, plan, gate, approved=approval is not None)
            else:
                observation = self.ledger.load_observation(run_id, target, "before")
            use = None if approval is None else lambda: self.ledger.use_approval(approval, run_id=run_id)
            job = self.job(run.job, declared)
            applier = self.applier(
                run_id,
                declared,
                job,
                plan,
                observation,
                approved=approval is not None,
                bounded=bounded,
                use_approval=use,
            )
            return applier.carry_out()

    def _is_late(self, run: RunRecord, target: Target, plan: Plan) -> bool:
        """Return whether the plan is another run's, old, or of another policy: then today's has a veto."""
        return "planned_by" in run.options or veto.is_needed(
            plan, target, planned_at=self.ledger.planned_at(run.run_id, target.name), now=self.now()
        )

    def _restricted(
        self, run: RunRecord, target: Target, plan: Plan, gate: GateResult | None, *, approved: bool
    ) -> tuple[Observation, Plan]:
        """Return a fresh observation, and the plan as far as today's plan and the gate before allow it."""
        request = request_of(run)
        observation = self.look(run.job, target, plan.at, request)
        self.say(target.name, "holding the plan against today's fleet file and the present state")
        allowed = veto.restrict(plan, self.job(run.job, target).plan(observation, target, request), approved=approved)
        return observation, allowed if gate is None else rules.stopped_by_gate(allowed, gate)

    def verify(self, run_id: str, target: str) -> str | None:
        """Prove what the run left outside the database (a backup), whatever the window; returns the level.

        Its lease holds up other proofs of the same database, and nothing else.

        Whoever cannot prove it says so in a finding: what is not verified authorises nothing.
        """
        from upkeep.jobs.backup.copier import Bench  # noqa: PLC0415 - one job of many
        from upkeep.run import verifying  # noqa: PLC0415

        with self.step(run_id, target):
            run, declared = self.ledger.run(run_id), self.fleet.target(target)
            if not spec.require(run.job).verifies or declared.mode == "observe" or self.ledger.paused(target):
                return None
            bench = Bench(self.stop.raise_if_asked, lambda text: self.say(target, text))
            control = self.addresses(connections.CONTROL)
            verdict = verifying.verify_due(self.ledger, control, run_id, declared, bench, now=self.now)
            return None if verdict is None else verdict.level or "failed"

    def waits(self, run_id: str, target: str, *, looks: bool = False) -> str | None:
        """Return what the target's plan has to wait for before it is carried out; ``None``: nothing (any more).

        Parameters
        ----------
        looks
            Whether it is to be looked at only: then there is no plan yet.
        """
        run, declared = self.ledger.run(run_id), self.fleet.target(target)
        plan, since = (None, run.started_at) if looks else self.ledger.planned(run_id, target)
        return waiting.waits(self.ledger, run, declared, plan, since=since, now=self.now())

    def finish(self, run_id: str, target: str, error: str | None = None) -> TargetReport:
        """Conclude a target: its status from outcomes, gates and findings; return its report."""
        self.ledger.save_findings(run_id, target, self._pause(target))
        report = self._target_report(run_id, target)
        declared, record = self.fleet.target(target), self.ledger.run(run_id)
        report = settling.settle(self.ledger, record, declared, report, failed=error is not None)
        status = TargetStatus.FAILED if error else rules.conclude(report)
        plan_at = report.at
        self.ledger.finish_target(run_id, target, status, at=plan_at, error=error)
        return report.model_copy(update={"status": status, "error": error})

    def run_target(
        self, run_id: str, target: str, *, apply: bool, approve: bool = False, actor: str = ""
    ) -> TargetReport:
        """Do all steps for one target in this process; failures end in the report, not in an exception.

        Parameters
        ----------
        apply
            ``False``: stop after the plan.
        approve
            Approve, as ``actor``, what this very run plans.
        """
        try:
            self.observe(run_id, target)
            if not apply:
                return self._plan_only(run_id, target)
            gate = self.gate(run_id, target, "before")
            plan = self.plan(run_id, target)
            approval = None
            if approve and plan.awaiting and not gate.stops_target:
                self.ledger.approve(plan.plan_id, actor=actor, how="non-interactive")
                approval = plan.plan_id
            return self._apply_and_prove(run_id, target, approval)
        except CancelledError:
            raise
        except UpkeepError:
            return self._target_report(run_id, target)

    def _plan_only(self, run_id: str, target: str) -> TargetReport:
        """Plan; the gate, which takes seconds to import, is evaluated when something would have to pass it."""
        from upkeep import gates  # noqa: PLC0415 - as in `gate`

        with self.step(run_id, target):
            run, declared = self.ledger.run(run_id), self.fleet.target(target)
            job = self.job(run.job, declared)
            observation = self.ledger.load_observation(run_id, target, "before")
            frames = job.frames(observation, declared, "before", None, ())
            seen = gates.complete(run.job, declared.engine, "before", frames)
            idle = seen and not job.plan(observation, declared, request_of(run)).actions
        if not idle:
            self.gate(run_id, target, "before")
        self.plan(run_id, target)
        return self.finish(run_id, target)

    def run_approved(self, run_id: str, target: str, plan_id: str) -> TargetReport:
        """Do all steps of an approved plan's own run in this process (begun by `start_approved`)."""
        try:
            self.observe(run_id, target)
            self.gate(run_id, target, "before")
            return self._apply_and_prove(run_id, target, plan_id)
        except CancelledError:
            raise
        except UpkeepError:
            return self._target_report(run_id, target)

    def _apply_and_prove(self, run_id: str, target: str, approval: str | None) -> TargetReport:
        self.apply(run_id, target, approval=approval)
        self.verify(run_id, target)
        self.observe(run_id, target, "after")
        self.gate(run_id, target, "after")
        return self.finish(run_id, target)

    # -- helpers ------------------------------------------------------------------------------------

    def job(self, name: str, target: Target) -> Job[Session]:
        """Return a job on a target's engine. Raises `ConfigurationError` when it is not available there."""
        job = rooms.job(name, target.engine)
        if job is None:
            raise NotSupportedError(f"{name} is not available on {target.engine} yet; take it out of '{target.name}'")
        return job

    def applier(
        self,
        run_id: str,
        target: Target,
        job: Job[Session],
        plan: Plan,
        observation: Observation,
        *,
        approved: bool = False,
        bounded: bool = False,
        use_approval: Callable[[], None] | None = None,
    ) -> Applier:
        """Return what carries a plan out for this run; see `Applier`."""
        return Applier(
            run_id=run_id,
            target=target,
            job=job,
            plan=plan,
            observation=observation,
            ledger=self.ledger,
            control=self.addresses(connections.CONTROL),
            connect=lambda: self.open(target),
            source=self.source,
            stop=self.stop,
            say=self.say,
            now=self.now,
            approved=approved,
            bounded=bounded,
            use_approval=use_approval,
            lease_name=spec.require(plan.job).lease,
            ignores_window=spec.require(plan.job).ignores_window,
        )

    @contextmanager
    def open(self, target: Target) -> Iterator[Session]:
        """Connect to a target; `cancel` reaches the session."""
        address = self.addresses(target.connection)
        connections.require_engine(address, target.engine)
        engine = engines.engine(target.engine)
        with engine.open(address, application="upkeep") as session, self.stop.watching(session):
            yield session

    @contextmanager
    def source(self, name: str) -> Iterator[Reader]:
        """Connect to another target to read rows of it; `cancel` reaches that session too."""
        with self.open(self.fleet.target(name)) as session:
            room = cast("ReadableEngine", engines.engine(self.fleet.target(name).engine))
            yield room.reader(session)

    @contextmanager
    def step(self, run_id: str, target: str) -> Iterator[None]:
        """Record how the target ended when a step cannot go on."""
        try:
            self.stop.raise_if_asked()
            yield
        except Exception as error:
            status = rules.status_of(error)
            expected = isinstance(error, UpkeepError)
            text = faults.unexpected(error)
            self.ledger.finish_target(run_id, target, status, at=None, error=text)
            self.say(target, f"{status.value}: {text}")
            if self.stop.asked and not expected:
                raise CancelledError("the run was asked to stop; the statement was cancelled on the server") from error
            if not expected:
                raise UpkeepError(text) from error
            raise

    def look(self, name: str, target: Target, at: datetime, request: Request) -> Observation:
        """Observe a target for a job as of an instant, but never later than its server's clock."""
        job = self.job(name, target)
        memory = self.ledger.memory(target.name, name, job.remembers, spec.require(name).waits_for)
        with self.open(target) as session:
            self.stop.raise_if_asked()  # while it connected nothing could be cancelled
            server = session.facts()
            at = min(at, server.clock)
            return job.observe(Ask(name, session, target, at, memory, request, server, self.source))

    def _pause(self, target: str) -> list[Finding]:
        """Return that the target is paused, by whom and since when; a long pause is a warning."""
        pause = self.ledger.pause_of(target)
        return [] if pause is None else [rules.paused(target, pause, self.now())]

    def _target_report(self, run_id: str, target: str) -> TargetReport:
        (report,) = self.ledger.report(run_id, target).targets
        return report

    def _skip_all(self, run_id: str, plan: Plan, code: ReasonCode, message: str) -> list[Outcome]:
        outcomes = [rules.skipped(a, code, message) for a in plan.actions]
        for outcome in outcomes:
            self.ledger.record(run_id, plan.target, outcome)
        return outcomes

    def say(self, target: str, message: str, *, rows: int = 0, total: int | None = None) -> None:
        """Tell those who watch."""
        if self.progress is not None:
            self.progress(target, message, rows=rows, total=total)
