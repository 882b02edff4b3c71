"""What tests of a plan that waits share: the command line with a fleet file that changes between commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from upkeep.cli import main


class Upkeep:
    """The command line, and today's fleet file as text.

    Parameters
    ----------
    status
        The exit status that every command but a bare call must have; ``None``: any.
    """

    def __init__(self, fleet: Path, text: str, *, status: int | None = None) -> None:
        self.fleet = fleet
        self.text = text
        self.status = status

    def __call__(self, *arguments: str) -> Result:
        self.fleet.write_text(self.text)
        return CliRunner().invoke(main, ["--fleet", str(self.fleet), *arguments])

    def target(self, *arguments: str, status: int | None = None) -> Any:
        """Return the only target's part of the document."""
        result = self(*arguments, "--json")
        assert result.stdout.startswith("{"), result.output
        expected = self.status if status is None else status
        assert expected in {None, result.exit_code}, result.output
        (target,) = json.loads(result.stdout)["targets"]
        return target | {"exit": result.exit_code}

    def run(self) -> Any:
        return self.target("run", "data_retention")

    def plan(self) -> str:
        """Return the id of a plan that waits."""
        planned = self.run()
        assert planned["status"] == "awaiting_approval", planned
        return str(planned["plan_id"])

    def approve(self, plan_id: str, status: int | None = None) -> Any:
        return self.target("run", "data_retention", "--approve", plan_id, status=status)


def code(target: Any) -> str:
    """Return what became of the only destructive action."""
    (action,) = [a for a in target["actions"] if a["destructive"]]
    outcome = action["outcome"]
    return str(outcome.get("reason_code") or outcome["status"])


def closed_window() -> str:
    """Return a window that is not open now, as the fleet file says it."""
    hour = (datetime.now(UTC).hour + 12) % 24
    return f'window: {{start: "{hour:02}:00", end: "{hour:02}:30", timezone: UTC}}'
