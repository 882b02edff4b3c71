"""The statements that convert a plain table, built from an action's arguments alone.

The plan shows them and apply sends them: they are the same because both come from here. `parts`
builds those for what a table carries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from psycopg import sql

from upkeep.postgres.partition_creation.conversion.names import CHECK
from upkeep.postgres.partition_creation.conversion.parts import (
    add_identities,
    columns,
    comment,
    drop_identities,
    drop_triggers,
    foreign_keys,
    grants,
    indexes,
    make_room,
    names_back,
    own_sequences,
    policies,
    publish,
    rename_indexes,
    rename_statistics,
    replica_identity,
    statistics,
    triggers,
    unpublish,
)
from upkeep.postgres.partition_creation.conversion.view import Facts
from upkeep.postgres.partition_creation.leftovers import HALF_MADE
from upkeep.postgres.partition_creation.statements import Args, belongs, clause, table
from upkeep.postgres.session import statement


def marker(args: Args) -> str:
    """Return the comment on our CHECK, by which the next run knows it, and removes it."""
    oid = args["parent"]["oid"]
    known = {"kind": "constraint", "parent": oid, "default": oid, "lower": args["lower"], "upper": args["upper"]}
    return f"{HALF_MADE} {json.dumps(known, sort_keys=True)}"


def check(args: Args) -> list[sql.Composed]:
    """Return what adds the CHECK and marks it as ours."""
    known = table(args, "parent")
    name = sql.Identifier(CHECK)
    return [
        statement(
            "partition_creation/conversion/check",
            table=known,
            name=name,
            key=sql.Identifier(args["key"]),
            inside=belongs(args),
        ),
        statement("partition_creation/comment_on_constraint", table=known, name=name, text=sql.Literal(marker(args))),
    ]


def validate(args: Args) -> sql.Composed:
    """Return what proves the CHECK on the rows there are."""
    return statement("partition_creation/validate_constraint", table=table(args, "parent"), name=sql.Identifier(CHECK))


def prepare(args: Args) -> Iterator[sql.Composed]:
    """Yield what makes the partitioned table under a name of its own; readers and writers pass."""
    facts, made = args["facts"], table(args, "made")
    yield from rename_indexes(args)
    yield from rename_statistics(args)
    space = facts["tablespace"]
    yield statement(
        "partition_creation/conversion/create",
        persistence=sql.SQL("unlogged " if facts["persistence"] == "u" else ""),
        parent=made,
        table=table(args, "parent"),
        key=sql.Identifier(args["key"]),
        tablespace=sql.SQL(" tablespace {}").format(sql.Identifier(space)) if space else sql.SQL(""),
    )
    # LIKE has copied it: on the partitioned table it would bind the partitions to come as well.
    yield statement("drop_constraint", table=made, name=sql.Identifier(CHECK))
    if facts["owner"] != facts["role"]:
        yield statement("partition_creation/alter_owner", table=made, role=sql.Identifier(facts["owner"]))
    yield from columns(facts, made)
    yield from indexes(facts, made)
    yield from replica_identity(facts, made)
    yield from grants(facts, made)
    if facts["row_security"]:
        yield statement("partition_creation/enable_row_security", table=made)
    if facts["force_row_security"]:
        yield statement("partition_creation/force_row_security", table=made)
    if facts["comment"]:
        yield comment(sql.SQL("table {}").format(made), facts["comment"])


def exchange(args: Args) -> Iterator[sql.Composed]:
    """Yield what gives the partitioned table the name and all that goes with it; under the lock."""
    facts = args["facts"]
    plain, made, part = table(args, "parent"), table(args, "made"), table(args, "part")
    parent = table(args, "parent")
    yield from make_room(args, facts)
    yield from drop_triggers(facts, plain)
    yield from unpublish(facts, plain)
    yield statement(
        "partition_creation/conversion/rename_table", table=plain, name=sql.Identifier(args["part"]["name"])
    )
    yield statement(
        "partition_creation/conversion/rename_table", table=made, name=sql.Identifier(args["parent"]["name"])
    )
    yield from add_identities(args, facts, parent)
    yield from drop_identities(facts, part)
    yield from own_sequences(facts, parent)
    yield from foreign_keys(facts, parent)
    yield from triggers(facts, parent)
    yield from policies(facts, parent)
    yield from statistics(facts)
    yield statement("attach_partition", parent=parent, child=part, bounds=clause(args))
    # Last: ATTACH needs it, and the partition constraint says the same from then on.
    yield statement("drop_constraint", table=part, name=sql.Identifier(CHECK))
    yield from publish(facts, parent)


def take_back(args: Args, facts: Facts, plain: Facts) -> Iterator[sql.Composed]:
    """Yield what puts the plain table back, with the partitioned table's sequences as they stand now.

    Parameters
    ----------
    facts
        What the partitioned table carries now.
    plain
        What the part that becomes the table again carries now.
    """
    parent, part = table(args, "parent"), table(args, "part")
    yield statement("detach_partition", parent=parent, child=part)
    yield from make_room(args, facts)
    yield from add_identities(args, facts, part)
    yield from own_sequences(facts, part)
    yield statement("drop_table", table=parent)
    yield statement(
        "partition_creation/conversion/rename_table", table=part, name=sql.Identifier(args["parent"]["name"])
    )
    yield from names_back(args, plain)
    yield from triggers(facts, parent)
    yield from publish(facts, parent)


def analyze(args: Args) -> sql.Composed:
    """Return what gathers statistics of the partitioned table, which autovacuum never does."""
    return statement("analyze", table=table(args, "parent"))


def shown(args: Args) -> tuple[str, ...]:
    """Return all statements of a conversion as texts, in their order."""
    parts = (
        [sql.SQL("-- 1. the bounds, not yet proven: a short lock")],
        check(args),
        [sql.SQL("-- 2. proven while readers and writers pass"), validate(args)],
        [sql.SQL("-- 3. one transaction; up to the lock, readers and writers pass")],
        prepare(args),
        list(locks(args, table(args, "parent"))),
        exchange(args),
        [sql.SQL("-- 4. after it"), analyze(args)],
    )
    return tuple(s.as_string(None) for part in parts for s in part)


def locks(args: Args, *tables: sql.Composable) -> Iterator[sql.Composed]:
    """Yield the locks in their order: the tables that foreign keys point to, as ATTACH will take them, then ours.

    Where our role may reference such a table, but not lock it, ATTACH alone locks it.
    """
    known = [key for key in args["facts"]["foreign_keys"] if key["may_lock"]]
    found = {key["oid"]: sql.Identifier(key["schema"], key["table"]) for key in known}
    mode = sql.SQL("access exclusive")
    # In the order of object ids: two conversions that point to the same tables cannot meet crosswise.
    for name in (*(found[oid] for oid in sorted(found)), *tables):
        yield statement("lock_table", table=name, mode=mode)
