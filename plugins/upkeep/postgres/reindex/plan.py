"""Which indexes are rebuilt, and what interrupted runs have left that goes: all of it after a person's yes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.jobs.reindex.request import ReindexRequest, asked
from upkeep.model import (
    NOTHING_ASKED,
    SERVER,
    Action,
    Finding,
    FindingStatus,
    Observation,
    Plan,
    Request,
    Requirement,
    Severity,
)
from upkeep.postgres import names
from upkeep.postgres.holders import one
from upkeep.postgres.reindex import view
from upkeep.postgres.reindex.view import Index
from upkeep.postgres.session import statement

REBUILD: Final = "reindex_index"
DROP: Final = "drop_leftover_index"
APPROVAL: Final = Requirement(kind="approval")
_NEAR: Final = 3
"""So many names are suggested for one that is unknown."""


def plan(observation: Observation, _target: Target, request: Request = NOTHING_ASKED) -> Plan:
    """Choose what is rebuilt; pure."""
    wanted = asked(request)
    indexes = view.of(observation)
    chosen, findings = _named(indexes, wanted) if wanted.index else _bloated(indexes, wanted)
    left = list(view.leftovers(observation.frames["indexes"]))
    if wanted.index:
        mine = {index.row["oid"] for index in chosen}
        left = [(row, of) for row, of in left if not mine.isdisjoint({row["oid"], of["oid"]})]
    actions = [_drop(row, of, observation) for row, of in left]
    actions += [_rebuild(index, indexes, observation) for index in chosen if not _is_one(index, left)]
    findings += [_left(row, of) for row, of in left]
    if any(action.kind == REBUILD for action in actions):
        findings += _waits(observation)
    return Plan.make(observation, actions, findings)


def _is_one(index: Index, left: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> bool:
    return any(row["oid"] == index.row["oid"] for row, _ in left)


# -- what is chosen ----------------------------------------------------------------------------------


def _bloated(indexes: Sequence[Index], request: ReindexRequest) -> tuple[list[Index], list[Finding]]:
    """Return the most bloated indexes that are worth it, and that of some nobody knows."""
    large = [index for index in indexes if index.can_be and index.bytes >= request.least_bytes]
    unknown = [index for index in large if index.bloat is None]
    worth = [index for index in large if index.bloat is not None and index.bloat >= request.least_bloat]
    worth.sort(key=lambda index: (-(index.bloat or 0), -index.bytes, index.row["oid"]))
    findings = []
    if unknown:
        some = ", ".join(index.subject for index in unknown[:5]) + (" …" if unknown[5:] else "")
        text = f"how much air is in {len(unknown)} large indexes cannot be told: {some}"
        remedy = (
            "statistics tell of B-trees alone: analyze their tables, and let our role read them; name an index to "
            "rebuild it all the same"
        )
        evidence = {"indexes": [index.subject for index in unknown[:100]]}
        status = FindingStatus.INSUFFICIENT_EVIDENCE
        found = Finding.of("bloat_unknown", SERVER, Severity.INFO, text, remedy, evidence=evidence, status=status)
        findings.append(found)
    return worth[: request.most], findings


def _named(indexes: Sequence[Index], request: ReindexRequest) -> tuple[list[Index], list[Finding]]:
    """Return exactly what is named; a name that is none stops no other."""
    known = {(index.row["schema"], index.row["name"]): index for index in indexes}
    chosen: dict[int, Index] = {}
    findings: list[Finding] = []
    for text in dict.fromkeys(request.index or ()):
        try:
            name = names.parse(text).exact
        except ConfigurationError as error:
            findings.append(_unknown(text, "that is no name of one index", str(error)))
            continue
        index = known.get((name.schema, name.name))
        if index is not None:
            chosen[index.row["oid"]] = index
        elif name.schema.startswith("pg_") or name.schema == "information_schema":
            remedy = "take it out; `reindexdb --system` rebuilds indexes of the catalog, and blocks who needs them"
            findings.append(_unknown(text, "the server's own and temporary indexes are not rebuilt", remedy))
        else:
            findings.append(_unknown(text, "no index of the database's own tables is called so", _near(name, indexes)))
    return list(chosen.values()), findings


def _unknown(text: str, why: str, remedy: str) -> Finding:
    return Finding.of("index_unknown", text, Severity.ERROR, f"{text}: {why}; nothing is done for it", remedy)


def _near(name: names.Name, indexes: Sequence[Index]) -> str:
    """Return what may have been meant: the indexes of a table of that name, or the nearest names."""
    of = [index.subject for index in indexes if index.table == str(name)]
    if of:
        return f"it is a table; its indexes: {', '.join(of)}"
    called: dict[str, list[str]] = {}
    for index in indexes:
        called.setdefault(index.row["name"], []).append(index.subject)
    near = [subject for found in get_close_matches(name.name, called, n=_NEAR) for subject in called[found]]
    if near:
        return f"did you mean {' or '.join(near[:_NEAR])}?"
    return "look up its name; a name without schema is public's"


# -- what is done ------------------------------------------------------------------------------------


def _rebuild(index: Index, indexes: Sequence[Index], observation: Observation) -> Action:
    args = view.rebuild(index.row)
    free = view.free_of(observation.frames["places"], args.tablespace)
    blocked = view.refusal(index.row, observation.frames["server"][0], free)
    if blocked is not None and index.row["is_partitioned"]:
        leaves = view.leaves([other.row for other in indexes], args.oid)
        some = ", ".join(leaves[:20]) + (" …" if leaves[20:] else "")
        blocked = blocked[0], f"{blocked[1]} ({some or 'it has none'})"
    seen = f"{view.amount(free)} of disk are free" if free is not None else "how much disk is free cannot be seen"
    return Action.make(
        kind=REBUILD,
        subject=index.subject,
        args=args.written(),
        detail=f"of {index.table}; {_size(index)}; {seen}",
        statements=(statement("reindex/reindex", index=args.identifier).as_string(),),
        reason=_reason(index),
        destructive=False,
        precondition=(
            "it is the index that was planned for, nothing older than 5 minutes is open that it would wait for, "
            "nobody dumps the database, and twice its size is free where that can be seen"
        ),
        undo="none: it holds the same rows as before, in less space",
        lock=(
            f"share update exclusive on {index.table}: readers and writers go on; it reads the table twice, waits for "
            "transactions that use it, and gives way to who waits behind it"
        ),
        bytes=index.bytes or None,
        requires=APPROVAL,
        not_during=("backup",),
        blocked=blocked,
    )


def _reason(index: Index) -> str:
    if not index.row["is_valid"]:
        return "it was named; it is invalid: no query uses it"
    if index.bloat is None:
        return "it was named; how much air is in it nobody knows"
    how = "measured" if index.exact else "estimated from statistics"
    return f"{index.bloat:.0%} of it is air, {how}".replace("%", " %")


def _size(index: Index) -> str:
    if not index.bytes:
        return "its size is not known yet"
    if index.needs is None:
        return view.amount(index.bytes)
    return f"{view.amount(index.bytes)}, of which it needs {view.amount(min(index.needs, index.bytes))}"


def _drop(row: Mapping[str, Any], of: Mapping[str, Any], observation: Observation) -> Action:
    args = view.leftover(row, of)
    server = observation.frames["server"][0]
    blocked = view.refusal({**row, "name": of["name"]}, {**server, "version_number": 0}, None)
    return Action.make(
        kind=DROP,
        subject=names.display(row["schema"], row["name"]),
        args=args.written(),
        detail=f"left of {args.whole} by an interrupted rebuilding",
        statements=(statement("drop_index", index=args.identifier).as_string(),),
        reason=f"no query uses it, and every write may keep it up to date; {args.whole} serves",
        destructive=True,
        precondition=f"it is invalid, the same as {args.whole} in all but its name, and nobody builds it",
        undo="none: it never served a query",
        lock=f"share update exclusive on {names.display(row['schema'], row['table'])}: readers and writers go on",
        rows=0,
        bytes=row["bytes"] or None,
        requires=APPROVAL,
        not_during=("backup",),
        blocked=blocked,
    )


def _left(row: Mapping[str, Any], of: Mapping[str, Any]) -> Finding:
    subject, whole = names.display(row["schema"], row["name"]), names.display(of["schema"], of["name"])
    evidence = {"of": whole, "bytes": row["bytes"], "definition": row["definition"]}
    if row["is_held"]:
        text, status = f"somebody rebuilds {whole} right now", FindingStatus.INSUFFICIENT_EVIDENCE
        return Finding.of("index_leftover", subject, Severity.INFO, text, evidence=evidence, status=status)
    text = f"an interrupted rebuilding of {whole} left it: writes may still keep it up to date, no query uses it"
    remedy = f"approve the plan, or drop index concurrently {subject}"
    return Finding.of("index_leftover", subject, Severity.WARNING, text, remedy, evidence=evidence)


def _waits(observation: Observation) -> Iterator[Finding]:
    """Yield what rebuilding would not be begun beside, as it is now: so that who approves can see to it."""
    for row in observation.frames["waits"][:5]:
        text = f"{holder(row)} is open: as long as it is, nothing is rebuilt"
        remedy = "let it end, or end it, before the plan is approved"
        yield Finding.of("snapshot_old", _who(row), Severity.WARNING, text, remedy, evidence={"since": row["since"]})
    if unseen := observation.frames["server"][0]["unseen"]:
        text = (
            f"transactions of {unseen} sessions cannot be seen: rebuilding may have to wait for them, and then gives up"
        )
        remedy, status = "grant pg_monitor to our role", FindingStatus.INSUFFICIENT_EVIDENCE
        yield Finding.of("snapshots_unseen", SERVER, Severity.INFO, text, remedy, status=status)


def holder(row: Mapping[str, Any]) -> str:
    """Return what would be waited for, in words."""
    if row["slot"] is not None:
        return f"replication slot '{row['slot']}' ({row['state']}), which holds dead rows back,"
    return one(row)


def _who(row: Mapping[str, Any]) -> str:
    """Return what outlives a run of what would be waited for."""
    if row["slot"] is not None:
        return f"slot {row['slot']}"
    if row["gid"] is not None:
        return f"prepared {row['gid']}"
    return f"{row['username']}@{row['application'] or '(no name)'}"
