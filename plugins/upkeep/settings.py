"""Where things are: the one place that knows paths and environment variables.

Everything can be moved by an environment variable; the defaults keep state and caches outside the
checkout, in a folder that an unprivileged server process can enter even when the user is root.
"""

import hashlib
import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def installed() -> bool:
    """Return whether this is an installed package, which carries its ``include/`` itself, and no checkout."""
    return (_PACKAGE / "include").is_dir()


def checkout() -> Path:
    """Return the folder that holds ``include/`` and ``dags/``: ``UPKEEP_HOME``, the installed package, the checkout.

    A checkout is never looked for: it is one only where this file lies in it, so no other one can be met by accident.
    """
    override = os.environ.get("UPKEEP_HOME")
    return Path(override) if override else own_files()


def own_files() -> Path:
    """Return the same without ``UPKEEP_HOME``: what this Upkeep brings along."""
    return _PACKAGE if installed() else _PACKAGE.parents[1]


def include_dir() -> Path:
    """Return the folder of SQL statements, expectation suites and checks."""
    return checkout() / "include"


def fleet_file() -> Path:
    """Return the fleet file in use: ``UPKEEP_FLEET``, or the checkout's sample; an installed package brings none."""
    override = os.environ.get("UPKEEP_FLEET")
    return Path(override) if override else include_dir() / "fleet.yaml"


def look_pool() -> str:
    """Return Airflow's pool for tasks that only look: ``UPKEEP_LOOK_POOL``, which has to be there, or the default one.

    A task of a pool that Airflow does not know waits for ever, so that no other name can be the default.
    """
    return os.environ.get("UPKEEP_LOOK_POOL") or "default_pool"


def verify_pool() -> str:
    """Return Airflow's pool for tasks that restore backups: ``UPKEEP_VERIFY_POOL``, of one slot, or the default one."""
    return os.environ.get("UPKEEP_VERIFY_POOL") or "default_pool"


def state_dir() -> Path:
    """Return the folder of this checkout's local stack: data directories, logs, passwords.

    ``UPKEEP_STATE_DIR`` moves it. Two checkouts never share one: the name carries a digest of the
    checkout's path.
    """
    override = os.environ.get("UPKEEP_STATE_DIR")
    if override:
        return Path(override)
    digest = hashlib.sha256(str(checkout()).encode()).hexdigest()[:8]
    if os.geteuid() == 0:  # servers run as another user, who cannot enter root's home
        return Path("/var/lib/upkeep") / digest
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "upkeep" / digest


def cache_dir() -> Path:
    """Return the folder of downloaded and built servers, shared by all checkouts (``UPKEEP_CACHE_DIR``)."""
    override = os.environ.get("UPKEEP_CACHE_DIR")
    if override:
        return Path(override)
    if os.geteuid() == 0:
        return Path("/var/cache/upkeep")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "upkeep"


def backups_dir() -> Path:
    """Return where the sample fleet keeps its backups: ``UPKEEP_BACKUPS``, else a folder of the local stack."""
    override = os.environ.get("UPKEEP_BACKUPS")
    return Path(override) if override else state_dir() / "backups"


def tools_dir() -> Path:
    """Return the folder into which the local stack puts the programs that backups run."""
    return cache_dir() / "tools"


def tool_dirs() -> list[Path]:
    """Return where programs are looked for before PATH: ``UPKEEP_TOOLS`` (a list like PATH), or the stack's."""
    override = os.environ.get("UPKEEP_TOOLS")
    return [Path(folder) for folder in override.split(os.pathsep) if folder] if override else [tools_dir()]


def connections_file() -> Path:
    """Return the local stack's connections: a JSON object, connection id → URI, readable by its owner only."""
    override = os.environ.get("UPKEEP_CONNECTIONS_FILE")
    return Path(override) if override else state_dir() / "connections.json"
