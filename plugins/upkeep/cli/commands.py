"""The command line: the same steps as the nightly DAGs, without Airflow.

Exit status: 0 fine, 1 an action or gate failed or a finding is at least an ERROR, 2 wrong usage or
configuration, 3 incomplete; ``plan --exit-code`` adds 10 = there is something to do.
"""

from __future__ import annotations

from pathlib import Path

import click

from upkeep import __version__
from upkeep.cli import backups, decisions, findings, history, setup, status, work


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--fleet",
    "fleet_path",
    type=click.Path(path_type=Path),
    help="The fleet file (default: UPKEEP_FLEET; in a checkout, else its include/fleet.yaml).",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, fleet_path: Path | None) -> None:
    """Upkeep keeps databases healthy: plan, gate, do and prove their maintenance.

    Nothing is changed that was not planned and checked; what destroys data waits for a verified backup or
    a person's approval. Start with `upkeep check`, then `upkeep plan partition_creation`.
    """
    context.obj = fleet_path


for _command in (
    work.plan,
    work.run,
    status.status,
    setup.check,
    setup.init,
    decisions.pending,
    decisions.reject,
    findings.findings,
    findings.acknowledge,
    decisions.pause,
    decisions.resume,
    history.runs,
    history.show,
    work.undo,
    work.restore_archive,
    backups.backups,
    backups.verify,
    backups.restore,
    setup.schema,
):
    main.add_command(_command)
