"""`upkeep init --from CONNECTION`: a commented first fleet file for an existing database.

What exists is continued (partitions, time-series); how long rows are needed is the owner's to say, so retention rules
are commented out. Each engine's room has an ``first_fleet`` module with ``SECTION`` and ``lines``.
"""

from __future__ import annotations

from upkeep import engines
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.jobs import spec
from upkeep.model import ENGINES

_HEAD = """\
# A first fleet file, made by looking at the database behind '{connection}'.
# mode: observe means: plan and report, change nothing. Put in how long rows are really needed, read what comes of it
# ({commands}), then write mode: enforce.
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
        The connection's type belongs to no engine, or its driver is not installed.
    UnreachableError
        The server does not answer.
    """
    engine = next((name for name, row in ENGINES.items() if address.kind in row.schemes), None)
    if engine is None:
        known = ", ".join(kind for row in ENGINES.values() for kind in row.schemes)
        raise ConfigurationError(f"connection '{connection_id}' is of type '{address.kind}'; known types: {known}")
    called = address.database if not address.database.isdigit() else ""  # Redis numbers its databases
    name = "".join(c if c.isalnum() else "_" for c in called or connection_id).lower()
    plans = (f"upkeep plan {job}" for job, row in spec.JOBS.items() if engine in row.engines and row.cron)
    text = _HEAD.format(connection=connection_id, name=name, engine=engine, commands=", ".join(plans))
    module = engines.room(engine, "first_fleet")
    with engines.engine(engine).open(address, application="upkeep init") as session:
        found = list(module.lines(session))
    if not found:
        return text
    declares = any(line.strip() and not line.strip().startswith("#") for line in found)
    lines = ("\\n".join(line.splitlines()) for line in found)  # a name in a comment may hold line breaks
    return f"{text}    {'' if declares else '# '}{module.SECTION}:\n" + "\n".join(lines) + "\n"
