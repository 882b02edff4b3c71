"""Carrying out one plan under one lease: each action on its own, so that one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from upkeep import words
from upkeep.engines import Address, SeesDumps, Session
from upkeep.errors import (
    ApprovalRefusedError,
    CancelledError,
    LeaseBusyError,
    LeaseLostError,
    StopError,
    UnreachableError,
    UpkeepError,
)
from upkeep.fleet import Target
from upkeep.jobs.contract import Job, Open, RowBatch, Work, tolerated
from upkeep.model import Action, Finding, Json, LeaseName, Observation, Outcome, OutcomeStatus, Plan, ReasonCode
from upkeep.run import covering, faults, recurrence, rules
from upkeep.run.covering import Cover
from upkeep.run.progress import Progress
from upkeep.run.stopping import Stop

if TYPE_CHECKING:
    from upkeep.ledger import Ledger
    from upkeep.run.lease import Lease

LEASE_WAIT_SECONDS = 1800.0
"""How long a run waits for another run on the same database before it fails visibly."""
PAUSE_CHECK_SECONDS = 1.0
"""How often a running action asks whether somebody paused the target."""
COVER_SECONDS = 60.0
"""How long a look at the backups counts: the manifest of a large database takes a moment to read."""
PROGRESS_SECONDS = 5.0
"""How often the ledger is told how far an action is: what is known of it should its process be killed."""


@dataclass
class Applier:
    """Carrying out one plan under one lease.

    Attributes
    ----------
    bounded
        Whether what goes is counted against what was planned: an approved or late plan (`upkeep.run.veto`).
    use_approval
        Uses the approval up, just before the first action that is let through; raises `ApprovalRefusedError`.
    lease_name
        What kind of work it is: only runs of the same kind exclude each other on one physical database.
    ignores_window
        Whether it also goes on outside the target's window.
    """

    run_id: str
    target: Target
    job: Job[Session]
    plan: Plan
    observation: Observation
    ledger: Ledger
    control: Address
    connect: Callable[[], AbstractContextManager[Session]]
    source: Open
    stop: Stop
    say: Progress
    now: Callable[[], datetime]
    approved: bool = False
    bounded: bool = False
    use_approval: Callable[[], None] | None = None
    lease_name: LeaseName = "change"
    ignores_window: bool = False
    lease: Lease | None = None
    asked_at: float = 0.0
    told_at: float = 0.0
    gone: int = 0
    running: Action | None = None
    leaving: bool = True
    done: set[str] = field(default_factory=set)
    noted: Json = field(default_factory=dict)
    cover: Cover | None = None
    covered_at: float = 0.0
    starved: set[str] = field(default_factory=set)

    def carry_out(self) -> list[Outcome]:
        """Apply the actions in order, each on its own: one that fails does not stop the others."""
        # Decided once before anything is opened: most nights a target has nothing that may run, and then
        # neither the lease nor a session of the target is taken.
        decided = {a.id: self._decide(a) for a in self.plan.actions}
        if all(decided.values()):  # nothing may run: no lease, no session
            return [self._record(outcome) for outcome in decided.values() if outcome]
        from upkeep.run import lease  # noqa: PLC0415 - not needed by a run that changes nothing

        try:
            with lease.exclusive(
                self.control,
                self.plan.identity,
                name=self.lease_name,
                owner=f"{self.run_id} ({self.target.name})",
                deadline_seconds=LEASE_WAIT_SECONDS,
                waiting=lambda text: self.say(self.target.name, text),
                cancelled=self.stop.raise_if_asked,
            ) as self.lease:
                return list(self._all())
        except LeaseBusyError as error:
            for action in self.plan.actions:
                self._record(decided[action.id] or rules.skipped(action, ReasonCode.LEASE_BUSY, str(error)))
            raise

    def _all(self) -> Iterator[Outcome]:
        waiting, left = list(self.plan.actions), list[Action]()
        while waiting:
            with self.connect() as session:  # anew after a lost connection
                # A fail-over, a restored copy, a changed connection: the plan's object ids mean other objects there.
                if session.identity != self.plan.identity:
                    message = "the connection now leads to another database than the one that was planned for"
                    gone = [*waiting, *left]
                    yield from (self._record(rules.skipped(a, ReasonCode.STATE_CHANGED, message)) for a in gone)
                    return
                while waiting:
                    action = waiting.pop(0)
                    outcome = None if self._follows(action, left) else self._one(session, action)
                    if outcome is None:
                        left.append(action)
                    else:
                        yield outcome
                    if not waiting and left:  # the rest is done: what was left is tried once more
                        waiting, left, self.leaving = left, [], False
                    if outcome is not None and outcome.reason_code == ReasonCode.CONNECTION_LOST:
                        break

    @staticmethod
    def _follows(action: Action, left: Iterable[Action]) -> bool:
        """Return whether an action waits for one that was left for later."""
        return any(other.id in action.after for other in left)

    def _one(self, session: Session, action: Action) -> Outcome | None:
        """Carry one action out; ``None``: it is left for later, another run does what it must not run beside."""
        # Once more, for every action: the one before may have taken hours, and a pause, the window's end or a failed
        # predecessor counts from that moment on.
        outcome = self._decide(action)
        if outcome is not None:
            return self._record(outcome)
        started = self.told_at = time.monotonic()
        self.noted, self.gone, self.running = {}, 0, action
        try:
            self._checkpoint()
            with self._beside(session, action) as busy:
                if busy is not None and self.leaving:
                    self.say(self.target.name, f"{words.plain(action.kind)} {action.subject}: left for later, {busy}")
                    return None
                outcome = self._carry(session, action) if busy is None else _beside_others(action, busy)
            outcome = outcome.model_copy(update={"seconds": time.monotonic() - started})
        except StopError as stop:
            outcome = self._so_far(rules.skipped(action, stop.code, str(stop), seconds=time.monotonic() - started))
        except ApprovalRefusedError:
            raise
        except (LeaseLostError, CancelledError) as error:
            code = ReasonCode.CANCELLED if isinstance(error, CancelledError) else ReasonCode.LEASE_LOST
            self._record(self._so_far(rules.failed(action, code, str(error), seconds=time.monotonic() - started)))
            raise
        except UnreachableError as error:
            outcome = rules.failed(action, ReasonCode.CONNECTION_LOST, str(error), seconds=time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - one failing table must not stop the others (pg_partman#732)
            text = faults.unexpected(error)
            outcome = rules.failed(action, ReasonCode.ERROR, text, seconds=time.monotonic() - started)
            outcome = self._so_far(outcome)
        # The driver reports a statement that we cancelled as any other error; that we asked for it is what happened.
        if outcome.status is OutcomeStatus.FAILED and self.stop.asked:
            self._record(outcome.model_copy(update={"reason_code": ReasonCode.CANCELLED}))
            raise CancelledError("the run was asked to stop; the statement was cancelled on the server")
        if outcome.status is OutcomeStatus.DONE:
            self.done.add(action.id)
        return self._record(outcome)

    @contextlib.contextmanager
    def _beside(self, session: Session, action: Action) -> Iterator[str | None]:
        """Let nothing begin that the action must not run beside; gives who is at it already, else ``None``."""
        if self.lease is None or not action.not_during:
            yield None
            return
        with self.lease.beside(action.not_during) as busy:
            # a dump of others holds no lease of ours: it is seen on the server
            foreign = session.dumping() if "backup" in action.not_during and isinstance(session, SeesDumps) else None
            yield busy or foreign

    def _carry(self, session: Session, action: Action) -> Outcome:
        self.say(self.target.name, f"{words.plain(action.kind)} {action.subject}", total=action.rows or 0)
        work = self._work(session, action)
        cover = self._cover(action)
        if cover is not None:
            work = replace(work, backup=cover.manifest, marks=cover.marks)
            why = covering.uncovered(self.job, work)
            if why is not None:
                return rules.skipped(action, ReasonCode.NEEDS_BACKUP, why)
        finding, seen = self._examine(work) if "quality" in action.args else (None, None)
        if finding is not None:
            self.ledger.save_findings(self.run_id, self.target.name, [finding])
            return rules.skipped(action, ReasonCode.QUALITY_FAILED, finding.summary)
        # The approval is used up, and then the intent is recorded, before the first statement is sent: a kill in
        # between costs an approval, never a change that nobody knows of.
        self._use_approval()
        self.ledger.intend(self.run_id, self.target.name, self.plan.job, action)
        if cover is not None and cover.backup is not None:
            # before its first statement: what authorised a deletion is kept, however the action ends
            self.ledger.keep_backup(self.run_id, cover.backup.target, cover.backup.artefact, event=covering.USED)
        outcome = self.job.apply(replace(work, seen=seen))
        if cover is not None and cover.backup is not None:
            outcome = covering.told(outcome, cover.backup.artefact)
        return recurrence.named(self.ledger, self.run_id, self.target.name, self.plan.job, action, outcome)

    def _use_approval(self) -> None:
        use, self.use_approval = self.use_approval, None
        if use is not None:
            use()

    def _examine(self, work: Work[Session]) -> tuple[Finding | None, str | None]:
        """Look at the rows that are about to go with the owner's own expectations."""
        from upkeep.run import quality  # noqa: PLC0415 - only where a policy asks for it

        self.say(self.target.name, f"the owner's expectations of {work.action.subject}")
        if self.job.doomed_rows is None:
            raise UpkeepError(f"{self.plan.job} cannot show the rows that it is about to remove")
        batches = self.job.doomed_rows(work)
        with contextlib.closing(cast("Generator[RowBatch]", batches)):
            return quality.examine(work.action, self._watched(batches))

    def _watched(self, batches: Iterable[RowBatch]) -> Iterator[RowBatch]:
        for batch in batches:
            self._checkpoint()
            yield batch

    def _work(self, session: Session, action: Action) -> Work[Session]:
        return Work(
            session=session,
            target=self.target,
            action=action,
            observation=self.observation,
            checkpoint=self._checkpoint,
            sleep=self._sleep,
            note=lambda note: self._note(action, note),
            most=self._most(action),
            open=self.source,
        )

    def _most(self, action: Action) -> int | None:
        if not self.bounded or action.rows is None:
            return None
        return tolerated(action.rows, rough=action.rough)

    def _note(self, action: Action, note: Json) -> None:
        self.noted = note
        self.ledger.note(self.run_id, self.target.name, action.id, note)

    def _so_far(self, outcome: Outcome) -> Outcome:
        """Return the outcome of an action that had to stop, with what it had noted of its work until then."""
        if "rows" not in self.noted:
            return outcome
        evidence = {key: value for key, value in self.noted.items() if key != "rows"}
        return outcome.model_copy(update={"rows": self.noted["rows"], "evidence": evidence})

    def _decide(self, action: Action) -> Outcome | None:
        ledger, name = self.ledger, self.target.name
        cover = self._cover(action)
        return rules.decide(
            action,
            self.target,
            approved=self.approved,
            done=self.done,
            planned={a.id for a in self.plan.actions},
            now=self.now(),
            paused=ledger.paused(name),
            tested=self.observation.server.tested,
            backup_at=None if cover is None else cover.snapshot_at,
            uncovered=None if cover is None else cover.why,
            ignores_window=self.ignores_window,
        )

    def _cover(self, action: Action) -> Cover | None:
        """Return the backup that may authorise an action, where it requires one; looked for once a minute."""
        if action.requires.kind != "backup":
            return None
        if self.cover is None or time.monotonic() - self.covered_at > COVER_SECONDS:
            self.cover, self.covered_at = covering.cover(self.ledger, self.plan.identity), time.monotonic()
        return self.cover

    def _checkpoint(self, message: str = "", *, rows: int = 0) -> None:
        self.stop.raise_if_asked()
        # In this order: whoever lost the lease may not write to the ledger's pause or progress either, for
        # another run is at work there by now.
        if self.lease is not None:
            self.lease.verify()
        if time.monotonic() - self.asked_at >= PAUSE_CHECK_SECONDS:
            self.asked_at = time.monotonic()
            paused = self.ledger.paused(self.target.name)
            rules.stop_if_closed(self.target, self.now(), paused, ignores_window=self.ignores_window)
        self.gone += rows
        if rows and self.running is not None and time.monotonic() - self.told_at >= PROGRESS_SECONDS:
            self.told_at = time.monotonic()
            self.ledger.note(self.run_id, self.target.name, self.running.id, {"rows_so_far": self.gone})
        if message or rows:
            self.say(self.target.name, message, rows=rows)

    def _sleep(self, seconds: float) -> None:
        self.stop.wait(seconds)

    def _record(self, outcome: Outcome) -> Outcome:
        self.ledger.record(self.run_id, self.target.name, outcome)
        if outcome.reason_code is ReasonCode.NEEDS_BACKUP:
            self._tell_starved(outcome)
        known = {b.artefact.id for b in self.ledger.backups(self.target.name)} if outcome.artefacts[1:] else ()
        for made in outcome.artefacts:
            if made.state == "unverified" and made.id in known:
                continue  # found lying there, and known (again) since the plan was made
            self.ledger.keep_backup(self.run_id, self.target.name, made)
        return outcome

    def _tell_starved(self, outcome: Outcome) -> None:
        """Tell once of each subject that what is due there waits for a backup."""
        action = next(a for a in self.plan.actions if a.id == outcome.action_id)
        if action.subject not in self.starved:
            self.starved.add(action.subject)
            name, now = self.target.name, self.now()
            found = covering.starved(self.ledger, name, self.plan.job, action, outcome, now=now)
            self.ledger.save_findings(self.run_id, name, [found])


def _beside_others(action: Action, busy: str) -> Outcome:
    text = f"it is not done beside that: {busy}; it was tried twice, the next run tries again"
    return rules.skipped(action, ReasonCode.LEASE_BUSY, text)
