"""Commands about findings: `findings`, `acknowledge`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import click

from upkeep.cli import console
from upkeep.cli.base import (
    Id,
    Instant,
    actor,
    echo,
    hint,
    json_option,
    load_fleet,
    mend,
    open_ledger,
    out,
    result,
    target_option,
)
from upkeep.errors import ConfigurationError
from upkeep.jobs import rooms, spec
from upkeep.model.intervals import Duration, shift
from upkeep.words import moment

if TYPE_CHECKING:
    from upkeep.ledger import Ledger, OpenIssue


_DATE: Final = re.compile(r"\s*\d{4}-")


class Until(click.ParamType[datetime]):
    """An instant with its offset, or how long from now."""

    name = "ISO-8601|DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it; whether it is ahead is known by the ledger's clock."""
        if isinstance(value, str) and not _DATE.match(value):
            try:
                return shift(datetime.now(UTC), Duration.parse(value), ZoneInfo("UTC"))
            except (ValueError, OverflowError) as error:
                self.fail(f"{error}; or an instant with its offset", param, ctx)
        return Instant().convert(value, param, ctx)


@click.command()
@target_option
@click.option("--all", "everything", is_flag=True, help="Also what was mended or went away in the last 30 days.")
@json_option
@click.pass_obj
@mend
def findings(path: Path | None, targets: Sequence[str], *, everything: bool, as_json: bool) -> int:
    """List what is wrong now: the gravest first, then what has stood longest.

    Each with its fingerprint (for `upkeep acknowledge`), since when it stands, when it was last seen, what to do.
    """
    with open_ledger() as ledger:
        found, looks = ledger.issues(targets, everything=everything), ledger.looks(targets)
        _require(ledger, path, targets)
    if as_json:
        seen = [{**row, "at": row["at"].isoformat()} for row in looks]
        echo({"schema_version": 1, "findings": [f.document() for f in found], "looks": seen})
        return 0
    console.issues(out, found, looks, _left(path, found))
    if any(entry.issue.open and not entry.acknowledged for entry in found):
        hint("let one stand for a while with", path, "acknowledge", "FINDING", "--until", "7 days", "--why", "TEXT")
    return 0


def _left(path: Path | None, found: Sequence[OpenIssue]) -> set[tuple[str, str]]:
    """Return which targets and jobs of findings are in the fleet file no more; none when it cannot be read."""
    try:
        fleet = load_fleet(path)
    except ConfigurationError:
        return set()
    known = {(entry.issue.target, entry.issue.job) for entry in found}
    return {
        (name, job)
        for name, job in known
        if name not in fleet.targets or job not in spec.JOBS or not any(rooms.policies(fleet.target(name), job))
    }


def _require(ledger: Ledger, path: Path | None, targets: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a name that no target has: nothing is found of it, which says nothing."""
    for name in targets:
        if not ledger.issues([name], everything=True):  # what left the fleet file may have findings still
            load_fleet(path).target(name)


@click.command()
@click.argument("fingerprint", metavar="FINDING", type=Id("upkeep findings"))
@click.option(
    "--until", type=Until(), required=True, help="Until when it may stand: with offset, or how long: '7 days'."
)
@click.option("--why", required=True, metavar="TEXT", help="Why it may, for the record.")
@json_option
@mend
def acknowledge(fingerprint: str, until: datetime, why: str, *, as_json: bool) -> int:
    """Let FINDING stand until then: it is told, but no target ends partial or failed for it.

    FINDING is a fingerprint, or its unique beginning. The word ends by itself: at that time, when the finding gets
    worse, and when it is gone and comes back.
    """
    with open_ledger() as ledger:
        issue = ledger.acknowledge(fingerprint, until=until, actor=actor(), why=why)
    text = f"{issue.check} of {issue.subject} on {issue.target} is acknowledged until {moment(until)}"
    known = {"target": issue.target, "job": issue.job, "check": issue.check, "subject": issue.subject}
    known |= {"acknowledged_until": until.isoformat(), "acknowledged_by": actor(), "acknowledged_why": why}
    result(text, as_json=as_json, fingerprint=issue.fingerprint, **known)
    return 0
