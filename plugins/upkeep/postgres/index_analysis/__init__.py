"""Index analysis on PostgreSQL: what is invalid, the same twice, covered, unused, or missing behind a foreign key.

`observe` reads the catalog, `view` makes common indexes of it, `plan` decides, `apply` drops one exact duplicate and
brings it back.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.jobs.index_analysis.frames import Gates
from upkeep.postgres.index_analysis import apply, observe, plan, view
from upkeep.postgres.session import PostgresSession

JOB: Final[Job[PostgresSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=Gates(view.of),
    apply=apply.apply,
    undo=apply.undo,
    remembers=frozenset({"looks"}),
)
