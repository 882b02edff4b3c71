"""Commands that look before anything runs: `check`, `init`, `schema`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from upkeep import connections, fleet
from upkeep.cli import console
from upkeep.cli.base import (
    command,
    echo,
    err,
    json_option,
    load_fleet,
    mend,
    open_ledger,
    result,
    target_option,
)
from upkeep.errors import ConfigurationError, LedgerError
from upkeep.model import FindingStatus, Severity
from upkeep.run import rules


@click.command()
@json_option
@target_option
@click.option("--verbose", is_flag=True, help="Tell everything one by one, what is well too.")
@click.pass_obj
@mend
def check(path: Path | None, targets: Sequence[str], *, as_json: bool, verbose: bool) -> int:
    """Check the fleet file, the connections, server versions and privileges. Changes nothing."""
    from upkeep.cli import check_text  # noqa: PLC0415 - not needed for `--help`
    from upkeep.run.check import check_fleet  # noqa: PLC0415 - imports no driver until a target asks for it

    results = check_fleet(load_fleet(path), connections.resolve, targets)
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
        check_text.show(results, path, verbose=verbose)
    found = [f for r in results for f in r.findings]
    if any(f.status is not FindingStatus.OK and f.severity.rank >= Severity.ERROR.rank for f in found):
        return 3 if all(r.unreachable for r in results if r.bad) else 1
    return 0


@click.command()
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
        result("the ledger is ready", as_json=as_json, ledger="ready")
        return 0
    from upkeep.run import first_fleet  # noqa: PLC0415 - see check

    if path is not None and path.exists():
        raise ConfigurationError(f"{path} exists; name another file with --fleet, or move it away")
    text = first_fleet.first_fleet(connection, connections.resolve(connection))
    fleet.parse(text)
    if path is None:
        result(text.rstrip("\n"), as_json=as_json, fleet_file=None, text=text)
        return 0
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror}); name a file in a folder that is there with --fleet"
        raise ConfigurationError(message) from None
    result(f"wrote {path}; next: {command(path, 'check')}", as_json=as_json, fleet_file=str(path), text=text)
    return 0


@click.command()
@mend
def schema() -> int:
    """Print the JSON schema of the fleet file, for editors."""
    click.echo(json.dumps(fleet.json_schema(), indent=2))
    return 0
