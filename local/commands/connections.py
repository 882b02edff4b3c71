"""``local connections``: the connections that Airflow and the command line share."""

import argparse
import json
import re

from local.errors import LocalError
from upkeep import settings


def main(arguments: argparse.Namespace) -> int:
    """Print id and address of each, passwords hidden unless asked for."""
    path = settings.connections_file()
    if not path.exists():
        message = f"{path} is not there yet: `make run` writes it"
        raise LocalError(message)
    for name, uri in json.loads(path.read_text()).items():
        print(f"{name:22} {uri if arguments.show_passwords else mask(uri)}")
    return 0


def mask(uri: str) -> str:
    """Return a URI without its password.

    >>> mask("redis://default:secret@h:1/0")
    'redis://default:***@h:1/0'
    """
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", uri)
