"""``local build [PROGRAM]``: build one of TiDB's programs into the cache ahead of time."""

import argparse

from local import tools
from local.errors import LocalError
from local.obtain import tidb


def main(arguments: argparse.Namespace) -> int:
    """Build it if it is not there, and print where it is."""
    known = [*tidb.PACKAGES, *tidb.OURS]
    if arguments.program not in known:
        message = f"unknown program {arguments.program}: choose from {', '.join(known)}"
        raise LocalError(message)
    print(tidb.obtain(arguments.program))
    tools.lay()
    return 0
