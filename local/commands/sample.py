"""``local sample``: the sample fleet's data."""

import argparse

from local.sample.loader import load


def main(arguments: argparse.Namespace) -> int:
    """Load what is absent; with ``--reset`` drop and load all."""
    load(reset=arguments.reset)
    return 0
