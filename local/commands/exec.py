"""``local exec PROGRAM``: become one program of the stack.

Supervisor starts every program through this, so that its own configuration holds no secret and a restarted server
gets its configuration written anew. The kernel asks each program to stop if supervisor dies, be it by kill -9.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from local.process import as_account
from local.stack import airflow_env, supervisor
from local.stack.servers import stack_servers
from local.stack.state import State


def main(arguments: argparse.Namespace) -> int:
    """Replace this process by the program; returns only by an exception."""
    known = State.load()
    name = arguments.program
    if name in (*airflow_env.PROGRAMS, airflow_env.LOG_SERVER):
        _become_airflow(name, known)
    server = stack_servers(known)[name]
    command = server.command()  # builds TiDB first if need be
    server.prepare()
    environment = server.environment() or dict(os.environ)
    os.chdir(server.directory)
    _become(as_account(command), environment)
    return 0


def _become_airflow(name: str, known: State) -> None:
    supervisor.end_strays(name)  # the workers of a scheduler that was killed live on, and keep its tasks
    os.chdir(airflow_env.airflow_home())
    setpriv = shutil.which("setpriv")
    tied = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    environment = {**airflow_env.airflow_environment(known), airflow_env.PROGRAM_MARK: name}
    _become([*tied, *airflow_env.airflow_command(name, known)], environment)


def _become(command: Sequence[str | Path], environment: dict[str, str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    words = [str(word) for word in command]
    os.execvpe(words[0], words, environment)  # noqa: S606 - to become it is the point
