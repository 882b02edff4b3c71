"""The loader of SQL statements: ``include/sql/<room>/<name>.sql``, one statement (or one table) a file.

A statement that differs between server versions lies beside the general one as ``<name>.pg16.sql``: "from
PostgreSQL 16 on". Comments are sent along, so a statement explains itself in ``pg_stat_activity``; in a
statement with parameters the driver reads ``%`` in comments too, so none is written there.
"""

from __future__ import annotations

import re
from functools import cache

from upkeep.errors import ConfigurationError
from upkeep.settings import include_dir

_VARIANT = re.compile(r"\.pg(?P<major>\d+)\.sql$")
_LINTER = re.compile(r"[ \t]*--[ \t]*noqa\b[^\n]*")
_VERSION_NUMBERS = 10_000  # server_version_num is 160004 where people say 16


@cache
def load(room: str, name: str, version: int | None = None) -> str:
    """Return the text of a statement, without what its author tells the linter (``-- noqa``).

    Parameters
    ----------
    room
        The folder below ``include/sql``: ``postgres``, ``tidb``, ``control``.
    name
        The file's name without its ending; may lie in a subfolder (``migrations/0001/run``).
    version
        The server's major version (16) or ``server_version_num`` (160004). The variant with the highest
        number not above it is taken, else the general file; without a version, the general file.

    Raises
    ------
    ConfigurationError
        There is no such file, or none for a server that old.
    """
    folder = include_dir() / "sql" / room
    chosen = folder / f"{name}.sql"
    if version is not None:
        major = version // _VERSION_NUMBERS if version >= _VERSION_NUMBERS else version
        variants = {
            int(match["major"]): path
            for path in chosen.parent.glob(f"{chosen.stem}.pg*.sql")
            if (match := _VARIANT.search(path.name)) and path.name == f"{chosen.stem}.pg{match['major']}.sql"
        }
        fitting = [number for number in variants if number <= major]
        if fitting:
            chosen = variants[max(fitting)]
    try:
        return _LINTER.sub("", chosen.read_text(encoding="utf-8"))
    except OSError:
        message = (
            f"no statement {name!r} for {room}{f' {version}' if version else ''}: {chosen} cannot be read; "
            "install Upkeep again, or set UPKEEP_HOME to a complete checkout"
        )
        raise ConfigurationError(message) from None
