"""A local stack of the tests' own: other state, other ports than the one of `make run`, gone at the end."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from upkeep import settings


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Parameters
    ----------
    state_dir
        Its state directory.
    url
        Address of the web interface.
    passwords
        Of the web interface, by user (``admin``, ``viewer``).
    """

    state_dir: Path
    url: str
    passwords: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `local` and `upkeep` mean this stack."""
        return stack_environment(self.state_dir)

    def local(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``python -m local …`` on this stack."""
        return run_local(self.state_dir, *arguments)

    @property
    def connections(self) -> dict[str, str]:
        """Connection id → URI."""
        return dict(json.loads((self.state_dir / "connections.json").read_text()))


def stack_environment(state_dir: Path) -> dict[str, str]:
    """Return our environment, pointed at another state directory."""
    moved = {"UPKEEP_STATE_DIR": str(state_dir), "UPKEEP_CONNECTIONS_FILE": str(state_dir / "connections.json")}
    return {**os.environ, **moved}


def run_local(state_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m local …`` on the stack in ``state_dir``; never raises."""
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=settings.checkout(),
        env=stack_environment(state_dir),
        capture_output=True,
        text=True,
        check=False,
    )


def start_stack(state_dir: Path) -> Stack:
    """Start a stack and return it; AssertionError with its output when it does not come up."""
    result = run_local(state_dir, "up")
    assert result.returncode == 0, result.stdout + result.stderr
    known = json.loads((state_dir / "stack.json").read_text())
    passwords = {user: known["secrets"][user] for user in ("admin", "viewer")}
    return Stack(state_dir, f"http://127.0.0.1:{known['ports']['web']}", passwords)
