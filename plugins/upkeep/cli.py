"""The command line: the same steps as the nightly DAGs, without Airflow.

Exit status: 0 fine, 1 an action or gate failed or a finding is at least an ERROR, 2 wrong usage or
configuration, 3 incomplete; ``plan --exit-code`` adds 10 = there is something to do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upkeep import __version__, connections, console, fleet, jobs, rules
from upkeep.command import (
    Id,
    Instant,
    Name,
    actor,
    at_option,
    command,
    echo,
    ended,
    err,
    job_argument,
    json_option,
    load_fleet,
    mend,
    open_ledger,
    open_runner,
    out,
    statements_option,
    target_option,
)
from upkeep.errors import ConfigurationError, LedgerError
from upkeep.plan import FindingStatus, OutcomeStatus, ReasonCode, RunReport, Severity

if TYPE_CHECKING:
    from upkeep.runner import Runner

SOMETHING_TO_DO = 10
"""Exit status of ``plan --exit-code`` when something would be done, were it allowed now."""
ONLY_HELD_BACK = frozenset({ReasonCode.OBSERVE_ONLY, ReasonCode.PAUSED, ReasonCode.OUTSIDE_WINDOW})
"""Why an action is blocked though there is something to do."""
TO_BE_ANSWERED = ("awaiting", "expired")
"""States of a plan that a person can approve."""
NO_UNDO = ("none", "upkeep restore-archive")
"""How an action says that `undo` does nothing for it."""
_THIS_RUN = "\0this run"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--fleet",
    "fleet_path",
    type=click.Path(path_type=Path),
    help="The fleet file (default: UPKEEP_FLEET, else include/fleet.yaml).",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, fleet_path: Path | None) -> None:
    """Upkeep keeps databases healthy: plan, gate, do and prove their maintenance.

    Nothing is changed that was not planned and checked; what destroys data waits for a verified backup or
    a person's approval. Start with `upkeep check`, then `upkeep plan partition_creation`.
    """
    context.obj = fleet_path


def _print(run: RunReport, *, as_json: bool, statements: bool = False) -> None:
    if as_json:
        echo(run.document())
    else:
        console.report(out, run, statements=statements)


@main.command()
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
) -> int:
    """Say what JOB would do, and why. Changes nothing."""
    with open_runner(path, quiet=as_json) as runner:
        report = _run_all(runner, job, targets, at, apply=False, approve=False)
    _print(report, as_json=as_json, statements=statements)
    status = rules.exit_status(report)
    to_do = any(a.blocked is None or a.blocked[0] in ONLY_HELD_BACK for t in report.targets for a in t.actions)
    return SOMETHING_TO_DO if exit_code and to_do and status == 0 else status


@main.command()
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
) -> int:
    """Do JOB: what needs no approval, and with --approve also what does."""
    plan_id = None if approve in (None, _THIS_RUN) else Id("upkeep pending").convert(approve, None, None)
    with open_runner(path, quiet=as_json) as runner:
        if plan_id is not None:
            report = _run_approved(runner, job, targets, plan_id)
        else:
            report = _run_all(runner, job, targets, at, apply=True, approve=approve is not None)
    _print(report, as_json=as_json, statements=statements)
    if not as_json:
        _say_what_next(report, path)
    return rules.exit_status(report)


def _run_all(
    runner: Runner, job: str, targets: Sequence[str], at: datetime | None, *, apply: bool, approve: bool
) -> RunReport:
    moment = at or datetime.now(UTC)
    options = {"plan_only": not apply}
    run_id = runner.start(job, moment, trigger="cli", actor=actor(), targets=targets, options=options)
    with ended(runner, run_id):
        for name in runner.targets(job, targets):
            runner.run_target(run_id, name, apply=apply, approve=approve, actor=actor())
    report = runner.report(run_id)
    if at is not None:
        for note in report.notes:
            console.say(err, f"note: {note}", "warn", wrap=False)
    return report


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
            _hint("approve with", path, "run", report.job, "--approve", target.plan_id)
    takes_back = {a.id for t in report.targets for a in t.actions if a.undo and not a.undo.startswith(NO_UNDO)}
    if any(o.status is OutcomeStatus.DONE and o.action_id in takes_back for t in report.targets for o in t.outcomes):
        _hint("take back with", path, "undo", report.run_id)


def _hint(what: str, path: Path | None, *words: str) -> None:
    console.say(out, f"{what}: {command(path, *words)}", wrap=False)


@main.command()
@json_option
@target_option
@click.pass_obj
@mend
def check(path: Path | None, targets: Sequence[str], *, as_json: bool) -> int:
    """Check the fleet file, the connections, server versions and privileges. Changes nothing."""
    from upkeep import checks  # noqa: PLC0415 - imports no driver until a target asks for it

    results = checks.check_fleet(load_fleet(path), connections.resolve, targets)
    try:
        with open_ledger(migrate=False) as ledger:
            pauses = {r.target: ledger.pause_of(r.target) for r in results}
    except (LedgerError, ConfigurationError) as error:
        pauses = {}
        console.say(err, f"note: whether something is paused was not seen: {error}", "warn", wrap=False)
    now = datetime.now(UTC)
    results = [r.also(rules.paused(r.target, p, now)) if (p := pauses.get(r.target)) else r for r in results]
    if as_json:
        echo({"schema_version": 1, "targets": [r.document() for r in results]})
    else:
        console.checks(out, results)
    found = [f for r in results for f in r.findings]
    if any(f.status is not FindingStatus.OK and f.severity.rank >= Severity.ERROR.rank for f in found):
        return 3 if all(r.unreachable for r in results if r.bad) else 1
    return 0


@main.command()
@click.option(
    "--from", "connection", metavar="CONNECTION", help="Look at this database and write a first fleet file for it."
)
@json_option
@click.pass_obj
@mend
def init(path: Path | None, connection: str | None, *, as_json: bool) -> int:
    """Create or migrate the ledger; with --from, write a commented `mode: observe` fleet file.

    The file goes to --fleet FILE (never over an existing one), else to standard output.
    """
    if connection is None:
        with open_ledger():
            pass
        _result("the ledger is ready", as_json=as_json, ledger="ready")
        return 0
    from upkeep import introspection  # noqa: PLC0415 - see check

    if path is not None and path.exists():
        raise ConfigurationError(f"{path} exists; name another file with --fleet, or move it away")
    text = introspection.first_fleet(connection, connections.resolve(connection))
    fleet.parse(text)
    if path is None:
        _result(text.rstrip("\n"), as_json=as_json, fleet_file=None, text=text)
        return 0
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror}); name a file in a folder that is there with --fleet"
        raise ConfigurationError(message) from None
    _result(f"wrote {path}; next: {command(path, 'check')}", as_json=as_json, fleet_file=str(path), text=text)
    return 0


def _result(text: str, /, *, as_json: bool, **known: object) -> None:
    """Print what a command did, for people or for programs."""
    if as_json:
        echo({"schema_version": 1, **known})
    else:
        console.say(out, text, wrap=False)


@main.command()
@json_option
@click.pass_obj
@mend
def pending(path: Path | None, *, as_json: bool) -> int:
    """List the plans that wait for a person's approval."""
    with open_ledger() as ledger:
        waiting = ledger.pending()
    if as_json:
        echo({"schema_version": 1, "pending": [p.document() for p in waiting]})
        return 0
    if not waiting:
        console.say(out, "nothing waits for approval")
    for entry in waiting:
        console.pending(out, entry)
        _hint("  approve with", path, "run", entry.plan.job, "--approve", entry.plan.plan_id)
        _hint("  reject with", path, "reject", entry.plan.plan_id)
    return 0


@main.command()
@click.argument("plan_id", type=Id("upkeep pending"))
@click.option("--reason", default="", help="Why, for the record.")
@json_option
@mend
def reject(plan_id: str, reason: str, *, as_json: bool) -> int:
    """Reject the pending plan PLAN_ID."""
    with open_ledger() as ledger:
        _, plan = ledger.find_plan(plan_id)
        ledger.reject(plan.plan_id, actor=actor(), how="cli", reason=reason)
    known = {"job": plan.job, "target": plan.target, "rejected_by": actor(), "reason": reason}
    text = f"rejected {plan.plan_id} ({plan.job} on {plan.target})"
    _result(text, as_json=as_json, plan_id=plan.plan_id, **known)
    return 0


@main.command()
@click.argument("target", type=Name(), required=False)
@click.option("--reason", default="", help="Why, for the record.")
@json_option
@click.pass_obj
@mend
def pause(path: Path | None, target: str | None, reason: str, *, as_json: bool) -> int:
    """Stop changes on TARGET (or the whole fleet), running ones between two batches, until `resume`."""
    if target is not None:
        load_fleet(path).target(target)
    with open_ledger() as ledger:
        ledger.pause(target, actor=actor(), reason=reason)
    again = command(path, "resume", *([] if target is None else [target]))
    text = f"paused {target or 'the whole fleet'}; go on with: {again}"
    _result(text, as_json=as_json, target=target, paused=True, by=actor(), reason=reason)
    return 0


@main.command()
@click.argument("target", type=Name(), required=False)
@json_option
@mend
def resume(target: str | None, *, as_json: bool) -> int:
    """Allow changes on TARGET (or the whole fleet) again."""
    with open_ledger() as ledger:
        was_paused = ledger.resume(target, actor=actor())
    what = "the whole fleet" if target is None else f"'{target}'"
    if target is not None and not was_paused:
        raise ConfigurationError(f"{what} is not paused; a pause of the whole fleet is ended by `upkeep resume` alone")
    text = f"resumed {what}" if was_paused else f"{what} was not paused"
    _result(text, as_json=as_json, target=target, paused=False, was_paused=was_paused, by=actor())
    return 0


@main.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="The newest so many.")
@click.option("--job", type=click.Choice(jobs.JOBS), help="Only this job.")
@json_option
@mend
def runs(limit: int, job: str | None, *, as_json: bool) -> int:
    """List the newest runs: how they were begun, how long they took, how their targets ended."""
    with open_ledger() as ledger:
        found = ledger.runs(limit, job)
    if as_json:
        echo({"schema_version": 1, "runs": [r.document() for r in found]})
        return 0
    if not found:
        console.say(out, "no run yet")
    for row in found:
        console.run_line(out, row)
    return 0


@main.command()
@click.argument("run_id", type=Id("upkeep runs"))
@statements_option
@click.option("--all", "whole", is_flag=True, help="Show also the healthy targets in full.")
@json_option
@mend
def show(run_id: str, *, as_json: bool, statements: bool, whole: bool) -> int:
    """Show a run's report: plan, gates, outcomes, findings (a unique beginning of RUN_ID is enough)."""
    with open_ledger() as ledger:
        report, record = ledger.report(run_id), ledger.run(run_id)
    if as_json:
        echo(report.document())
    else:
        console.report(out, report, statements=statements, record=record, whole=whole)
    return 0


@main.command()
@click.argument("what", metavar="RUN|ACTION", type=Id("upkeep runs"))
@json_option
@click.pass_obj
@mend
def undo(path: Path | None, what: str, *, as_json: bool) -> int:
    """Take back what a run (or one action) did, newest first: re-attach partitions, remove empty new ones."""
    with open_runner(path, quiet=as_json) as runner:
        report = runner.undo(what, actor=actor())
    _print(report, as_json=as_json)
    return rules.exit_status(report)


@main.command("restore-archive")
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
    from upkeep.restoring import restore  # noqa: PLC0415 - see check

    request = jobs.RestoreRequest(
        table=table, since=since, until=until, into=into, location=location, identity=identity, again=again
    )
    with open_runner(path, quiet=as_json) as runner:
        report = restore(runner, name, request, actor=actor(), apply=not dry_run)
    _print(report, as_json=as_json)
    return rules.exit_status(report)


@main.command()
@mend
def schema() -> int:
    """Print the JSON schema of the fleet file, for editors."""
    click.echo(json.dumps(fleet.json_schema(), indent=2))
    return 0


if __name__ == "__main__":
    main()
