"""Carrying one action out on MongoDB: what a killed run left is ended first; the mapper is that of all engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Outcome
from upkeep.mongo import faults
from upkeep.mongo.session import MongoSession

Apply: TypeAlias = "Callable[[Work[MongoSession], DoneSoFar], None]"


def carry_out(work: Work[MongoSession], do: Apply) -> Outcome:
    """Do one action and return what became of it; raises what stops the run, as `upkeep.jobs.outcomes.carry_out`."""

    def change(done: DoneSoFar) -> None:
        # a killed run's transaction keeps what it wrote for a minute: ours would meet it as a conflict that nobody
        # ends
        work.session.end_leftovers()
        do(work, done)

    return outcomes.carry_out(work.action, change, faults.classify, note=work.note, so_far=DoneSoFar(rows=0))


def take_back(action: Action, do: Callable[[], str]) -> Outcome:
    """Undo one action and return what became of that."""

    def change(done: DoneSoFar) -> None:
        done.message = do()

    return outcomes.carry_out(action, change, faults.classify)
