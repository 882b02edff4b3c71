"""``python -m upkeep.cli``."""

from upkeep.cli import main

main()
