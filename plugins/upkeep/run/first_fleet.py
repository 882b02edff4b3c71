"""`upkeep init --from CONNECTION`: a commented first fleet file for an existing database.

What exists is continued (partitions, time-series); how long rows are needed is the owner's to say, so retention rules
are commented out. Each engine's room has a ``first_fleet`` module with ``sections``.
"""

from __future__ import annotations

from upkeep import engines
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.model import ENGINES

_HEAD = """\
# A first fleet file, made by looking at the database behind '{connection}'. It changes nothing: mode: observe plans and
# reports only, and what would delete is a comment. The way from here
#   1. upkeep check                    what works, what is only observed, which right is missing
#   2. take the # away below where rows should go, and put in for how long you need them
#   3. upkeep plan data_retention      what would go, and why; likewise partition_creation, index_analysis, health_check
#   4. mode: enforce                   when the plans are what you want
version: 1

targets:
  {name}:
    engine: {engine}
    connection: {connection}
    mode: observe
    # window: {{start: "01:00", end: "05:00", timezone: UTC}}  # when changes may be made; default: at any time
    # backup: {{into: /srv/backups}}  # each night, and restored to prove it; or backup: external
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
    module = engines.room(engine, "first_fleet")
    with engines.engine(engine).open(address, application="upkeep init") as session:
        sections = module.sections(session)
    head = _HEAD.format(connection=connection_id, name=name, engine=engine)
    return head + "".join(_section(key, lines) for key, lines in sections.items() if lines)


def _section(key: str, lines: list[str]) -> str:
    return f"    {key}:\n" + "\n".join(map(_plain, lines)) + "\n"


def _plain(line: str) -> str:
    """Return a line with what YAML does not read escaped: a name in a comment may hold line breaks and the like."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
