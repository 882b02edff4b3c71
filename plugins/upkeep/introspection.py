"""`upkeep init --from CONNECTION`: a commented first fleet file for an existing database."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from upkeep import jobs
from upkeep.connections import SCHEMES
from upkeep.errors import ConfigurationError

if TYPE_CHECKING:
    from upkeep.jobs import Address

_HEAD = """\
# A first fleet file, made by looking at the database behind '{connection}'.
# mode: observe means: plan and report, change nothing. Read what `upkeep plan partition_creation` and
# `upkeep plan data_retention` say, put in how long rows are really needed, then write mode: enforce.
version: 1

targets:
  {name}:
    engine: {engine}
    connection: {connection}
    mode: observe
"""


def first_fleet(connection_id: str, address: Address) -> str:
    """Return the text of a fleet file for one database.

    Raises
    ------
    ConfigurationError
        The connection's type belongs to no engine.
    UnreachableError
        The server does not answer.
    """
    engine = next((name for name, schemes in SCHEMES.items() if address.kind in schemes), None)
    if engine is None:
        known = ", ".join(kind for kinds in SCHEMES.values() for kind in kinds)
        raise ConfigurationError(f"connection '{connection_id}' is of type '{address.kind}'; known types: {known}")
    name = "".join(c if c.isalnum() else "_" for c in address.database or connection_id).lower()
    text = _HEAD.format(connection=connection_id, name=name, engine=engine)
    with jobs.engine(engine).open(address, application="upkeep init") as session:
        found = list(_lines(engine, session))
    if any(line.strip() and not line.strip().startswith("#") for line in found):
        return text + "    tables:\n" + "\n".join(found) + "\n"
    return text + "    # tables:\n" + "\n".join(found) + "\n" if found else text


def _lines(engine: str, session: jobs.Session) -> Iterator[str]:
    try:
        module = importlib.import_module(f"upkeep.{engine}.introspection")
    except ModuleNotFoundError:
        return
    yield from module.lines(session)
