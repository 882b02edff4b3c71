"""Waiting for another job of the same night: one look a minute at the ledger, no worker held in between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from upkeep.airflow.operators import PLAN_ONLY, StepOperator, UpkeepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

EVERY: Final = timedelta(minutes=1)
GO_ON: Final = "go_on"
"""The method that an operator goes on with."""


class Wait(StepOperator):
    """Wait, where the plan needs it, until what the job waits for has ended."""

    def execute(self, context: Context) -> None:
        """Look, and wait if there is a reason."""
        if context["params"].get("mode") != PLAN_ONLY:
            wait_or_go_on(self, self.run_id, [self.target])

    def go_on(self, context: Context, event: object = None) -> None:
        """Look again; ``event`` is the trigger's, and says nothing."""
        del event
        self.execute(context)


def wait_or_go_on(operator: UpkeepOperator, run_id: str, names: Sequence[str], *, looks: bool = False) -> None:
    """Return when there is nothing to wait for; else let the task sleep, to come back in a minute."""
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger  # noqa: PLC0415 - for those who wait

    with operator.runner() as runner:
        reasons = [runner.waits(run_id, name, looks=looks) for name in names]
    why = next((f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True) if reason), None)
    if why is not None:
        operator.log.info("waiting: %s", why)
        operator.defer(trigger=TimeDeltaTrigger(EVERY), method_name=GO_ON)
