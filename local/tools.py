"""The programs that backups run, all in one folder of the cache, which Upkeep finds by itself (`upkeep.settings`).

Most are a line of shell that becomes the program: what was unpacked and not installed needs its own libraries named.
"""

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local.obtain import tidb, versions
from local.process import reachable_cache
from local.servers.mongo import mongod_program
from local.servers.postgres import postgres_bin, unpacked_postgres
from local.servers.redis import redis_tools
from upkeep import settings
from upkeep.model import ENGINES


def lay() -> Path:
    """Put what is there into the folder, fetching what needs no building, and return the folder.

    Where the environment names versions of servers it is another folder, which ``UPKEEP_TOOLS`` has to name.
    """
    named = "-".join(f"{engine}-{version}" for engine in ENGINES if (version := versions.wanted(engine)))
    folder = settings.tools_dir()
    folder = reachable_cache(folder.with_name(f"{folder.name}-{named}") if named else folder)
    for program, libraries in _programs():
        setting = (
            f"LD_LIBRARY_PATH={shlex.quote(libraries)}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} " if libraries else ""
        )
        _write(folder / program.name, f'#!/bin/sh\n{setting}exec {shlex.quote(str(program))} "$@"\n')
    return folder


def _programs() -> Iterator[tuple[Path, str]]:
    packages = unpacked_postgres()
    for path in sorted(postgres_bin().iterdir()):
        yield path, packages.libraries() if packages else ""
    yield from (tool for tool in redis_tools() if tool[0].exists())
    yield mongod_program()
    for name in ("tidb-server", tidb.DUMPLING):
        if (built := tidb.installed(name)) is not None:
            yield built, ""


def _write(path: Path, text: str) -> None:
    """Write a program, whole at every moment: others may start it meanwhile."""
    if path.exists() and path.read_text() == text:
        return
    handle, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(draft).chmod(0o755)
    Path(draft).rename(path)
