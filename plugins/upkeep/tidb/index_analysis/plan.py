"""What is to be told of TiDB's indexes, and which exact duplicates would be hidden. Pure."""

from __future__ import annotations

from typing import Final

from upkeep.fleet import Target
from upkeep.jobs.index_analysis import advice
from upkeep.jobs.index_analysis.advice import Seen
from upkeep.jobs.index_analysis.indexes import Index, Pair
from upkeep.jobs.index_analysis.usage import Counted, Use
from upkeep.model import Action, Observation, Plan, Requirement
from upkeep.tidb import names, sql
from upkeep.tidb.catalog import Planned
from upkeep.tidb.index_analysis import view
from upkeep.tidb.index_analysis.args import Hide
from upkeep.tidb.sql import Sql

KIND: Final = "hide_index"


def plan(observation: Observation, target: Target, _request: object = None) -> Plan:
    """Judge the indexes; pure."""
    frames = observation.frames
    found = view.of(observation, target)
    used = {
        view.subject_of(row["schema"], row["table"], row["name"]): Use(row["scans"], row["counters"])
        for row in frames["usage"]
    }
    others = [advice.use_unknown(target.name, row["why"], row["remedy"]) for row in frames["unknown"]]
    return advice.plan(observation, target, Seen(found, Counted(used, frames["earlier"]), others), _Room())


class _Room:
    @staticmethod
    def by_hand(index: Index) -> str:
        """Return the statements that hide, show and drop it."""
        alter, name = f"alter table {index.table}", names.quote(index.row["name"])
        if index.hidden:
            back = f"{alter} alter index {name} visible: queries use it again"
            return f"{alter} drop index {name} frees its space; {back}"
        return (
            f"{alter} alter index {name} invisible; back: {alter} alter index {name} visible; when nothing missed it "
            f"for a while: {alter} drop index {name}, which {alter} add {index.row['definition']} takes back"
        )

    @staticmethod
    def action(pair: Pair) -> Action:
        """Return the hiding of an exact duplicate."""
        index, row = pair.index, pair.index.row
        args = Hide(
            table=Planned(row["table_id"], row["schema"], row["table"]),
            name=row["name"],
            index_id=index.age,
            definition=row["definition"],
            twin=pair.twin.subject,
        )
        return Action.make(
            kind=KIND,
            subject=index.subject,
            args=args.written(),
            detail=f"of {index.table}; {args.twin} stays",
            statements=(alter(args, "invisible").text,),
            reason=f"it is the same as {args.twin} in all but its name",
            destructive=True,
            precondition="both are as they were planned and visible; no query names it in a hint (USE INDEX, FORCE "
            "INDEX): such queries fail while it is hidden, and that cannot be seen from here",
            undo=f"it is made visible again: {alter(args, 'visible').text}",
            lock="none: readers and writers go on",
            rows=0,
            requires=Requirement(kind="approval"),
            not_during=("backup",),
        )


def alter(args: Hide, visibility: str) -> Sql:
    """Return the statement that hides (``invisible``) or shows (``visible``) the index."""
    # constant words of ours, no name
    word = {"visible": Sql("visible"), "invisible": Sql("invisible")}[visibility]
    index = sql.identifier(args.name)
    return sql.statement("index_analysis/alter_visibility", table=args.table.identifier, index=index, visibility=word)
