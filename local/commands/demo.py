"""``local demo``: the tour that ``make run`` ends with (`local.demo`)."""

import argparse
import importlib
import importlib.util

from local.commands.status import print_status


def main(arguments: argparse.Namespace) -> int:
    """Run the tour; where there is none yet, say what is up."""
    del arguments
    if importlib.util.find_spec("local.demo") is None:
        return print_status()
    module = importlib.import_module("local.demo")
    return int(module.main() or 0)
