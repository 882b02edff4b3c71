"""Index analysis on TiDB: what is there twice, covered, unused, or hidden.

`observe` reads the catalog, `view` makes common indexes of it, `plan` decides, `apply` hides one exact duplicate and
shows it again. Foreign keys bring their own indexes here.
"""

from typing import Final

from upkeep.jobs.contract import Job, Work
from upkeep.jobs.index_analysis.frames import Gates
from upkeep.model import Outcome
from upkeep.tidb import holders
from upkeep.tidb.index_analysis import apply, observe, plan, view
from upkeep.tidb.session import TiDBSession


def _apply(work: Work[TiDBSession]) -> Outcome:
    return holders.named(work, apply.apply(work))


def _undo(work: Work[TiDBSession], outcome: Outcome) -> Outcome:
    return holders.named(work, apply.undo(work, outcome))


JOB: Final[Job[TiDBSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=Gates(view.of),
    apply=_apply,
    undo=_undo,
    remembers=frozenset({"looks"}),
)
