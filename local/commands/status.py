"""``local status``: what runs, and where."""

import argparse

from local.obtain import tidb
from local.stack import airflow_env, state, supervisor
from local.stack.servers import external_tidb
from upkeep import settings

MINUTE, HOUR = 60, 3600  # seconds


def main(arguments: argparse.Namespace) -> int:
    """Print the table; 0 when everything runs, 1 when something does not."""
    del arguments
    return print_status()


def print_status() -> int:
    """Print all programs with their addresses, and how to log in; 0 when everything runs, else 1."""
    known, programs = state.remembered(), supervisor.programs()
    if known is None or not programs:
        print("the local stack does not run: `make run` starts it")
        return 1
    for program in programs:
        note = _where(program.name, known)
        if program.name == "tidb" and program.state == "RUNNING" and tidb.installed() is None:
            note = f"being built: tail -f {supervisor.log_folder() / 'tidb.log'}"
        up = _duration(program.uptime) if program.state == "RUNNING" else ""
        print(f"  {program.name:14} {program.state.lower():9} {up:>7}  {note}")
    if external_tidb():
        print("  tidb           the one that UPKEEP_TIDB_URI names")
    print(f"\n  web interface  {airflow_env.web_url(known)}")
    for user, role in airflow_env.USERS.items():
        print(f"                 log in as {user} / {known.secrets[user]}   ({role})")
    print(f"  state and logs {settings.state_dir()}")
    return 0 if all(program.state == "RUNNING" for program in programs) else 1


def _where(name: str, known: state.State) -> str:
    port = known.ports.get("web" if name == "api-server" else name)
    return f"127.0.0.1:{port}" if port else ""


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"
