"""PostgreSQL's programs: which ones, how they log in, and what of their words may be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from upkeep import libpq, programs
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, NotAvailableError
from upkeep.programs import Output

_VARIABLES: Final[Mapping[str, str]] = {
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslcertmode": "PGSSLCERTMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "sslsni": "PGSSLSNI",
    "passfile": "PGPASSFILE",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "requirepeer": "PGREQUIREPEER",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "require_auth": "PGREQUIREAUTH",
    "hostaddr": "PGHOSTADDR",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}
"""Extras of a connection, as libpq's variables."""
_OURS: Final = re.compile(r"^pg_(dump|restore|dumpall): |^initdb: |^HINT: ")
_HIDDEN: Final = re.compile(r"^pg_\w+: (detail: )?(Command was|detail: |warning: line )|Command was: ")
_ERROR: Final = re.compile(r"(ERROR|FATAL|PANIC): +(.*)$")
_SAFE: Final = re.compile(
    r"^(relation|table|type|function|schema|role|extension|constraint|index|column|collation|language|operator|view"
    r"|access method|tablespace|database|sequence|server|parameter|foreign-data wrapper|trigger|rule)"
    r" .*(exist|found|null)"
    r"|^(permission denied|could not |canceling |must be |out of |cannot |terminating |deadlock |invalid snapshot)"
    r"|^(connection |the database system|no pg_hba|unrecognized configuration|unsupported)"
    r"|violates (unique|foreign key) constraint|is not available|password|already exists"
    r"|^query would be affected by row-level security"
)
"""What the server says of names, rights and resources; anything else may quote a value, or be a user's own words."""
_IGNORED: Final = re.compile(r"errors ignored on restore: (\d+)")
_UNKNOWN: Final = 'unrecognized configuration parameter "transaction_timeout"'
LEFT_OUT: Final = "(its words are left out: they may hold values of rows)"


def clean(line: str) -> str:
    """Return what may be shown of a line that a tool of PostgreSQL printed; empty: nothing."""
    if not _OURS.match(line) or _HIDDEN.search(line):
        return ""
    found = _ERROR.search(line)
    if found and not _SAFE.search(found[2]):
        return f"{line[: found.start()]}{found[1]}: {LEFT_OUT}"
    return line


def environment(address: Address, application: str) -> dict[str, str]:
    """Return what makes a tool of PostgreSQL log in at an address, the password too: it is in no argument.

    Raises `ConfigurationError` when it has an option that the tools cannot be given.
    """
    host, port = libpq.hosts(address)
    known = libpq.options(address)
    if known.get("sslpassword"):
        raise ConfigurationError(
            f"connection '{address.connection_id}': PostgreSQL's tools take no password of a key (sslpassword): "
            "give it a key without one"
        )
    ours = {key: os.environ[name] for key, name in _VARIABLES.items() if name in os.environ}  # the session minds them
    wanted = {
        "PGHOST": host,
        "PGPORT": port,
        "PGUSER": address.user,
        "PGPASSWORD": address.password,
        "PGDATABASE": address.database,
        "PGAPPNAME": application,
        "PGCONNECT_TIMEOUT": "10",
        **{_VARIABLES[key]: value for key, value in {**ours, **known}.items() if key in _VARIABLES},
    }
    return {name: value for name, value in wanted.items() if value}


def harmless(output: Output) -> bool:
    """Return whether all that ``pg_restore`` stumbled over is a setting that an older server does not know.

    Version 17 and later begin by switching ``transaction_timeout`` off, whatever the server; each such line is counted
    as an error, and nothing of the backup is in it.
    """
    ignored = _IGNORED.search(output.text)
    return output.status == 1 and ignored is not None and int(ignored[1]) == output.text.count(_UNKNOWN)


def dumper(server: int) -> Path:
    """Return the ``pg_dump`` for a server of this major version: of the same one, else the next newer."""
    return _at_least("pg_dump", server)


def restorer(dumped_by: int) -> Path:
    """Return a ``pg_restore`` that reads what a ``pg_dump`` of this major version wrote."""
    return _at_least("pg_restore", dumped_by)


def _at_least(name: str, wanted: int) -> Path:
    """Return the program of this major version, or of the next newer. Raises `NotAvailableError`."""
    broken = list[str]()
    here = {*programs.majors(name, broken).values()}
    fitting = [number for number in sorted(here) if number >= wanted]
    if not fitting:
        older = [f"only {', '.join(map(str, sorted(here)))} is here"] if here else []
        said = "; ".join([f"no {name} of version {wanted} or newer is on this machine", *older, *broken])
        raise NotAvailableError(f"{said}: install postgresql-client-{wanted}, or name its folder in UPKEEP_TOOLS")
    return programs.find(name, major=fitting[0])


def major(path: Path) -> int:
    """Return the major version of a program."""
    return programs.major_of(programs.version(path))


def database(name: str) -> str:
    """Return the option that names a database, whatever its name holds."""
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"--dbname=dbname='{quoted}'"
