"""Command line of the local stack: ``python -m local up|down|status|connections|sample|demo``."""

import argparse
import importlib
import os
import sys

from local.errors import LocalError


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The real servers and Airflow on this machine")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything, load the sample fleet; safe to repeat")
    up.add_argument("--new-ports", action="store_true", help="choose new ports instead of the remembered ones")
    down = commands.add_parser("down", help="stop everything")
    down.add_argument("--remove", action="store_true", help="and remove the data, logs, ports and passwords")
    commands.add_parser("status", help="what runs, and where")
    connections = commands.add_parser("connections", help="the connections of the stack")
    connections.add_argument("--show-passwords", action="store_true")
    sample = commands.add_parser("sample", help="load the sample fleet where it is absent")
    sample.add_argument("--reset", action="store_true", help="drop the sample tables and load them afresh")
    sample.add_argument("--when-ready", action="store_true", help="(for up) TiDB's tables, as soon as it is built")
    commands.add_parser("demo", help="run the nightly jobs through Airflow and show what happened")
    build = commands.add_parser("build", help="build TiDB's programs into the cache (tidb-server, upkeep-dumpling)")
    build.add_argument("program", nargs="?", default="tidb-server")
    execute = commands.add_parser("exec", help="(for supervisor) become one program of the stack")
    execute.add_argument("program")
    return parser


def main() -> int:
    """Run one command and return its exit status: 0 fine, 1 something of this machine is in the way."""
    arguments = _arguments().parse_args()
    os.umask(0o022)  # a strict umask of root would lock the servers' account out of what we create
    try:
        # Each command lives in its own module: `exec` must not pay for what `up` imports.
        module = importlib.import_module(f"local.commands.{arguments.command}")
        return int(module.main(arguments))
    except LocalError as error:
        print(f"local {arguments.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
