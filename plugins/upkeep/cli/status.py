"""Command `status`: how the databases are, the page of the fleet as text."""

from __future__ import annotations

from pathlib import Path

import click

from upkeep.cli.base import echo, json_option, load_fleet, mend, open_ledger
from upkeep.jobs import spec


@click.command()
@json_option
@click.pass_obj
@mend
def status(path: Path | None, *, as_json: bool) -> int:
    """Say how the databases are: what needs you, how each job ended last and when, what is open, what comes.

    Exit status: 0 all is well (or waits for an approval only), 1 something is wrong that a person must mend,
    3 something could not be done or looked at, is late, or has never run.
    """
    # The ledger's driver comes with them, and `--help` needs none.
    from upkeep.cli import fleet_text  # noqa: PLC0415
    from upkeep.run import fleet_facts, fleet_view  # noqa: PLC0415

    fleet = load_fleet(path)
    with open_ledger() as ledger:
        view = fleet_view.view(fleet_facts.gather(ledger, fleet, spec.JOBS))
    if as_json:
        echo(view.document())
    else:
        fleet_text.show(view, path)
    return view.exit_status
