"""Commands that read the record: `runs`, `show`."""

from __future__ import annotations

import click

from upkeep.cli import console
from upkeep.cli.base import (
    Id,
    echo,
    json_option,
    mend,
    open_ledger,
    out,
    statements_option,
)
from upkeep.cli.requests import JobName
from upkeep.jobs import spec


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="The newest so many.")
@click.option("--job", type=JobName(), help="Only this job.")
@click.option("--all", "everything", is_flag=True, help="Also looks that found everything as it was before.")
@json_option
@mend
def runs(limit: int, job: str | None, *, everything: bool, as_json: bool) -> int:
    """List the newest runs: how they were begun, how long they took, how their targets ended."""
    quiet = [] if everything else [name for name, row in spec.JOBS.items() if row.looks_only]
    with open_ledger() as ledger:
        found = ledger.runs(limit, job, quiet=quiet)
    if as_json:
        echo({"schema_version": 1, "runs": [r.document() for r in found]})
        return 0
    if not found:
        console.say(out, "no run yet")
    for row in found:
        console.run_line(out, row)
    return 0


@click.command()
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
