"""Taking back what a run did: a run of its own, in which every rule holds as for the doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from upkeep.engines import Session
from upkeep.errors import CancelledError, ConfigurationError, UpkeepError
from upkeep.fleet import Target
from upkeep.jobs import spec
from upkeep.jobs.contract import Job, Work
from upkeep.model import Action, Finding, Observation, Outcome, OutcomeStatus, Plan, RunReport, Severity
from upkeep.run import rules
from upkeep.run.runner import Runner

if TYPE_CHECKING:
    from upkeep.ledger import DoneAction


def taking_back(job: Job[Session], entries: Mapping[str, DoneAction]) -> Job[Session]:
    """Return the job as one whose actions take others back: applying one undoes what its entry had done."""

    def apply(work: Work[Session]) -> Outcome:
        entry = entries[work.action.id]
        outcome = job.undo(replace(work, action=entry.action), entry.outcome)
        return outcome.model_copy(update={"action_id": work.action.id})

    return replace(job, apply=apply)


def undo(runner: Runner, what: str, *, actor: str) -> RunReport:
    """Take back the done actions of a run (or one action), newest first, in a run of its own.

    Window, pause, mode, an untested version and another run's lease forbid it as they forbid every change.

    Raises
    ------
    ConfigurationError
        Nothing done is known under that id, or its target is no longer in the fleet.
    """
    done = runner.ledger.done_actions(what)
    if not done:
        raise ConfigurationError(
            f"nothing that was done is known as {what!r}; `upkeep runs` and `upkeep show RUN` list ids"
        )
    names = list(dict.fromkeys(entry.target for entry in done))
    for name in names:
        runner.fleet.target(name)
    run_id = runner.ledger.start_run(done[0].job, runner.now(), trigger="undo", actor=actor, options={"undo": what})
    try:
        for name in names:
            declared = runner.fleet.target(name)
            runner.ledger.start_target(run_id, name, declared.engine)
            try:
                with runner.step(run_id, name):
                    _undo_target(runner, run_id, declared, [entry for entry in done if entry.target == name])
                runner.finish(run_id, name)
            except CancelledError:
                raise
            except UpkeepError:
                continue
    finally:
        runner.ledger.finish_run(run_id)
    return runner.report(run_id)


def _undo_target(runner: Runner, run_id: str, target: Target, entries: Sequence[DoneAction]) -> None:
    job = runner.job(entries[0].job, target)
    inverse = [rules.inverse(entry.action) for entry in entries]
    with runner.open(target) as session:
        observation = Observation(
            target=target.name,
            engine=target.engine,
            job=entries[0].job,
            at=runner.now(),
            # what was done there, not what is there now: another database must be noticed
            server=session.facts().model_copy(
                update={"identity": runner.ledger.load_plan(entries[0].run_id, target.name).identity}
            ),
            frames={},
        )
    plan = Plan.make(observation, inverse)
    runner.ledger.save_plan(run_id, plan)
    back = {action.id: entry for entry, action in zip(entries, inverse, strict=True)}
    outcomes = runner.applier(run_id, target, taking_back(job, back), plan, observation).carry_out()
    undone = [back[o.action_id].action for o in outcomes if o.status is OutcomeStatus.DONE]
    runner.ledger.save_findings(run_id, target.name, _done_again(runner, entries[0].job, target, undone))


def _done_again(runner: Runner, name: str, target: Target, undone: Sequence[Action]) -> list[Finding]:
    """Say of what was taken back that the next run would do it again under today's policy."""
    if not undone:
        return []
    request = spec.require(name).asks({})  # what every night asks
    seen = runner.look(name, target, runner.now(), request)
    today = {_wish(action) for action in runner.job(name, target).plan(seen, target, request).actions}
    return [
        Finding.of(
            "done_again",
            action.subject,
            Severity.WARNING,
            f"the next run of {name} does it again under today's policy: {action.kind.replace('_', ' ')} "
            f"{action.detail}",
            "change the policy in the fleet file before that, or pause the target",
        )
        for action in undone
        if _wish(action) in today
    ]


def _wish(action: Action) -> tuple[str, Any]:
    """Return what tells two doings of the same apart from others: the object, where it has an id, else the intent."""
    return action.kind, action.args.get("oid") or action.intent
