"""What is still being built is left out of the fleet that the stack's Airflow works on, until it is there.

Airflow would find its targets unreachable, and their runs would be red, though nothing is wrong.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from local.obtain import tidb
from local.stack.servers import external_tidb
from upkeep import settings

ENGINE = "tidb"
"""The one whose server is built here, in minutes, from its Go modules."""


def fleet_file() -> Path:
    """Return the stack's own fleet file: there since something was left out; whole, a link, since it is built."""
    return settings.state_dir() / "building" / "fleet.yaml"


def environment() -> dict[str, str]:
    """Return what tells Airflow of the stack's own fleet file, when there is one."""
    return {"UPKEEP_FLEET": str(fleet_file())} if os.path.lexists(fleet_file()) else {}


def left_out() -> list[str]:
    """Return the names of the targets whose server is still being built."""
    if not fleet_file().is_file() or fleet_file().is_symlink():
        return []
    return sorted(_targets(settings.fleet_file()).keys() - _targets(fleet_file()).keys())


def leave_out() -> None:
    """Write the fleet without what is being built; nothing where all is there, or somebody names a fleet file."""
    if "UPKEEP_FLEET" in os.environ or external_tidb():
        return
    if tidb.installed() is not None:
        put_back()
        return
    fleet = yaml.safe_load(settings.fleet_file().read_text())
    fleet["targets"] = {name: t for name, t in fleet["targets"].items() if t["engine"] != ENGINE}
    fleet_file().parent.mkdir(mode=0o700, exist_ok=True)
    fleet_file().unlink(missing_ok=True)
    fleet_file().write_text(yaml.safe_dump(fleet, sort_keys=False))


def put_back() -> None:
    """Let the stack's fleet be the whole one, if something was left out of it."""
    if left_out():
        link = fleet_file().with_suffix(".new")
        link.unlink(missing_ok=True)
        link.symlink_to(settings.fleet_file())
        link.replace(fleet_file())


def _targets(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["targets"]
    return found
