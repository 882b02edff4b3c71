"""Commands that plan, do and take back: `plan`, `run`, `undo`, `restore-archive`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upkeep.cli import console, requests
from upkeep.cli.base import (
    Id,
    Instant,
    Name,
    actor,
    at_option,
    echo,
    ended,
    err,
    hint,
    job_argument,
    json_option,
    mend,
    open_runner,
    out,
    statements_option,
    target_option,
)
from upkeep.cli.requests import JobCommand
from upkeep.errors import ConfigurationError
from upkeep.jobs import spec
from upkeep.jobs.contract import RestoreRequest
from upkeep.model import OutcomeStatus, ReasonCode, Request, RunReport
from upkeep.run import rules

if TYPE_CHECKING:
    from upkeep.run.runner import Runner

SOMETHING_TO_DO = 10
"""Exit status of ``plan --exit-code`` when something would be done, were it allowed now."""
ONLY_HELD_BACK = frozenset({ReasonCode.OBSERVE_ONLY, ReasonCode.PAUSED, ReasonCode.OUTSIDE_WINDOW})
"""Why an action is blocked though there is something to do."""
TO_BE_ANSWERED = ("awaiting", "expired")
"""States of a plan that a person can approve."""
NO_UNDO = ("none", "upkeep restore-archive")
"""How an action says that `undo` does nothing for it."""
_THIS_RUN = "\0this run"


@click.command(cls=JobCommand)
@job_argument
@target_option
@at_option
@json_option
@statements_option
@click.option("--exit-code", is_flag=True, help="Exit with 10 when there is something to do.")
@click.pass_obj
@mend
def plan(
    path: Path | None,
    job: str,
    targets: Sequence[str],
    at: datetime | None,
    *,
    as_json: bool,
    statements: bool,
    exit_code: bool,
    **asked: Any,
) -> int:
    """Say what JOB would do, and why. Changes nothing."""
    request = requests.taken(job, asked)
    with open_runner(path, quiet=as_json) as runner:
        report = _run_all(runner, job, targets, at, request, apply=False, approve=False)
    _print(report, as_json=as_json, statements=statements)
    status = rules.exit_status(report)
    to_do = any(a.blocked is None or a.blocked[0] in ONLY_HELD_BACK for t in report.targets for a in t.actions)
    return SOMETHING_TO_DO if exit_code and to_do and status == 0 else status


@click.command(cls=JobCommand)
@job_argument
@target_option
@at_option
@json_option
@statements_option
@click.option(
    "--approve",
    is_flag=False,
    flag_value=_THIS_RUN,
    metavar="[PLAN_ID]",
    help="Approve PLAN_ID and apply exactly it; without an id: approve what this very run plans.",
)
@click.pass_obj
@mend
def run(
    path: Path | None,
    job: str,
    targets: Sequence[str],
    at: datetime | None,
    *,
    as_json: bool,
    statements: bool,
    approve: str | None,
    **asked: Any,
) -> int:
    """Do JOB: what needs no approval, and with --approve also what does."""
    from upkeep.run import telling  # noqa: PLC0415 - not needed for `--help`

    plan_id = None if approve in (None, _THIS_RUN) else Id("upkeep pending").convert(approve, None, None)
    request = requests.taken(job, asked)
    with open_runner(path, quiet=as_json) as runner:
        if plan_id is not None:
            if request.asked():
                raise ConfigurationError(f"plan {plan_id} knows what was asked of it: give no options of {job} with it")
            report = _run_approved(runner, job, targets, plan_id)
        else:
            report = _run_all(runner, job, targets, at, request, apply=True, approve=approve is not None)
        telling.tell(runner)
    _print(report, as_json=as_json, statements=statements)
    if not as_json:
        _say_what_next(report, path)
    return rules.exit_status(report)


@click.command()
@click.argument("what", metavar="RUN|ACTION", type=Id("upkeep runs"))
@json_option
@click.pass_obj
@mend
def undo(path: Path | None, what: str, *, as_json: bool) -> int:
    """Take back what a run (or one action) did, newest first: re-attach partitions, remove empty new ones."""
    from upkeep.run import undoing  # noqa: PLC0415 - not needed for `--help`

    with open_runner(path, quiet=as_json) as runner:
        report = undoing.undo(runner, what, actor=actor())
    _print(report, as_json=as_json)
    return rules.exit_status(report)


@click.command("restore-archive")
@click.option("--target", "name", type=Name(), required=True, metavar="NAME", help="The target whose rows come back.")
@click.option("--table", required=True, help="The archived table, as in the fleet file.")
@click.option("--from", "since", type=Instant(), help="Only rows from this instant on (with offset).")
@click.option("--to", "until", type=Instant(), help="Only rows before this instant (with offset).")
@click.option("--into", metavar="TABLE", help="Another table that gets the rows (default: the archived one).")
@click.option("--from-location", "location", metavar="URL", help="Where the files are (default: retain.into).")
@click.option("--identity", metavar="ID", help="Files of that physical database, or 'all' (default: the target's own).")
@click.option("--again", is_flag=True, help="Also what was restored into a table, or a server's history, that is gone.")
@click.option("--dry-run", is_flag=True, help="Only say what would be loaded.")
@json_option
@click.pass_obj
@mend
def restore_archive(
    path: Path | None,
    *,
    name: str,
    table: str,
    since: datetime | None,
    until: datetime | None,
    into: str | None,
    location: str | None,
    identity: str | None,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Bring rows back that data_retention archived into files: verified, counted, each exactly once."""
    if since is not None and until is not None and since >= until:
        raise ConfigurationError(
            f"--from {since.isoformat()} is not before --to {until.isoformat()}: no row is between"
        )
    from upkeep.run.restoring import restore  # noqa: PLC0415 - see check

    request = RestoreRequest(
        table=table, since=since, until=until, into=into, location=location, identity=identity, again=again
    )
    with open_runner(path, quiet=as_json) as runner:
        report = restore(runner, name, request, actor=actor(), apply=not dry_run)
    _print(report, as_json=as_json)
    return rules.exit_status(report)


def _run_all(
    runner: Runner,
    job: str,
    targets: Sequence[str],
    at: datetime | None,
    request: Request,
    *,
    apply: bool,
    approve: bool,
) -> RunReport:
    moment = at or datetime.now(UTC).replace(microsecond=0)
    options = {"plan_only": not apply}
    run_id = runner.start(job, moment, trigger="cli", actor=actor(), targets=targets, options=options, request=request)
    with ended(runner, run_id):
        names = runner.targets(job, targets)
        if spec.require(job).looks_only:
            return _looked_at(runner, run_id, names, whole=not targets)
        for name in names:
            runner.run_target(run_id, name, apply=apply, approve=approve, actor=actor())
    report = runner.report(run_id)
    if at is not None:
        for note in report.notes:
            console.say(err, f"note: {note}", "warn", wrap=False)
    return report


def _looked_at(runner: Runner, run_id: str, names: Sequence[str], *, whole: bool) -> RunReport:
    """Look at targets; the ledger keeps of a look what changed, the report here has all that it saw."""
    from upkeep.run import rounds  # noqa: PLC0415 - not needed for `--help`

    seen = rounds.look_at_all(runner, run_id, names)
    rounds.conclude(runner, run_id, names, whole=whole)
    return runner.report(run_id).model_copy(update={"targets": tuple(sorted(seen, key=lambda one: one.target))})


def _run_approved(runner: Runner, job: str, targets: Sequence[str], plan_id: str) -> RunReport:
    _, recorded = runner.ledger.find_plan(plan_id)
    if recorded.job != job or (targets and recorded.target not in targets):
        raise ConfigurationError(
            f"plan {plan_id} is for {recorded.job} on '{recorded.target}', not for what the command names"
        )
    runner.fleet.target(recorded.target)  # before anything is decided
    runner.ledger.approve(recorded.plan_id, actor=actor(), how="cli")
    run_id, target = runner.start_approved(recorded.plan_id, trigger="cli", actor=actor())
    with ended(runner, run_id):
        runner.run_approved(run_id, target, recorded.plan_id)
    return runner.report(run_id)


def _say_what_next(report: RunReport, path: Path | None) -> None:
    for target in report.targets:
        if target.plan_id and target.plan_state and target.plan_state.state in TO_BE_ANSWERED:
            hint("approve with", path, "run", report.job, "--approve", target.plan_id)
    takes_back = {a.id for t in report.targets for a in t.actions if a.undo and not a.undo.startswith(NO_UNDO)}
    if any(o.status is OutcomeStatus.DONE and o.action_id in takes_back for t in report.targets for o in t.outcomes):
        hint("take back with", path, "undo", report.run_id)


def _print(run: RunReport, *, as_json: bool, statements: bool = False) -> None:
    if as_json:
        echo(run.document())
    else:
        console.report(out, run, statements=statements)
