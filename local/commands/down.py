"""``local down``: everything stops, cleanly, in the reverse order."""

import argparse
import shutil

from local.stack import building, supervisor
from upkeep import settings


def main(arguments: argparse.Namespace) -> int:
    """Stop the stack; with ``--remove`` delete its data too. 0 even when nothing ran."""
    ran = supervisor.pid() is not None
    supervisor.shutdown()
    ended = supervisor.end_leftovers()
    building.fleet_file().unlink(missing_ok=True)
    print("stopped" if ran or ended else "nothing runs")
    if arguments.remove:
        shutil.rmtree(settings.state_dir(), ignore_errors=True)
        print(f"removed {settings.state_dir()}")
    return 0
