"""``python -m upkeep.cli``."""

from upkeep.cli.main import main

main()
