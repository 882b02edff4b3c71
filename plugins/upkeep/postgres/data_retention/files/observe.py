"""What can be seen, without changing anything, of the locations that tables are archived into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from upkeep.errors import ConfigurationError, UpkeepError
from upkeep.fleet import Target
from upkeep.fleet.location import is_table_name
from upkeep.postgres import names
from upkeep.postgres.catalog import Relation, by_policy
from upkeep.postgres.data_retention.files.archive import end_now
from upkeep.postgres.data_retention.view_from_frames import retain_policies
from upkeep.postgres.session import PostgresSession, Row
from upkeep.stores.opening import open_store
from upkeep.stores.shelf import Shelf, tables


def look(target: Target, relations: Sequence[Row], session: PostgresSession) -> list[Row]:
    """Return one row for each table that is archived into files.

    Returns
    -------
    list
        ``policy``, ``oid``; ``problem`` (why the location cannot be used, else ``None``), ``writable`` and
        ``free_bytes`` (``None``: nobody knows before trying), ``undecided``: an earlier run left something so,
        ``timelines``: that of the last file and the server's own, where its history is not that of the file.
    """
    return [
        {"policy": name, "oid": relation.oid, **_look(into, relation, session)}
        for name, into, relation in _archived(target, relations)
    ]


def strays(target: Target, relations: Sequence[Row], session: PostgresSession, known: Iterable[str]) -> list[Row]:
    """Return what a killed run left undecided where no policy archives any more: nobody would settle it.

    Parameters
    ----------
    known
        Locations that rows of this target ever went to.

    Returns
    -------
    list
        ``location``, ``table`` (as it was named), ``notes``: how many.
    """
    covered = {(into, r.schema, r.name) for _, into, r in _archived(target, relations)}
    found: list[Row] = []
    for location in sorted({into for into, _, _ in covered} | set(known)):
        with contextlib.suppress(UpkeepError):  # one in use says so itself, one of before may be gone for good
            for schema, name in tables(open_store(location)):
                if (location, schema, name) in covered:
                    continue
                shelf = Shelf.open(location, schema, name, session.identity, session.instance)
                if notes := shelf.left():
                    found.append({"location": location, "table": names.display(schema, name), "notes": len(notes)})
    return found


def _archived(target: Target, relations: Sequence[Row]) -> Iterator[tuple[str, str, Relation]]:
    """Yield policy, location and table of all that goes into files."""
    wanted = {n: p.retain.into for n, p in retain_policies(target).items() if p.retain and p.retain.into}
    wanted = {name: into for name, into in wanted.items() if not is_table_name(into)}
    patterns = {}
    for name in retain_policies(target):  # all of them: the first that matches a table is the one that counts
        try:
            patterns[name] = names.parse(name)
        except ConfigurationError:
            continue
    found = by_policy([Relation(**row) for row in relations], patterns) if wanted else {}
    for name, into in wanted.items():
        for relation in found.get(name, ()):
            yield name, into, relation


def _look(location: str, relation: Relation, session: PostgresSession) -> Row:
    seen: Row = {"problem": None, "writable": None, "free_bytes": None, "undecided": False, "timelines": None}
    try:
        shelf = Shelf.open(location, relation.schema, relation.name, session.identity, session.instance)
        seen |= {"writable": shelf.store.writable(), "free_bytes": shelf.store.free_bytes()}
        seen |= {"problem": shelf.foreign(), "undecided": shelf.has_undecided()}
    except UpkeepError as error:
        seen["problem"] = str(error)
        return seen
    with contextlib.suppress(UpkeepError):  # a note that is damaged hinders its own restore, not tonight's run
        seen["timelines"] = _timelines(shelf, session)
    return seen


def _timelines(shelf: Shelf, session: PostgresSession) -> list[str] | None:
    newest = None if session.is_replica else shelf.newest()
    if newest is None or newest.timeline is None:
        return None
    now = session.rows("data_retention/timeline")[0]["timeline"]
    other = now != newest.timeline or end_now(session, newest) == "other history"
    return [newest.timeline, now] if other else None
