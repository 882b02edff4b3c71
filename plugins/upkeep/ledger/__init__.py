"""The ledger: the record, in the control database, of what was seen, decided, allowed and done.

One connection, autocommit: when a method returns, what it wrote is committed; when it cannot be, it raises
`LedgerError`, and nothing may be changed on any target ("no ledger, no change"). Tables that only grow are
partitioned by month and refer to each other by plain ids, so that old months can be detached one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Self

from upkeep.engines import Address
from upkeep.ledger import schema
from upkeep.ledger.actions import Actions
from upkeep.ledger.backups import Backups
from upkeep.ledger.contents import Contents
from upkeep.ledger.control import Control
from upkeep.ledger.dagruns import DagRuns
from upkeep.ledger.issues import Issues
from upkeep.ledger.overview import Ending, LastLook, Overview, Trouble
from upkeep.ledger.pauses import Pauses
from upkeep.ledger.records import (
    NOT_FINISHED,
    ApprovalState,
    DoneAction,
    OpenIssue,
    Pause,
    PendingPlan,
    RunRecord,
    RunSummary,
)
from upkeep.ledger.runs import Runs
from upkeep.ledger.telling import Telling, Untold

__all__ = [
    "NOT_FINISHED",
    "ApprovalState",
    "DoneAction",
    "Ending",
    "LastLook",
    "Ledger",
    "OpenIssue",
    "Pause",
    "PendingPlan",
    "RunRecord",
    "RunSummary",
    "Trouble",
    "Untold",
]


class Ledger(Runs, DagRuns, Contents, Actions, Issues, Pauses, Overview, Telling, Backups):
    """The open ledger. Its methods may be called from several threads; they run one after the other."""

    @classmethod
    def open(cls, address: Address, *, migrate: bool, clock: Callable[[], datetime] | None = None) -> Self:
        """Connect, and see to it that the tables are there.

        Parameters
        ----------
        address
            The control database.
        migrate
            ``True``: create or upgrade the tables first, one process at a time. ``False``: only compare
            versions (a task of Airflow).
        clock
            The present instant, for ages; default: the control database's clock.

        Raises
        ------
        LedgerError
            It cannot be reached, or its version is not this one's; the message says what to do.
        """
        control = Control(address, application="upkeep ledger")
        try:
            if migrate:
                schema.migrate(control)
            else:
                schema.require_version(control)
        except BaseException:
            control.close()
            raise
        return cls(control, clock)
