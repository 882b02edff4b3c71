"""How a new partition is stored: as its parent says and most of its siblings are, never as one odd sibling. Pure.

Somebody loads last month into an unlogged partition, or switches its autovacuum off, and forgets it: such a setting
is reported, and ends with that partition instead of being copied into every later one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from upkeep.model import Finding, Json, Severity
from upkeep.postgres import names
from upkeep.postgres.catalog import Relation
from upkeep.postgres.partition_creation.view import Care
from upkeep.postgres.session import PostgresSession, Row

Frames: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]

LOOKED_AT: Final = 7
"""Newest siblings that are asked what is usual."""
SHOWN: Final = 3
_RISKY: Final = ("autovacuum_enabled=false", "autovacuum_enabled=off", "autovacuum_enabled=0", "autovacuum_enabled=no")
"""Given to a new partition only when most of several siblings have it."""


def read(session: PostgresSession, models: Sequence[int]) -> list[Row]:
    """Return how the newest siblings of each model (itself among them) are stored."""
    return (
        session.rows("partition_creation/sibling_options", {"oids": list(models), "most": LOOKED_AT}) if models else []
    )


def model(oid: int, relation: Relation, frames: Frames) -> Json | None:
    """Return what a new partition of a table is made like; ``None`` when the model went away."""
    like = next((row for row in frames["siblings"] if row["oid"] == oid), None)
    if like is None:
        return None
    near = [row for row in frames.get("options", ()) if row["model"] == oid]
    made = {**like, "persistence": relation.persistence}
    if near:
        made["options"] = _options(like["options"], [row["options"] for row in near], _RISKY)
        made["toast_options"] = _options(like["toast_options"], [row["toast_options"] for row in near])
        made |= {key: _usual(like[key], [row[key] for row in near]) for key in ("access_method", "tablespace")}
        made["access_method"] = near[0]["parent_method"] or made["access_method"]
        made["tablespace"] = near[0]["parent_tablespace"] or made["tablespace"]
    return made


def _options(newest: Sequence[str], of_all: Sequence[Sequence[str]], risky: Sequence[str] = ()) -> list[str]:
    """Return the newest sibling's settings that are not outvoted, and those of most others."""
    have, total = Counter(text for one in of_all for text in one), len(of_all)
    usual = [text for text, n in have.items() if 2 * n > total and (total > 1 or text not in risky)]
    said = {text.partition("=")[0] for text in usual}
    kept = [text for text in newest if 2 * have[text] == total and text not in risky]
    return usual + [text for text in kept if text.partition("=")[0] not in said]


def _usual(newest: str | None, of_all: Sequence[str | None]) -> str | None:
    return next((one for one in of_all if 2 * of_all.count(one) > len(of_all)), newest)


def findings(care: Care, frames: Frames) -> Iterator[Finding]:
    """Yield partitions that are unlogged while their parent is not, and what new ones are not given."""
    if care.relation is None:
        return
    yield from _unlogged(care, frames)
    if not care.to_create:
        return
    made = model(care.model, care.relation, frames)
    if made is None:
        return
    for row in (row for row in frames.get("options", ()) if row["model"] == care.model):
        odd = [t for t in row["options"] if t not in made["options"]]
        odd += [f"toast.{t}" for t in row["toast_options"] if t not in made["toast_options"]]
        odd += [f"{key.replace('_', ' ')} {row[key]}" for key in _PLACES if row[key] and row[key] != made[key]]
        if odd:
            subject = names.display(row["schema"], row["name"])
            text = f"{subject} has {', '.join(odd)}, unlike most of its siblings: new partitions are not given that"
            remedy = "set it on the partitions that are to have it, if that is meant"
            yield Finding.of("sibling_options", care.subject, Severity.INFO, text, remedy, evidence={"options": odd})


def elsewhere(care: Care, default: int, foreign: Sequence[str]) -> Row:
    """Return what is known of a default partition whose rows lie, in whole or part, on another server."""
    text = f"{', '.join(foreign[:SHOWN])} is a foreign table: rows that belong to a new partition may lie on another "
    text += "server, and cannot move here in one transaction"
    parent = care.relation.oid if care.relation is not None else None
    return {"oid": default, "parent": parent, "bytes": None, "buckets": [], "unknown": text, "foreign": list(foreign)}


def foreign_default(care: Care, default: str, why: str) -> Finding:
    """Return that no partition can be created beside a default partition on another server."""
    text = f"no partition is created while the default partition is {default}: {why}"
    severity = Severity.ERROR if care.to_create else Severity.WARNING
    remedy = f"alter table {care.table} detach partition {default}, and give it a default partition on this server"
    return Finding.of("foreign_default", care.subject, severity, text, remedy)


_PLACES: Final = ("access_method", "tablespace")


def _unlogged(care: Care, frames: Frames) -> Iterator[Finding]:
    relation = care.relation
    rows = [*frames["spans"], *frames.get("branch_spans", ())]
    row = next((r for r in rows if relation is not None and r["parent"] == relation.oid), None)
    if row is None or relation is None or relation.persistence != "p" or not row.get("unlogged"):
        return
    known = row["unlogged"]
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    text = (
        f"{', '.join(known[:SHOWN])}{more} {'is' if len(known) == 1 else 'are'} unlogged, {relation.subject} is not: "
    )
    text += "a crash of the server empties what is unlogged; new partitions are logged"
    remedy = "; ".join(f"alter table {name} set logged" for name in known[:SHOWN])
    evidence = {"partitions": known}
    yield Finding.of("unlogged_partition", care.subject, Severity.WARNING, text, remedy, evidence=evidence)
