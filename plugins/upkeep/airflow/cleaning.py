"""``python -m upkeep.airflow.cleaning``: keep Airflow's own history of Upkeep's DAGs small.

A round every five minutes leaves some thousand task instances and log files a day, which nobody reads after a week: the
ledger knows what was found. Other DAGs than Upkeep's are left alone. It runs where Airflow's database may be used,
beside the scheduler, by a timer or with ``--daily``: tasks of Airflow 3 are kept from that database.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from upkeep.jobs import spec

ROUNDS_KEPT: Final = timedelta(days=7)
NIGHTS_KEPT: Final = timedelta(days=90)
_OFTEN: Final = timedelta(hours=2)
_DAY: Final = timedelta(days=1)
_FIRST: Final = timedelta(hours=1)
_TABLES: Final = "dag_run,log"
"""With a DAG run go its task instances, their history, XComs and deadlines; ``log`` is who did what."""
_OWN_FAULT: Final = "['deadline']"
"""Airflow asks that table for a column which it has not; its rows go with their DAG run all the same."""


def kept(rounds: timedelta = ROUNDS_KEPT, nights: timedelta = NIGHTS_KEPT) -> dict[timedelta, list[str]]:
    """Return for how long the history of which DAGs is kept."""
    from upkeep.airflow.operators import APPROVALS  # noqa: PLC0415 - as below

    often = [name for name, row in spec.JOBS.items() if row.interval is not None and row.interval < _OFTEN]
    return {rounds: often, nights: [*(name for name in spec.JOBS if name not in often), APPROVALS]}


def clean(wanted: dict[timedelta, list[str]], *, dry_run: bool = False) -> None:
    """Remove what is older, from the database and of the log files; raises when a table could not be cleaned."""
    from airflow.cli.cli_parser import get_parser  # noqa: PLC0415 - the one that waits for the next day needs none
    from airflow.configuration import conf  # noqa: PLC0415

    logs = Path(conf.get("logging", "base_log_folder"))
    for age, names in wanted.items():
        if not names:
            continue
        before = datetime.now(UTC) - age
        command = ["db", "clean", "--clean-before-timestamp", before.isoformat(), "--dag-ids", ",".join(names)]
        command += ["--tables", _TABLES, "--skip-archive", "--yes", "--error-on-cleanup-failure"]
        arguments = get_parser().parse_args([*command, *(["--dry-run"] if dry_run else [])])
        try:
            arguments.func(arguments)
        except RuntimeError as error:
            if _OWN_FAULT not in str(error):
                raise
        for folder in old_logs(logs, names, before):
            sys.stdout.write(f"{'would remove' if dry_run else 'removing'} {folder}\n")
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)


def old_logs(logs: Path, names: list[str], before: datetime) -> Iterator[Path]:
    """Yield the folders of runs whose last log file was written before an instant."""
    for name in names:
        for folder in logs.glob(f"dag_id={name}/run_id=*"):
            files = [path for path in folder.rglob("*") if not path.is_dir()]
            written = max((path.lstat().st_mtime for path in [*files, folder]), default=0.0)
            if written < before.timestamp():
                yield folder


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and clean, once or every day."""
    parser = argparse.ArgumentParser(prog="python -m upkeep.airflow.cleaning", description=(__doc__ or "").strip())
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS_KEPT.days, metavar="DAYS", help="jobs of every few minutes"
    )
    parser.add_argument("--nights", type=int, default=NIGHTS_KEPT.days, metavar="DAYS", help="all other jobs")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--daily", action="store_true", help="stay, and clean an hour from now and every day after")
    given = parser.parse_args(arguments)
    if not given.daily:
        wanted = kept(timedelta(days=given.rounds), timedelta(days=given.nights))
        clean(wanted, dry_run=given.dry_run)
        return
    once = [sys.executable, "-m", "upkeep.airflow.cleaning", "--rounds", str(given.rounds)]
    once += ["--nights", str(given.nights), *(["--dry-run"] if given.dry_run else [])]
    pause = _FIRST
    while True:
        time.sleep(pause.total_seconds())
        subprocess.run(once, check=False)  # one that fails says so in the log; the next day comes
        pause = _DAY


if __name__ == "__main__":
    main()
