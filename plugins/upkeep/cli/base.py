"""What the commands of the command line share: their parameters, the fleet and the ledger, errors, progress, hints."""

from __future__ import annotations

import contextlib
import functools
import getpass
import io
import json
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self

import click
from rich.markup import escape

from upkeep import connections, fleet, settings, words
from upkeep.cli import console
from upkeep.cli.requests import JobName
from upkeep.errors import CancelledError, UpkeepError
from upkeep.run.progress import Meter
from upkeep.run.runner import Runner

if TYPE_CHECKING:
    from upkeep.ledger import Ledger

CANCELLED: Final = 130
"""Exit status of what was stopped, as a shell has it for Ctrl-C."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No run works on a time before: policies reach back from it."""

out = console.screen()
err = console.screen(stderr=True)


def mend(function: Callable[..., int | None]) -> Callable[..., None]:
    """Turn an expected error into its text on standard error and its exit status."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        for stream in (sys.stdout, sys.stderr):  # a terminal that knows no "…" is no reason to fail
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            status = function(*args, **kwargs) or 0
            out.file.flush()
        except CancelledError as error:
            console.say(err, f"stopped: {error}", "warn")
            status = CANCELLED
        except UpkeepError as error:
            console.say(err, f"error: {error}", "bad", wrap=False)
            status = error.exit_status
        sys.exit(status)

    return wrapper


class Instant(click.ParamType[datetime]):
    """An instant with its offset."""

    name = "ISO-8601"

    def __init__(self, earliest: datetime | None = None) -> None:
        self._earliest = earliest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                at = value if len(value) > len("2026-11-01") else f"{moment:%Y-%m-%d}T00:00"
                self.fail(f"{value!r} has no offset; write e.g. {at}+00:00 or {at}Z", param, ctx)
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not ISO-8601; write e.g. 2026-11-01T02:00:00+00:00", param, ctx)
        if self._earliest is not None and moment < self._earliest:
            self.fail(f"{value!r} is before {self._earliest:%Y}; write a later instant", param, ctx)
        return moment


class Id(click.ParamType[str]):
    """The id of a run, a plan or an action, or its beginning."""

    name = "id"
    _form = re.compile(r"[0-9A-Za-z-]+")

    def __init__(self, listed_by: str) -> None:
        self._listed_by = listed_by

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check its form; whether there is one is known by the ledger only."""
        if not self._form.fullmatch(value):
            self.fail(f"{value!r} is no id; `{self._listed_by}` lists them", param, ctx)
        return str(value)


class Name(click.ParamType[str]):
    """The name of a target: whether there is one is known by the fleet file only."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no name can hold."""
        if not value or not value.isprintable():
            self.fail(f"{value!r} is no name", param, ctx)
        return str(value)


target_option = click.option(
    "--target", "targets", type=Name(), multiple=True, metavar="NAME", help="Only this target (repeatable)."
)
at_option = click.option(
    "--at", type=Instant(EARLIEST), help="Run as of this instant (with offset); never later than the server's clock."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output."
)
statements_option = click.option("--statements", is_flag=True, help="Show the exact statements too, to be copied.")
job_argument = click.argument("job", type=JobName())


@contextmanager
def open_ledger(*, migrate: bool = True) -> Iterator[Ledger]:
    """Open the ledger; it is created or migrated first."""
    from upkeep.ledger import Ledger  # noqa: PLC0415 - `--help` needs no database driver

    ledger = Ledger.open(connections.resolve(connections.CONTROL), migrate=migrate)
    try:
        yield ledger
    finally:
        ledger.close()


def load_fleet(path: Path | None) -> fleet.Fleet:
    """Read the fleet file that the command names, else the one in use."""
    return fleet.load(path or settings.fleet_file())


def actor() -> str:
    """Return who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def open_runner(path: Path | None, *, quiet: bool) -> Iterator[Runner]:
    """Open the ledger and give a runner that tells its progress and can be interrupted."""
    loaded = load_fleet(path)
    with open_ledger() as ledger, Watch(quiet=quiet) as watch:
        runner = Runner(loaded, ledger, progress=watch.tell)
        with interruptible(runner.cancel):
            yield runner


@contextmanager
def interruptible(cancel: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) stop the run cleanly; a second one stops the process at once."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        err.print("stopping: the running statement is being cancelled on the server …", style="yellow")
        cancel()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Watch:
    """Progress on standard error: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._meter = Meter()
        self._status = err.status("starting …") if err.is_terminal and not quiet else None

    def __enter__(self) -> Self:
        """Begin the live line."""
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the live line away."""
        if self._status:
            self._status.stop()

    def tell(self, target: str, message: str, *, rows: int = 0, total: int | None = None) -> None:
        """Show one line of progress."""
        text, worth_a_line = self._meter.tell(target, message, rows=rows, total=total)
        if self._status:
            self._status.update(escape(words.visible(text)))
        elif not self._quiet and worth_a_line:
            console.say(err, text, "dim", wrap=False)


def command(path: Path | None, *arguments: str) -> str:
    """Return a command of Upkeep's as it can be copied: with the fleet file that this one was given."""
    named = [] if path is None else ["--fleet", str(path)]
    return shlex.join(["upkeep", *named, *arguments])


def echo(document: Any) -> None:
    """Print a JSON document, as readable as standard output allows."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document)
    click.echo(text)


@contextmanager
def ended(runner: Runner, run_id: str) -> Iterator[None]:
    """Record the end of the run, also of one that was stopped."""
    try:
        yield
    except CancelledError:
        with contextlib.suppress(UpkeepError):  # that it was stopped is what matters now
            runner.ledger.finish_run(run_id)
        console.say(err, f"what was done until then: upkeep show {run_id}", wrap=False)
        raise
    runner.ledger.finish_run(run_id)


def hint(what: str, path: Path | None, *arguments: str) -> None:
    """Say with which command to go on, ready to be copied."""
    console.say(out, f"{what}: {command(path, *arguments)}", wrap=False)


def result(text: str, /, *, as_json: bool, **known: object) -> None:
    """Print what a command did, for people or for programs."""
    if as_json:
        echo({"schema_version": 1, **known})
    else:
        console.say(out, text, wrap=False)
