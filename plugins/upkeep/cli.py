"""The command line: the same steps as the nightly DAGs, without Airflow.

Exit status: 0 fine, 1 an action or gate failed or a finding is at least an ERROR, 2 wrong usage or
configuration, 3 incomplete; ``plan --exit-code`` adds 10 = there is something to do.
"""

from __future__ import annotations

import functools
import getpass
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from upkeep import __version__, connections, console, fleet, jobs, rules, settings
from upkeep.errors import CancelledError, ConfigurationError, UpkeepError
from upkeep.plan import FindingStatus, RunReport, Severity
from upkeep.runner import Runner

if TYPE_CHECKING:
    from types import FrameType

    from upkeep.ledger import Ledger

SOMETHING_TO_DO = 10
"""Exit status of ``plan --exit-code`` when the plan is not empty."""
_THIS_RUN = "\0this run"

out = console.screen()
err = console.screen(stderr=True)


def _mend(function: Callable[..., int | None]) -> Callable[..., None]:
    """Turn an expected error into its text on standard error and its exit status."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            status = function(*args, **kwargs) or 0
        except CancelledError as error:
            err.print(f"stopped: {error}", style="yellow", markup=False)
            status = 130
        except UpkeepError as error:
            err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            status = error.exit_status
        sys.exit(status)

    return wrapper


class _Instant(click.ParamType[datetime]):
    name = "ISO-8601"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not ISO-8601; write e.g. 2026-11-01T02:00:00+00:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no offset; write e.g. {value}+00:00 or {value}Z", param, ctx)
        return moment.astimezone(UTC)


_target_option = click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Only this target (repeatable)."
)
_at_option = click.option(
    "--at", type=_Instant(), help="Run as of this instant (with offset); never later than the server's clock."
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output."
)
_job_argument = click.argument("job", type=click.Choice(jobs.JOBS))


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


@contextmanager
def _ledger(*, migrate: bool = True) -> Iterator[Ledger]:
    from upkeep.ledger import Ledger  # noqa: PLC0415 - `--help` needs no database driver

    ledger = Ledger.open(connections.resolve(connections.CONTROL), migrate=migrate)
    try:
        yield ledger
    finally:
        ledger.close()


def _fleet(path: Path | None) -> fleet.Fleet:
    return fleet.load(path or settings.fleet_file())


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def _runner(path: Path | None, *, quiet: bool) -> Iterator[Runner]:
    loaded = _fleet(path)
    with _ledger() as ledger, _Watch(quiet=quiet) as watch:
        runner = Runner(loaded, ledger, progress=watch.tell)
        with _interruptible(runner):
            yield runner


@contextmanager
def _interruptible(runner: Runner) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) stop the run cleanly; a second one stops the process at once."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        err.print("stopping: the running statement is being cancelled on the server …", style="yellow")
        runner.cancel()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Watch:
    """Progress on standard error: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._rows = 0
        self._status = err.status("starting …") if err.is_terminal and not quiet else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def tell(self, target: str, message: str, *, rows: int = 0) -> None:
        """Show one line of progress."""
        self._rows = self._rows + rows if rows else 0
        text = f"{target}: {message}" + (f" ({console.count(self._rows)} rows)" if self._rows else "")
        if self._status:
            self._status.update(text)
        elif not self._quiet and not rows:
            err.print(text, style="dim", markup=False)


def _print(run: RunReport, *, as_json: bool, statements: bool = False) -> None:
    if as_json:
        click.echo(json.dumps(run.document(), ensure_ascii=False))
    else:
        console.report(out, run, statements=statements)


@main.command()
@_job_argument
@_target_option
@_at_option
@_json_option
@click.option("--statements", is_flag=True, help="Show the exact statements too.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when there is something to do.")
@click.pass_obj
@_mend
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
    with _runner(path, quiet=as_json) as runner:
        report = _run_all(runner, job, targets, at, apply=False, approve=False)
    _print(report, as_json=as_json, statements=statements)
    status = rules.exit_status(report)
    to_do = any(a.blocked is None for t in report.targets for a in t.actions)
    return SOMETHING_TO_DO if exit_code and to_do and status == 0 else status


@main.command()
@_job_argument
@_target_option
@_at_option
@_json_option
@click.option(
    "--approve",
    is_flag=False,
    flag_value=_THIS_RUN,
    metavar="[PLAN_ID]",
    help="Approve PLAN_ID and apply exactly it; without an id: approve what this very run plans.",
)
@click.pass_obj
@_mend
def run(
    path: Path | None, job: str, targets: Sequence[str], at: datetime | None, *, as_json: bool, approve: str | None
) -> int:
    """Do JOB: what needs no approval, and with --approve also what does."""
    with _runner(path, quiet=as_json) as runner:
        if approve is not None and approve != _THIS_RUN:
            report = _run_approved(runner, job, targets, approve)
        else:
            report = _run_all(runner, job, targets, at, apply=True, approve=approve is not None)
    _print(report, as_json=as_json)
    if not as_json:
        _say_pending(report)
    return rules.exit_status(report)


def _run_all(
    runner: Runner, job: str, targets: Sequence[str], at: datetime | None, *, apply: bool, approve: bool
) -> RunReport:
    moment = at or datetime.now(UTC)
    options = {"plan_only": not apply}
    run_id = runner.start(job, moment, trigger="cli", actor=_actor(), targets=targets, options=options)
    with _ended(runner, run_id):
        for name in runner.targets(job, targets):
            runner.run_target(run_id, name, apply=apply, approve=approve, actor=_actor())
    return runner.report(run_id)


@contextmanager
def _ended(runner: Runner, run_id: str) -> Iterator[None]:
    """Record the end of the run, also of one that was stopped."""
    try:
        yield
    except CancelledError:
        with suppress(UpkeepError):  # that it was stopped is what matters now
            runner.ledger.finish_run(run_id)
        err.print(f"what was done until then: upkeep show {run_id}", markup=False, soft_wrap=True)
        raise
    runner.ledger.finish_run(run_id)


def _run_approved(runner: Runner, job: str, targets: Sequence[str], plan_id: str) -> RunReport:
    _, recorded = runner.ledger.find_plan(plan_id)
    if recorded.job != job or (targets and recorded.target not in targets):
        raise ConfigurationError(
            f"plan {plan_id} is for {recorded.job} on '{recorded.target}', not for what the command names"
        )
    runner.ledger.approve(recorded.plan_id, actor=_actor(), how="cli")
    run_id, target = runner.start_approved(recorded.plan_id, trigger="cli", actor=_actor())
    with _ended(runner, run_id):
        runner.run_approved(run_id, target, recorded.plan_id)
    return runner.report(run_id)


def _say_pending(report: RunReport) -> None:
    for target in report.targets:
        if target.status.value == "awaiting_approval" and target.plan_id:
            out.print(f"approve with: upkeep run {report.job} --approve {target.plan_id}", markup=False)


@main.command()
@_json_option
@_target_option
@click.pass_obj
@_mend
def check(path: Path | None, targets: Sequence[str], *, as_json: bool) -> int:
    """Check the fleet file, the connections, server versions and privileges. Changes nothing."""
    from upkeep import checks  # noqa: PLC0415 - imports no driver until a target asks for it

    results = checks.check_fleet(_fleet(path), connections.resolve, targets)
    if as_json:
        document = {"schema_version": 1, "targets": [r.document() for r in results]}
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        for result in results:
            console.findings(out, result.heading, result.findings)
    found = [f for r in results for f in r.findings]
    if any(f.status is not FindingStatus.OK and f.severity.rank >= Severity.ERROR.rank for f in found):
        return 3 if all(r.unreachable for r in results if r.bad) else 1
    return 0


@main.command()
@click.option(
    "--from", "connection", metavar="CONNECTION", help="Look at this database and write a first fleet file for it."
)
@click.pass_obj
@_mend
def init(path: Path | None, connection: str | None) -> int:
    """Create or migrate the ledger; with --from, write a commented `mode: observe` fleet file.

    The file goes to --fleet FILE (never over an existing one), else to standard output.
    """
    if connection is None:
        with _ledger():
            out.print("the ledger is ready")
        return 0
    from upkeep import introspection  # noqa: PLC0415 - see check

    if path is not None and path.exists():
        raise ConfigurationError(f"{path} exists; name another file with --fleet, or move it away")
    text = introspection.first_fleet(connection, connections.resolve(connection))
    fleet.parse(text)
    if path is None:
        click.echo(text, nl=False)
    else:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            message = (
                f"{path}: cannot be written ({error.strerror}); name a file in a folder that is there with --fleet"
            )
            raise ConfigurationError(message) from None
        out.print(f"wrote {path}; next: upkeep --fleet {path} check", markup=False)
    return 0


@main.command()
@_json_option
@_mend
def pending(*, as_json: bool) -> int:
    """List the plans that wait for a person's approval."""
    with _ledger() as ledger:
        waiting = ledger.pending()
    if as_json:
        plans = [
            {
                "plan_id": p.plan.plan_id,
                "job": p.plan.job,
                "target": p.plan.target,
                "run_id": p.run_id,
                "actions": len(p.plan.awaiting),
            }
            for p in waiting
        ]
        click.echo(json.dumps({"schema_version": 1, "pending": plans}))
        return 0
    if not waiting:
        out.print("nothing waits for approval")
    for entry in waiting:
        out.print(
            f"{entry.plan.plan_id}  {entry.plan.job} on {entry.plan.target}, planned by {entry.run_id}", markup=False
        )
        for action in entry.plan.awaiting:
            out.print(f"    {console.title(action.kind)} {action.subject}: {action.reason}", markup=False)
        out.print(f"    approve: upkeep run {entry.plan.job} --approve {entry.plan.plan_id}", markup=False)
        out.print(f"    reject:  upkeep reject {entry.plan.plan_id}", markup=False)
    return 0


@main.command()
@click.argument("plan_id")
@click.option("--reason", default="", help="Why, for the record.")
@_mend
def reject(plan_id: str, reason: str) -> int:
    """Reject the pending plan PLAN_ID."""
    with _ledger() as ledger:
        _, plan = ledger.find_plan(plan_id)
        ledger.reject(plan.plan_id, actor=_actor(), how="cli", reason=reason)
    out.print(f"rejected {plan.plan_id}")
    return 0


@main.command()
@click.argument("target", required=False)
@click.option("--reason", default="", help="Why, for the record.")
@click.pass_obj
@_mend
def pause(path: Path | None, target: str | None, reason: str) -> int:
    """Stop changes on TARGET (or the whole fleet), running ones between two batches, until `resume`."""
    if target is not None:
        _fleet(path).target(target)
    with _ledger() as ledger:
        ledger.pause(target, actor=_actor(), reason=reason)
    out.print(f"paused {target or 'the whole fleet'}; go on with: upkeep resume {target or ''}".rstrip(), markup=False)
    return 0


@main.command()
@click.argument("target", required=False)
@_mend
def resume(target: str | None) -> int:
    """Allow changes on TARGET (or the whole fleet) again."""
    with _ledger() as ledger:
        ledger.resume(target, actor=_actor())
    out.print(f"resumed {target or 'the whole fleet'}", markup=False)
    return 0


@main.command()
@click.option("--limit", default=20, show_default=True, help="The newest so many.")
@click.option("--job", type=click.Choice(jobs.JOBS), help="Only this job.")
@_json_option
@_mend
def runs(limit: int, job: str | None, *, as_json: bool) -> int:
    """List the newest runs."""
    with _ledger() as ledger:
        found = ledger.runs(limit, job)
    if as_json:
        rows = [
            {
                "run_id": r.run_id,
                "job": r.job,
                "started_at": r.started_at.isoformat(),
                "targets": {k: str(v) for k, v in r.targets.items()},
            }
            for r in found
        ]
        click.echo(json.dumps({"schema_version": 1, "runs": rows}))
        return 0
    for row in found:
        states = ", ".join(f"{name}: {console.title(str(state))}" for name, state in row.targets.items())
        out.print(f"{row.run_id}  {row.job:20} {states}", markup=False, soft_wrap=True)
    return 0


@main.command()
@click.argument("run_id")
@click.option("--statements", is_flag=True, help="Show the exact statements too.")
@_json_option
@_mend
def show(run_id: str, *, as_json: bool, statements: bool) -> int:
    """Show a run's report: plan, gates, outcomes, findings (a unique beginning of RUN_ID is enough)."""
    with _ledger() as ledger:
        report = ledger.report(run_id)
    _print(report, as_json=as_json, statements=statements)
    return 0


@main.command()
@click.argument("what", metavar="RUN|ACTION")
@click.pass_obj
@_mend
def undo(path: Path | None, what: str) -> int:
    """Take back what a run (or one action) did, newest first: re-attach partitions, remove empty new ones."""
    with _runner(path, quiet=False) as runner:
        report = runner.undo(what, actor=_actor())
    _print(report, as_json=False)
    return rules.exit_status(report)


@main.command("restore-archive")
@click.option("--target", "name", required=True, metavar="NAME", help="The target whose rows come back.")
@click.option("--table", required=True, help="The archived table, as in the fleet file.")
@click.option("--from", "since", type=_Instant(), help="Only rows from this instant on (with offset).")
@click.option("--to", "until", type=_Instant(), help="Only rows before this instant (with offset).")
@click.option("--into", metavar="TABLE", help="Another table that gets the rows (default: the archived one).")
@click.option("--from-location", "location", metavar="URL", help="Where the files are (default: retain.into).")
@click.option("--identity", metavar="ID", help="Files of that physical database, or 'all' (default: the target's own).")
@click.option("--again", is_flag=True, help="Also what was restored into a table, or a server's history, that is gone.")
@click.option("--dry-run", is_flag=True, help="Only say what would be loaded.")
@_json_option
@click.pass_obj
@_mend
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
    from upkeep.restoring import restore  # noqa: PLC0415 - see check

    request = jobs.RestoreRequest(
        table=table, since=since, until=until, into=into, location=location, identity=identity, again=again
    )
    with _runner(path, quiet=as_json) as runner:
        report = restore(runner, name, request, actor=_actor(), apply=not dry_run)
    _print(report, as_json=as_json)
    return rules.exit_status(report)


@main.command()
@_mend
def schema() -> int:
    """Print the JSON schema of the fleet file, for editors."""
    click.echo(json.dumps(fleet.json_schema(), indent=2))
    return 0


if __name__ == "__main__":
    main()
