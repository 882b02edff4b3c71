"""What is to be told of PostgreSQL's indexes, and which exact duplicates would go. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from psycopg import sql

from upkeep.fleet import Target
from upkeep.jobs.index_analysis import advice
from upkeep.jobs.index_analysis.advice import Seen
from upkeep.jobs.index_analysis.indexes import Index, Pair
from upkeep.jobs.index_analysis.usage import Counted, Use
from upkeep.model import Action, Finding, FindingStatus, Observation, Plan, Requirement, Severity
from upkeep.postgres import names
from upkeep.postgres.index_analysis import view
from upkeep.postgres.index_analysis.args import Drop
from upkeep.postgres.session import Row, statement

KIND: Final = "drop_index"
LARGE: Final = 10_000
"""Rows of a table from which on reading it whole for a foreign key is a warning."""
_LEFT: Final = re.compile(r"_cc(?:new|old)\d*$")
"""Names of what an interrupted REINDEX CONCURRENTLY leaves."""


def plan(observation: Observation, target: Target, _request: object = None) -> Plan:
    """Judge the indexes; pure."""
    frames = observation.frames
    found = view.of(observation, target)
    others = [*_invalid(found), *(_foreign_key(row) for row in frames["foreign_keys"])]
    counters, unknown = frames["counters"][0], _unknown(frames["counters"][0], observation)
    used: dict[str, Use] = {}
    if unknown is None:
        used = {index.subject: Use(index.row["scans"] or 0, counters["counters"]) for index in found}
    else:
        others.append(advice.use_unknown(target.name, *unknown))
    return advice.plan(observation, target, Seen(found, Counted(used, frames["earlier"]), others), _Room())


def _unknown(counters: Row, observation: Observation) -> tuple[str, str] | None:
    """Return why use cannot be told from this server's counters, and what to do."""
    if not counters["counts"]:
        return "the server counts no use of indexes (track_counts is off)", "set track_counts = on"
    if observation.server.replica:
        return "a replica counts its own queries alone", "give the primary as a target"
    if counters["replicas"]:
        text = f"{counters['replicas']} replicas answer queries and count for themselves; they cannot be asked"
        return text, "look at pg_stat_user_indexes on each of them before an index is dropped"
    return None


def _invalid(found: list[Index]) -> Iterator[Finding]:
    for index in found:
        if index.valid:
            continue
        evidence = {"table": index.table, "bytes": index.bytes, "definition": index.row["definition"]}
        if index.row["is_held"]:
            text, status = "somebody builds or drops it right now", FindingStatus.INSUFFICIENT_EVIDENCE
            yield Finding.of(advice.INVALID, index.subject, Severity.INFO, text, evidence=evidence, status=status)
            continue
        drop = f"drop index concurrently {index.subject}"
        remedy = f"reindex index concurrently {index.subject} makes it whole; {drop} gives it up"
        if _LEFT.search(index.row["name"]):
            remedy = f"an interrupted REINDEX left it: {drop}"
        text = "no query uses it, and writes may still keep it up to date: its building or dropping was interrupted"
        yield Finding.of(advice.INVALID, index.subject, Severity.WARNING, text, remedy, evidence=evidence)


def _foreign_key(row: Row) -> Finding:
    table = names.display(row["schema"], row["table"])
    columns = ", ".join(map(names.quote, row["columns"]))
    text = f"no index begins with its columns ({columns}): a delete in {row['referenced']} reads all of {table}"
    remedy = f"create index concurrently on {table} ({columns}); drop index concurrently takes it back"
    severity = Severity.WARNING if row["rows"] >= LARGE else Severity.INFO
    evidence = {"table": table, "columns": row["columns"], "rows": round(row["rows"]), "bytes": row["bytes"]}
    subject = f"{table}.{names.quote(row['name'])}"
    return Finding.of("foreign_key_unindexed", subject, severity, text, remedy, evidence=evidence)


class _Room:
    @staticmethod
    def by_hand(index: Index) -> str:
        """Return the statement that drops it, and the one that makes it again."""
        if index.row["constraint_name"] is not None:
            return f"alter table {index.table} drop constraint {names.quote(index.row['constraint_name'])}"
        if index.row["is_partitioned"]:
            return f"drop index {index.subject}; back: {index.row['definition']}"
        return f"drop index concurrently {index.subject}; back: {building(index.row['definition'])}"

    @staticmethod
    def action(pair: Pair) -> Action:
        """Return the drop of an exact duplicate."""
        index, row = pair.index, pair.index.row
        args = Drop(
            schema_=row["schema"],
            name=row["name"],
            index_oid=row["oid"],
            table=index.table,
            table_oid=row["table_oid"],
            definition=row["definition"],
            tablespace=row["tablespace"],
            comment=row["comment"],
            twin=pair.twin.subject,
            twin_oid=pair.twin.row["oid"],
        )
        state = "" if index.valid else ", left invalid by an interrupted building or dropping"
        return Action.make(
            kind=KIND,
            subject=index.subject,
            args=args.written(),
            # without object ids: brought back it is the same wish, and the next night says so
            intent={"definition": args.definition, "stays": args.twin},
            detail=f"of {index.table}; {args.twin} stays",
            statements=(drop(args).as_string(),),
            reason=f"it is the same as {args.twin} in all but its name{state}",
            destructive=True,
            precondition="both are as they were planned, and the one that stays is valid",
            undo=f"it is built again, with comment and place: {building(args.definition)}",
            lock=f"share update exclusive on {index.table}: readers and writers go on",
            rows=0,
            bytes=index.bytes,
            requires=Requirement(kind="approval"),
            not_during=("backup",),
        )


def drop(args: Drop) -> sql.Composed:
    """Return the statement that drops the index."""
    return statement("drop_index", index=sql.Identifier(args.schema_, args.name))


def building(definition: str) -> str:
    """Return the statement that makes an index again while writers go on.

    >>> building("CREATE UNIQUE INDEX a ON public.t USING btree (b)")
    'CREATE UNIQUE INDEX CONCURRENTLY a ON public.t USING btree (b)'
    """
    return re.sub(r"^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX CONCURRENTLY ", definition, count=1)
