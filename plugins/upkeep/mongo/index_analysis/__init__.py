"""Index analysis on MongoDB: what is there twice, covered, unused, or hidden.

The server refuses the very same index twice; what it lets through is the same one read from its other end
(``{a: 1}`` beside ``{a: -1}``). `observe` asks every member, `view` makes common indexes of it, `plan` decides, `apply`
hides one duplicate and shows it again.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.jobs.index_analysis.frames import Gates
from upkeep.mongo.index_analysis import apply, observe, plan, view
from upkeep.mongo.session import MongoSession

JOB: Final[Job[MongoSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=Gates(view.of),
    apply=apply.apply,
    undo=apply.undo,
    remembers=frozenset({"looks"}),
)
