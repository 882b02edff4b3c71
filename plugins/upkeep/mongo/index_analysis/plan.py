"""What is to be told of MongoDB's indexes, and which duplicates would be hidden. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.index_analysis import advice
from upkeep.jobs.index_analysis.advice import Seen
from upkeep.jobs.index_analysis.indexes import Index, Pair
from upkeep.jobs.index_analysis.usage import Counted, Use
from upkeep.model import Action, Observation, Plan, Requirement
from upkeep.mongo.index_analysis import view
from upkeep.mongo.index_analysis.args import Hide
from upkeep.mongo.specs import shell

KIND: Final = "hide_index"


def plan(observation: Observation, target: Target, _request: object = None) -> Plan:
    """Judge the indexes; pure."""
    frames = observation.frames
    found = view.of(observation, target)
    used = {
        view.subject_of(row["collection"], row["name"]): Use(row["scans"], row["counters"], row["since"])
        for row in frames["usage"]
    }
    others = [advice.use_unknown(target.name, row["why"], row["remedy"]) for row in frames["unknown"]]
    return advice.plan(observation, target, Seen(found, Counted(used, frames["earlier"]), others), _Room())


class _Room:
    @staticmethod
    def by_hand(index: Index) -> str:
        """Return what hides, shows and drops it in the shell."""
        name = json.dumps(index.row["name"], ensure_ascii=False)
        of = f"db.getCollection({json.dumps(index.table, ensure_ascii=False)})"
        if index.hidden:
            return f"{of}.dropIndex({name}) frees its space; {of}.unhideIndex({name}): queries use it again"
        return (
            f"{of}.hideIndex({name}); back: {of}.unhideIndex({name}); when nothing missed it for a while: "
            f"{of}.dropIndex({name}), which {of}.{index.row['definition']} takes back"
        )

    @staticmethod
    def action(pair: Pair) -> Action:
        """Return the hiding of a duplicate."""
        index, row = pair.index, pair.index.row
        args = Hide(
            collection=row["collection"],
            uuid=row["uuid"],
            index=row["name"],
            definition=row["definition"],
            twin=pair.twin.subject,
        )
        return Action.make(
            kind=KIND,
            subject=index.subject,
            args=args.written(),
            detail=f"of {index.table}; {args.twin} stays",
            statements=(shell(command(args, hidden=True)),),
            reason=f"it is {args.twin} read from its other end: either serves every query and sort of both",
            destructive=True,
            precondition="both are as they were planned, and the one that stays is not hidden; no query names it in "
            "hint(), by name or by keys: such queries fail while it is hidden, and that cannot be seen from here",
            undo=f"it is shown again: {shell(command(args, hidden=False))}",
            lock="exclusive on the collection, for a moment",
            rows=0,
            bytes=index.bytes,
            requires=Requirement(kind="approval"),
            not_during=("backup",),
        )


def command(args: Hide, *, hidden: bool) -> dict[str, Any]:
    """Return the command that hides or shows the index."""
    return {"collMod": args.collection, "index": {"name": args.index, "hidden": hidden}}
