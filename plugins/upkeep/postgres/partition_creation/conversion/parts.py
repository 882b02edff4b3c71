"""The statements for what a table carries: indexes, identities, triggers, grants …, each by the catalog's own text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from psycopg import sql

from upkeep.postgres.partition_creation.conversion.view import Facts
from upkeep.postgres.partition_creation.statements import PRIVILEGES, Args, grant, option_list
from upkeep.postgres.session import statement

_DEFERRABLE: Final = re.compile(r"(.*\))((?: DEFERRABLE)?(?: INITIALLY DEFERRED)?)", re.DOTALL)
_COMMANDS: Final = {"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}
_STATES: Final = {"D": "disable", "R": "enable replica", "A": "enable always"}
_SEQUENCE_PRIVILEGES: Final = frozenset({"USAGE", "SELECT", "UPDATE"})
_NOTHING: Final = sql.SQL("")


def comment(thing: sql.Composable, text: str) -> sql.Composed:
    """Return what comments on ``thing``, given as in ``index public.i``."""
    return statement("partition_creation/conversion/comment", object=thing, text=sql.Literal(text))


# -- what can be done before the lock ------------------------------------------------------------------


def rename_indexes(args: Args) -> Iterator[sql.Composed]:
    """Yield what makes way for the partitioned table's indexes."""
    for old, new in args["names"]["indexes"].items():
        yield _rename_index(args, old, new)


def _rename_index(args: Args, old: str, new: str) -> sql.Composed:
    index = sql.Identifier(args["parent"]["schema"], old)
    return statement("partition_creation/conversion/rename_index", index=index, name=sql.Identifier(new))


def rename_statistics(args: Args) -> Iterator[sql.Composed]:
    """Yield what makes way for the partitioned table's extended statistics."""
    for known in args["facts"]["statistics"]:
        yield _rename_statistics(known["schema"], known["name"], args["names"]["statistics"][known["name"]])


def _rename_statistics(schema: str, old: str, new: str) -> sql.Composed:
    name = sql.Identifier(schema, old)
    return statement("partition_creation/conversion/rename_statistics", statistics=name, name=sql.Identifier(new))


def names_back(args: Args, plain: Facts) -> Iterator[sql.Composed]:
    """Yield what gives the plain table's indexes and statistics their names again, where they are still there."""
    indexes = {new: old for old, new in args["names"]["indexes"].items()}
    for index in plain["indexes"]:
        if index["name"] in indexes:
            yield _rename_index(args, index["name"], indexes[index["name"]])
    known = {new: old for old, new in args["names"]["statistics"].items()}
    for found in plain["statistics"]:
        if found["name"] in known:
            yield _rename_statistics(found["schema"], found["name"], known[found["name"]])


def columns(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield statistics targets and options of the columns, which LIKE leaves out."""
    for column in facts["columns"]:
        name = sql.Identifier(column["name"])
        if column["target"] is not None:
            yield statement(
                "partition_creation/set_statistics", table=table, column=name, target=sql.Literal(column["target"])
            )
        if column["options"]:
            yield statement(
                "partition_creation/conversion/column_options",
                table=table,
                column=name,
                options=option_list(column["options"]),
            )


def indexes(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what makes the partitioned table's indexes and keys, with the names of the plain one's."""
    for index in facts["indexes"]:
        name = sql.Identifier(index["name"])
        full = sql.Identifier(facts["schema"], index["name"])
        # ATTACH joins an index of the part that is defined alike, and builds one only where there is none (PostgreSQL
        # 16, ALTER TABLE … ATTACH PARTITION): so none is built under the lock.
        if index["constraint"]:
            yield statement(
                "partition_creation/conversion/constraint", table=table, name=name, definition=_definition(index)
            )
        else:
            unique = sql.SQL("unique " if index["unique"] else "")
            yield statement(
                "partition_creation/conversion/index",
                unique=unique,
                name=name,
                table=table,
                rest=sql.SQL(index["rest"]),
            )
        if index["tablespace"]:
            space = sql.Identifier(index["tablespace"])
            yield statement("partition_creation/conversion/index_tablespace", index=full, tablespace=space)
        if index["comment"]:
            yield comment(sql.SQL("index {}").format(full), index["comment"])
        if index["constraint_comment"]:
            yield comment(sql.SQL("constraint {} on {}").format(name, table), index["constraint_comment"])


def _definition(index: Facts) -> sql.Composable:
    """Return a key's definition with its index's options, which the catalog's text leaves out."""
    match = _DEFERRABLE.fullmatch(index["definition"])
    if not index["options"] or match is None:
        return sql.SQL(index["definition"])
    return sql.SQL("{} with ({}){}").format(
        sql.SQL(match.group(1)), option_list(index["options"]), sql.SQL(match.group(2))
    )


def replica_identity(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what replication says of changed rows, where it is not the primary key."""
    if facts["replica_identity"] in ("f", "n"):
        kind = sql.SQL("full" if facts["replica_identity"] == "f" else "nothing")
        yield statement("replica_identity", table=table, kind=kind)
    elif facts["replica_identity"] == "i" and facts["replica_index"]:
        yield statement(
            "partition_creation/replica_identity_index", table=table, index=sql.Identifier(facts["replica_index"])
        )


def grants(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what gives everyone exactly the privileges they have on the plain table."""
    owner = facts["owner"]
    # An owner's usual rights stand in no catalog: as long as they are untouched nothing is granted.
    everything = facts["owner_has_all"] and not facts["default_privileges"]
    for role in (*facts["default_grantees"], *(() if everything else (owner,))):
        yield statement("partition_creation/conversion/revoke", object=table, role=_role(role))
    for known in facts["grants"]:
        own = known["role"] == owner and not known["column"]
        if known["privilege"] in PRIVILEGES and not (own and everything):
            yield grant(table, {**known, "grantable": known["grantable"] and not own})


def _role(name: str | None) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("public")


# -- what belongs to the name -------------------------------------------------------------------------


def make_room(args: Args, facts: Facts) -> Iterator[sql.Composed]:
    """Yield what frees the names of the identities' sequences, and keeps everyone from drawing from them."""
    for number, known in enumerate(facts["identities"]):
        # RENAME locks the sequence until the commit: nobody draws a number that the new one would give once more.
        name = sql.Identifier(known["schema"], known["name"])
        new = sql.Identifier(_aside(args, number))
        yield statement("partition_creation/conversion/rename_sequence", sequence=name, name=new)


def _aside(args: Args, number: int) -> str:
    return f"{args['made']['name']}_{number}"


def add_identities(args: Args, facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what makes the identities anew, going on where the sequences stand that `make_room` put aside."""
    for number, known in enumerate(facts["identities"]):
        name = sql.Identifier(known["schema"], known["name"])
        numbers = {k: sql.Literal(known[k]) for k in ("start", "increment", "minimum", "maximum", "cache")}
        yield statement(
            "partition_creation/conversion/add_identity",
            table=table,
            column=sql.Identifier(known["column"]),
            always=sql.SQL("always" if known["kind"] == "a" else "by default"),
            sequence=name,
            cycle=sql.SQL("cycle" if known["cycle"] else "no cycle"),
            **numbers,
        )
        # From the sequence that was put aside, not from the plan: numbers were drawn since.
        aside = sql.Identifier(known["schema"], _aside(args, number))
        yield statement(
            "partition_creation/conversion/set_sequence", target=sql.Literal(name.as_string(None)), sequence=aside
        )
        yield from _sequence_grants(facts, known, name)
        if known["comment"]:
            yield comment(sql.SQL("sequence {}").format(name), known["comment"])


def _sequence_grants(facts: Facts, known: Facts, name: sql.Identifier) -> Iterator[sql.Composed]:
    owner, thing = facts["owner"], sql.SQL("sequence {}").format(name)
    others = [r for r in known["grants"] if r["role"] != owner]
    kept = {r["privilege"] for r in known["grants"] if r["role"] == owner} >= _SEQUENCE_PRIVILEGES
    everything = kept and not facts["default_privileges"]
    for role in (*facts["default_grantees"], *(() if everything else (owner,))):
        yield statement("partition_creation/conversion/revoke", object=thing, role=_role(role))
    for right in others if everything else known["grants"]:
        if right["privilege"] in _SEQUENCE_PRIVILEGES:
            yield statement(
                "partition_creation/conversion/grant_sequence",
                privilege=sql.SQL(right["privilege"].lower()),
                sequence=name,
                role=_role(right["role"]),
                again=sql.SQL(" with grant option") if right["grantable"] and right["role"] != owner else _NOTHING,
            )


def drop_identities(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what takes the identities, and the sequences put aside, off a table."""
    for known in facts["identities"]:
        yield statement(
            "partition_creation/conversion/drop_identity", table=table, column=sql.Identifier(known["column"])
        )


def own_sequences(facts: Facts, table: sql.Identifier) -> Iterator[sql.Composed]:
    """Yield what makes the sequences of serial columns belong to the table."""
    for known in facts["serials"]:
        column = sql.SQL("{}.{}").format(table, sql.Identifier(known["column"]))
        name = sql.Identifier(known["schema"], known["name"])
        yield statement("partition_creation/conversion/own_sequence", sequence=name, column=column)


def foreign_keys(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield the foreign keys; ATTACH joins the plain table's to them without looking at the rows."""
    for known in facts["foreign_keys"]:
        name = sql.Identifier(known["name"])
        yield statement(
            "partition_creation/conversion/constraint", table=table, name=name, definition=sql.SQL(known["definition"])
        )
        if known["comment"]:
            yield comment(sql.SQL("constraint {} on {}").format(name, table), known["comment"])


def drop_triggers(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what takes the triggers off a table."""
    # ATTACH gives the part the partitioned table's row triggers, and fails where one of the name is there.
    for known in facts["triggers"]:
        yield statement(
            "partition_creation/conversion/drop_trigger", trigger=sql.Identifier(known["name"]), table=table
        )


def triggers(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what makes the triggers on the table that bears the name, as they were."""
    for known in facts["triggers"]:
        name = sql.Identifier(known["name"])
        yield statement("partition_creation/conversion/statement", statement=sql.SQL(known["definition"]))
        if known["enabled"] in _STATES:
            state = sql.SQL(_STATES[known["enabled"]])
            yield statement("partition_creation/conversion/trigger_state", table=table, state=state, trigger=name)
        if known["comment"]:
            yield comment(sql.SQL("trigger {} on {}").format(name, table), known["comment"])


def policies(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield the policies of row-level security; the plain table keeps its own, for those who address it."""
    for known in facts["policies"]:
        using = sql.SQL(" using ({})").format(sql.SQL(known["using"])) if known["using"] else _NOTHING
        check = sql.SQL(" with check ({})").format(sql.SQL(known["check"])) if known["check"] else _NOTHING
        name = sql.Identifier(known["name"])
        yield statement(
            "partition_creation/conversion/policy",
            name=name,
            table=table,
            mode=sql.SQL("permissive" if known["permissive"] else "restrictive"),
            command=sql.SQL(_COMMANDS[known["command"]]),
            roles=sql.SQL(", ").join(map(_role, known["roles"])),
            expressions=using + check,
        )
        if known["comment"]:
            yield comment(sql.SQL("policy {} on {}").format(name, table), known["comment"])


def statistics(facts: Facts) -> Iterator[sql.Composed]:
    """Yield the extended statistics, on the table that bears the name."""
    for known in facts["statistics"]:
        name = sql.Identifier(known["schema"], known["name"])
        yield statement("partition_creation/conversion/statement", statement=sql.SQL(known["definition"]))
        if known["owner"] != facts["role"]:
            role = sql.Identifier(known["owner"])
            yield statement("partition_creation/conversion/statistics_owner", statistics=name, role=role)
        if known["target"] is not None:
            target = sql.Literal(known["target"])
            yield statement("partition_creation/conversion/statistics_target", statistics=name, target=target)
        if known["comment"]:
            yield comment(sql.SQL("statistics {}").format(name), known["comment"])


def unpublish(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what takes a table out of the publications that name it."""
    for known in facts["publications"]:
        if known["named"]:
            yield statement(
                "partition_creation/conversion/unpublish", publication=sql.Identifier(known["name"]), table=table
            )


def publish(facts: Facts, table: sql.Composable) -> Iterator[sql.Composed]:
    """Yield what puts a table into the publications that named the plain one, with the same columns and filter."""
    for known in facts["publications"]:
        if not known["named"]:
            continue
        names = [sql.Identifier(c) for c in known["columns"] or ()]
        yield statement(
            "partition_creation/conversion/publish",
            publication=sql.Identifier(known["name"]),
            table=table,
            columns=sql.SQL(" ({})").format(sql.SQL(", ").join(names)) if names else _NOTHING,
            filter=sql.SQL(" where ({})").format(sql.SQL(known["filter"])) if known["filter"] else _NOTHING,
        )
