"""Deleting due entries of a stream, step by step; each step is one script, which the server does whole or not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.data_retention.pace import Pace
from upkeep.jobs.errors import RefusedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Json, Outcome
from upkeep.redis import faults
from upkeep.redis.data_retention import covered
from upkeep.redis.data_retention.args import Entries
from upkeep.redis.session import RedisSession

FIRST: Final = 10_000
LARGEST: Final = 100_000
STEP_SECONDS: Final = 0.005
"""A step takes about so long: the server does nothing else meanwhile. Between two steps others have their turn."""


@dataclass
class Tally:
    """What was done so far; right also when it ends early."""

    deleted: int = 0
    lost: int = 0
    steps: int = 0
    slowest: float = 0.0
    bound: str = ""
    emptied: bool = False

    def evidence(self) -> Json:
        """Return what the outcome keeps: the server's counts, and the length that was lost in the same steps."""
        return {
            "rows_deleted": self.deleted,
            "length_lost": self.lost,
            "steps": self.steps,
            "slowest_step_seconds": round(self.slowest, 4),
            "bound": self.bound,
            "emptied": self.emptied,
        }


def apply(work: Work[RedisSession]) -> Outcome:
    """Delete what is due; raises what stops the run, with what was done in the ledger as a note."""
    tally = Tally()

    def delete(done: DoneSoFar) -> None:
        cut_off, done.message = covered.bound(work)
        try:
            _run(work, cut_off, tally)
        finally:
            done.rows, done.evidence = tally.deleted, tally.evidence()

    return outcomes.carry_out(work.action, delete, faults.classify, note=work.note)


def _run(work: Work[RedisSession], cut_off: str, tally: Tally) -> None:
    args, session = Entries.of(work.action), work.session
    pace = Pace(size=FIRST, target=STEP_SECONDS, largest=LARGEST)
    deleted, witness = 0, args.last or ""
    while True:
        work.checkpoint(f"{tally.deleted:,} entries deleted", rows=deleted)
        # one entry too many is enough to ask again, so no more than one is looked for
        if work.most is not None:
            left = work.most - tally.deleted
            if left <= 0:
                work.allow(tally.deleted + session.look("any_before", args.key, cut_off))
            pace.size = min(pace.size, max(left, 1))
        started = time.monotonic()
        # what the groups still need is looked up by the script, in the step that deletes: between a look of ours and
        # a step of the server's a group could fall back
        verdict, deleted, before, after, bound = session.change(
            "trim_stream", args.key, cut_off, pace.size, args.added, args.first or "", witness
        )
        took = time.monotonic() - started
        if verdict == "gone":
            raise StateChangedError("there is no such stream any more; the next run looks again")
        if verdict == "changed":
            raise StateChangedError(
                "the stream was deleted and made anew since it was planned; the next run looks again"
            )
        if args.added:  # it may have gone with what was due; where nothing was counted it is all that tells
            witness = ""
        tally.deleted += deleted
        tally.lost += before - after
        tally.steps += deleted > 0
        tally.slowest = max(tally.slowest, took)
        tally.bound = bound
        # what is due and needed by nobody is gone: later entries are left to the next run
        if deleted == 0:
            tally.emptied = True
            return
        pace.learn(deleted, took)


def undo(work: Work[RedisSession], _: Outcome) -> Outcome:
    """Say that it cannot be taken back."""

    def refuse(_: DoneSoFar) -> None:
        raise RefusedError("what was deleted comes back only from a backup")

    return outcomes.carry_out(work.action, refuse, faults.classify)
