"""A job done on a real server step by step, as the runner does it but without its ledger and its decisions.

What all engines' tests share: a fleet file in one line, a session, the job (`Runs`) and what came of it (`Run`).
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from upkeep import connections, engines, fleet, gates
from upkeep.engines import Address, Reader
from upkeep.fleet import Fleet, Target
from upkeep.jobs import rooms
from upkeep.jobs.contract import Ask, Job, Open, Work, go_on
from upkeep.ledger import codec
from upkeep.model import (
    NOTHING_ASKED,
    Action,
    Finding,
    GateResult,
    Json,
    Memory,
    Observation,
    Outcome,
    OutcomeStatus,
    Plan,
    Request,
    Stage,
)

# -- single steps of a job ----------------------------------------------------------------------------


def look(  # noqa: PLR0917 - as a job is asked
    name: str,
    session: Any,
    what: Target,
    at: datetime | None = None,
    memory: Memory | None = None,
    request: Request = NOTHING_ASKED,
    **more: Any,
) -> Observation:
    """Return what a job sees of a target, now or as of an instant."""
    found, server = rooms.job(name, what.engine), session.facts()
    assert found is not None
    ask = Ask(name, session, what, at or server.clock, memory or Memory(), request, server, **more)
    return found.observe(ask)


def sources(around: Fleet) -> Open:
    """Return what opens the targets of a fleet to read rows of them, as the runner does it."""

    @contextmanager
    def opened(name: str) -> Iterator[Reader]:
        source = around.target(name)
        room: Any = engines.engine(source.engine)
        with room.open(connections.resolve(source.connection), application="upkeep test") as session:
            yield room.reader(session)

    return opened


def undo(job: Job[Any], session: Any, action: Action, outcome: Outcome) -> Outcome:
    """Take a done action back, as the runner does it but without its ledger and its decisions."""
    engine, _, _ = session.identity.partition(":")
    what = Target.model_construct(name="t", engine=engine)
    seen = Observation(target="t", engine=engine, job="", at=session.now(), server=session.facts(), frames={})
    return job.undo(Work(session, what, action, seen, go_on, time.sleep, lambda _: None), outcome)


# -- a target and a session on it ---------------------------------------------------------------------


def fleet_text(
    engine: str, section: str, declared: Mapping[str, str] | str, targets: Mapping[str, str], more: str = ""
) -> str:
    """Return a fleet file that declares the same on one or more targets.

    Parameters
    ----------
    section
        What the engine's policies stand under: ``tables``, ``collections``, ``streams``.
    declared
        Name → its policies, or the whole section as YAML; indented by nothing.
    targets
        Target → connection id.
    more
        Further keys of each target.
    """
    if not isinstance(declared, str):
        entries = ((name.replace("'", "''"), textwrap.indent(policy, "  ")) for name, policy in declared.items())
        declared = "\n".join(f"'{name}':\n{policy}" for name, policy in entries)
    lines = ["version: 1", "targets:"]
    for name, connection in targets.items():
        keys = f"engine: {engine}\nconnection: {connection}\n{more}\n{section}:\n{textwrap.indent(declared, '  ')}"
        lines += [f"  {name}:", textwrap.indent(keys, "    ")]
    return "\n".join(lines) + "\n"


def declare(engine: str, section: str, declared: Mapping[str, str] | str, more: str = "") -> Target:
    """Return a target as a fleet file declares it."""
    return fleet.parse(fleet_text(engine, section, declared, {"t": "target"}, more)).target("t")


def on(text: str) -> datetime:
    """Return an instant from ISO text in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def address(uri: str, **other: Any) -> Address:
    """Return the address in a URI, changed where a test asks for it."""
    return replace(connections.parse("target", uri), **other)


@contextmanager
def session(engine: str, uri: str, **other: Any) -> Iterator[Any]:
    """Open a session as Upkeep does."""
    with engines.engine(engine).open(address(uri, **other), application="upkeep test") as opened:
        yield opened


# -- the job and what came of it ----------------------------------------------------------------------


@dataclass
class Run:
    """What one run saw, planned and did; it unpacks as the plan and the outcomes."""

    observation: Observation
    plan: Plan
    outcomes: list[Outcome] = field(default_factory=list)
    before: GateResult | None = None
    after: GateResult | None = None
    notes: list[Json] = field(default_factory=list)

    def __iter__(self) -> Iterator[Any]:
        yield self.plan
        yield self.outcomes

    @property
    def kinds(self) -> list[str]:
        """Kinds of the planned actions, without statistics that are made anew."""
        return [a.kind for a in self.plan.actions if a.kind != "analyze"]

    @property
    def statuses(self) -> list[str]:
        """How the actions ended that were carried out, without statistics that were made anew."""
        statistics = {a.id for a in self.plan.actions if a.kind == "analyze"}
        return [o.status.value for o in self.outcomes if o.action_id not in statistics]

    @property
    def ends(self) -> list[str]:
        """What became of each planned action: its reason, else its status; ``none``: it was not carried out."""
        known = {o.action_id: str(o.reason_code or o.status.value) for o in self.outcomes}
        return [known.get(a.id, "none") for a in self.plan.actions]

    @property
    def checks(self) -> list[str]:
        return [f.check for f in self.plan.findings]

    @property
    def well(self) -> bool:
        """Whether both gates passed; what failed is raised, so that a test shows it."""
        assert self.before is not None
        assert self.after is not None
        assert [f.summary for f in (*self.before.failed, *self.after.failed)] == []
        assert self.before.success
        assert self.after.success
        return True

    def action(self, name: str) -> Action:
        """Return the first planned action of this kind, or on this subject."""
        return next(a for a in self.plan.actions if name in {a.kind, a.subject})

    def outcome(self, of: str | Action) -> Outcome:
        """Return what became of an action, or of the first one of this kind or on this subject."""
        action = self.action(of) if isinstance(of, str) else of
        return next(o for o in self.outcomes if o.action_id == action.id)

    def finding(self, check: str) -> Finding:
        return next(f for f in self.plan.findings if f.check == check)


@dataclass
class Runs:
    """A job on a target, run after run, remembering what the ledger would.

    Attributes
    ----------
    what
        The target as today's fleet file declares it; another run may find another one.
    approved
        Whether a person has said yes to all that waits for one.
    detached
        Object id → evidence of the partitions that were detached and are still kept.
    intents
        What was begun and has no outcome.
    notes
        What was noted under the intents.
    request
        What a person asks.
    """

    name: str
    what: Target
    approved: bool = True
    request: Request = NOTHING_ASKED
    detached: dict[str, Any] = field(default_factory=dict)
    intents: list[Json] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)

    @property
    def job(self) -> Any:
        found = rooms.job(self.name, self.what.engine)
        assert found is not None
        return found

    @property
    def memory(self) -> Memory:
        return Memory(
            detached=self.detached,
            intents=self.intents,
            locations={n["archive_location"]: n["location_id"] for n in self.notes if "location_id" in n},
        )

    def today(self, what: Target) -> Runs:
        """Go on with today's fleet file; what is remembered stays."""
        self.what = what
        return self

    def begun(self, *actions: Action) -> None:
        """Remember actions that a killed run had begun."""
        self.intents += [a.model_dump(mode="json") for a in actions]

    def observe(self, session: Any, at: datetime | None = None) -> Observation:
        """Return what the job sees, as the ledger hands it on."""
        observed = look(self.name, session, self.what, at, self.memory, self.request)
        return Observation.model_validate(codec.unpack(codec.pack(observed.model_dump())))

    def plan(self, session: Any, at: datetime | None = None) -> Plan:
        plan: Plan = self.job.plan(self.observe(session, at), self.what, self.request)
        return plan

    def work(
        self,
        session: Any,
        action: Action,
        observation: Observation,
        *,
        checkpoint: Callable[..., object] = go_on,
        sleep: Callable[[float], object] = time.sleep,
        **more: Any,
    ) -> Work[Any]:
        return Work(session, self.what, action, observation, checkpoint, sleep, self.notes.append, **more)  # type: ignore[arg-type]

    def apply(self, session: Any, action: Action, observation: Observation, **hooks: Any) -> Outcome:
        """Carry one action out; what ends it before its outcome leaves its intent."""
        intent = action.model_dump(mode="json")
        self.intents.append(intent)
        outcome: Outcome = self.job.apply(self.work(session, action, observation, **hooks))
        self.intents.remove(intent)
        oid = outcome.evidence.get("oid", action.args.get("oid"))  # as the ledger's `record` finds it
        if outcome.status is OutcomeStatus.DONE and action.kind == "detach_partition":
            self.detached[str(oid)] = outcome.evidence
        elif outcome.status is OutcomeStatus.DONE and action.kind in {"drop_partition", "reattach_partition"}:
            self.detached.pop(str(oid), None)
        return outcome

    def run(
        self,
        session: Any,
        at: datetime | None = None,
        *,
        apply: bool = True,
        only: Sequence[str] = (),
        between: Callable[[], object] = go_on,
        gate: bool = False,
        **hooks: Any,
    ) -> Run:
        """Observe, gate, plan, carry out what is not blocked, observe, gate.

        A gate that failed blocks nothing here: what the job itself refuses is to be seen.

        Parameters
        ----------
        apply
            False: plan only.
        only
            The kinds of actions to carry out; none: all.
        between
            Called between the plan and its first action.
        gate
            Whether to evaluate the suites, and to observe once more for the one after.
        hooks
            ``checkpoint`` and ``sleep``, as `work` takes them.
        """
        instant = at or session.now()
        observation = self.observe(session, instant)
        before = self._gate("before", observation, None, ()) if gate else None
        done = Run(observation, self.job.plan(observation, self.what, self.request), before=before)
        if not apply:
            return done
        between()
        noted = len(self.notes)
        for action in done.plan.actions:
            if self._can_be_done(action, done) and (not only or action.kind in only):
                done.outcomes.append(self.apply(session, action, observation, **hooks))
        done.notes = self.notes[noted:]
        if gate:
            done.after = self._gate("after", self.observe(session, instant), done.plan, done.outcomes)
        return done

    def until_done(self, session: Any, at: datetime) -> Run:
        """Run until nothing is left to do, three times at most; all that is done must go well. Return the last run."""
        for _ in range(3):
            run = self.run(session, at)
            assert set(run.statuses) <= {"done"}, run.outcomes
            if not run.kinds:
                break
        return run

    def after(self, session: Any, plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, list[dict[str, Any]]]:
        """Return the frames of the gate after a run."""
        observation = self.observe(session, plan.at)
        return dict(self.job.frames(observation, self.what, "after", plan, outcomes))

    def _gate(
        self, stage: Stage, observation: Observation, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> GateResult:
        frames = self.job.frames(observation, self.what, stage, plan, outcomes)
        return gates.evaluate(self.name, self.what.engine, stage, frames)

    def _can_be_done(self, action: Action, done: Run) -> bool:
        planned = {a.id for a in done.plan.actions}
        ended = {o.action_id for o in done.outcomes if o.status is OutcomeStatus.DONE}
        free = action.blocked is None and (self.approved or not action.needs_person)
        return free and all(i not in planned or i in ended for i in action.after)


def all_done(outcomes: Sequence[Outcome]) -> bool:
    return all(o.status is OutcomeStatus.DONE for o in outcomes)
