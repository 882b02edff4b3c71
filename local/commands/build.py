"""``local build [PROGRAM]``: build one of TiDB's programs into the cache ahead of time."""

import argparse

from local.errors import LocalError
from local.obtain import tidb


def main(arguments: argparse.Namespace) -> int:
    """Build it if it is not there, and print where it is."""
    if arguments.program not in tidb.PACKAGES:
        message = f"unknown program {arguments.program}: choose from {', '.join(tidb.PACKAGES)}"
        raise LocalError(message)
    print(tidb.obtain(arguments.program))
    return 0
