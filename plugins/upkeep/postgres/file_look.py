"""What can be seen, without changing anything, of the locations that tables are archived into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upkeep.errors import ConfigurationError, UpkeepError
from upkeep.postgres import names
from upkeep.postgres.catalog import Relation, by_policy
from upkeep.postgres.retention_rows import is_table_name
from upkeep.postgres.retention_views import frames_policies
from upkeep.stores.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from upkeep.fleet import Target
    from upkeep.postgres.session import PostgresSession, Row


def look(target: Target, relations: Sequence[Row], session: PostgresSession) -> list[Row]:
    """Return one row for each table that is archived into files.

    Returns
    -------
    list
        ``policy``, ``oid``; ``problem`` (why the location cannot be used, else ``None``), ``writable`` and
        ``free_bytes`` (``None``: nobody knows before trying), ``undecided``: an earlier run left something so.
    """
    wanted = {n: p.retain.into for n, p in frames_policies(target).items() if p.retain and p.retain.into}
    wanted = {name: into for name, into in wanted.items() if not is_table_name(into)}
    patterns = {}
    for name in frames_policies(target):  # all of them: the first that matches a table is the one that counts
        try:
            patterns[name] = names.parse(name)
        except ConfigurationError:
            continue
    found = by_policy([Relation(**row) for row in relations], patterns) if wanted else {}
    return [
        {"policy": name, "oid": relation.oid, **_look(into, relation, session)}
        for name, into in wanted.items()
        for relation in found.get(name, ())
    ]


def _look(location: str, relation: Relation, session: PostgresSession) -> Row:
    seen: Row = {"problem": None, "writable": None, "free_bytes": None, "undecided": False}
    try:
        shelf = Shelf.open(location, relation.schema, relation.name, session.identity, session.instance)
        seen |= {"writable": shelf.store.writable(), "free_bytes": shelf.store.free_bytes()}
        seen["undecided"] = shelf.has_undecided()
    except UpkeepError as error:
        seen["problem"] = str(error)
    return seen
