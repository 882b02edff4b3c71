"""Why a table's rows may not be deleted or archived, each with the exact remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from upkeep.fleet.location import is_table_name
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.tidb import names
from upkeep.tidb.data_retention.archive_table import bound_drift, drift, key_drift
from upkeep.tidb.data_retention.view import TableView

SMALL_ROWS: Final = 10_000
"""A table so small is read in a few milliseconds: it needs no index on its age column."""
CHANGING: Final = ("CASCADE", "SET NULL", "SET DEFAULT")


def refusals(view: TableView) -> list[Refusal]:
    """Return why nothing of the table may go; empty when it may."""
    if view.problem is not None:
        return [Refusal("policy", *view.problem)]
    found = [*_shape(view), *_unit(view), *_ttl(view)]
    if not view.by_partition or view.policy.then == "archive":
        found += _references(view)
    if not view.by_partition:
        found += _index(view)
    if view.policy.then == "archive":
        found += _archive(view)
    return found


def left_to_ttl(view: TableView) -> bool:
    """Return whether TiDB's own TTL deletes what this policy would, so that nothing is done twice."""
    ttl, policy = view.ttl, view.policy
    if (
        ttl is None
        or not ttl.enabled
        or not view.ttl_runs
        or ttl.length is None
        or not names.same(ttl.column, view.age)
    ):
        return False
    plain = policy.then == "delete" and policy.requires == "nothing"
    return plain and ttl.length.approximate <= policy.for_.approximate


def _shape(view: TableView) -> Iterator[Refusal]:
    if view.by_partition and view.odd_bound is not None:
        text = f"one of its partitions ends at {view.odd_bound}, which is no time of {view.age}"
        yield Refusal("partition_key", text, "reorganize that partition up to a date, or write precision: row")
    elif view.by_partition and view.scale is None:
        yield Refusal(
            "partition_key",
            f"it is partitioned by {(view.method or '').lower()}, so no partition tells the age {view.age} of its rows",
            "write precision: row, or partition it by range of that column",
        )
    if view.by_partition and view.global_index and view.policy.then == "delete":
        text = "it has a global index: TiDB exchanges no partition of such a table"
        yield Refusal("global_index", text, "write precision: row, or make the index local")


def _unit(view: TableView) -> Iterator[Refusal]:
    """Yield that the numbers of the age column, by its partitions' bounds or its ends, are no times in their unit."""
    if view.axis is None:
        return
    bounds = [place for piece in view.pieces for place in piece.span]
    why = view.axis.implausible(bounds) or view.axis.implausible(view.axis.read(str(n)) for n in view.numbers)
    if why is not None:
        text = f"the numbers of {view.age} are no times in {view.axis.unit}: {why}"
        yield Refusal("unit", text, "correct unit: in the fleet file; until then nothing goes here")


def _ttl(view: TableView) -> Iterator[Refusal]:
    ttl, policy = view.ttl, view.policy
    if ttl is None or not ttl.enabled or not view.ttl_runs:
        return
    off = f"alter table {view.subject} ttl_enable = 'OFF' (or remove ttl), or take retain out of the policy"
    rule = policy.requires if isinstance(policy.requires, str) else "backup"
    if policy.then == "archive":
        text = f"its TTL deletes rows {ttl.text} after {ttl.column} on its own, also those that are not archived yet"
        yield Refusal("ttl", text, off)
    elif rule != "nothing":
        text = f"its TTL deletes rows {ttl.text} after {ttl.column} on its own, without the {rule} that is required"
        yield Refusal("ttl", text, off)


def _references(view: TableView) -> Iterator[Refusal]:
    for key in view.referenced_by:
        if key["on_delete"] not in CHANGING or view.policy.cascades == "declared":
            continue
        table = names.display(key["schema"], key["table"])
        text = f"deleting from it would change {table} (ON DELETE {key['on_delete']} of {key['name']})"
        yield Refusal("foreign_keys", text, "write cascades: declared if that is meant")


def _index(view: TableView) -> Iterator[Refusal]:
    if view.age_index is None and not view.small:
        column = names.quote(view.age)
        yield Refusal(
            "age_index",
            f"no index leads with {view.age}: every batch would read the table whole",
            f"create index idx_{view.age.lower()} on {view.subject} ({column}): TiDB builds it online",
        )


def _archive(view: TableView) -> Iterator[Refusal]:
    into = view.policy.into or ""
    if not is_table_name(into):
        text = f"archiving into {into} is not available on TiDB"
        yield Refusal("archive", text, "name a table of the same cluster in retain.into")
        return
    archive, table = view.archive, view.table
    if archive is None and view.archive_kind is not None:
        yield Refusal("archive", f"{into} is {view.archive_kind}, not a table", "name a table in retain.into")
        return
    if archive is None or table is None:
        remedy = f"create table {into} like {view.subject}"
        if view.ttl is not None:
            remedy += f"; alter table {into} remove ttl (it would inherit that)"
        yield Refusal("archive", f"the archive table {into} does not exist", remedy)
        return
    if archive.id == table.id:
        yield Refusal("archive", "the archive is the table itself", "name another table in retain.into")
        return
    yield from _forgets(view, archive.subject)
    random = "AUTO_RANDOM" in (archive.sharding or "")  # always the first column of the primary key
    own = {str(k["column"]).lower() for k in view.archive_keys if random and (k["name"], k["place"]) == ("PRIMARY", 1)}
    found = drift(view.columns, view.archive_columns, archive.subject, own=own)
    copied = {str(column["name"]).lower() for column in view.columns}
    found += key_drift(view.unique_keys, view.archive_keys, archive.subject, copied=copied, own=own)
    for one in found + bound_drift(view.constraints, view.archive_constraints, archive.subject):
        yield Refusal("archive_drift", one.text, one.remedy)


def forgets_at_once(view: TableView) -> bool:
    """Return whether the archive's own TTL would delete what is archived, or may, by a column that is copied."""
    own = view.archive_ttl
    if own is None or not own.enabled or not any(names.same(c["name"], own.column) for c in view.columns):
        return False
    longer = own.length is not None and own.length.approximate > view.policy.for_.approximate
    return not (longer and names.same(own.column, view.age))


def _forgets(view: TableView, archive: str) -> Iterator[Refusal]:
    if view.archive_temporary:
        text = f"{archive} is a temporary table: it forgets what is archived when the transaction ends"
        yield Refusal("archive_expires", text, "name an ordinary table in retain.into")
    elif view.archive_cached:
        text = f"{archive} is a cached table: it takes 64 MB, and each write waits for what other servers hold"
        yield Refusal("archive", text, f"alter table {archive} nocache")
    elif forgets_at_once(view) and view.archive_ttl is not None:
        own = view.archive_ttl
        text = f"{archive} has a TTL of its own ({own.text} after {own.column}): it would delete what is archived"
        yield Refusal("archive_expires", text, f"alter table {archive} remove ttl")
