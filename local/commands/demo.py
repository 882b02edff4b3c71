"""``local demo``: the tour that ``make run`` ends with (`local.demo`)."""

import argparse

from local import demo


def main(_arguments: argparse.Namespace) -> int:
    """Run the tour."""
    return demo.main()
