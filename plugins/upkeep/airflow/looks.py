"""The steps of a job that only looks: groups of targets are looked at, then it is seen whether all of them were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from upkeep.airflow.operators import UpkeepOperator
from upkeep.airflow.waiting import wait_or_go_on

if TYPE_CHECKING:
    from airflow.sdk import Context


class Look(UpkeepOperator):
    """Look at a target, or at a group of them at once; fails when one is not well, or could not be looked at.

    Cancelling the task cancels the statements on all servers of the group.

    Parameters
    ----------
    run_id
        The ledger's run, or a template of it.
    target
        Name of the target, or the names of a group.
    waits
        Whether the job waits for others of the same night.
    """

    template_fields: Sequence[str] = ("run_id", "target")
    said = ""

    def __init__(self, *, run_id: str, target: str | list[str], waits: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.target = target
        self.waits = waits

    @property
    def label(self) -> str:
        """What the task is called: its target, or how many they are; and which of them are not well."""
        about = self.target if isinstance(self.target, str) else f"{len(self.target)} targets"
        return f"{about}{self.said}"

    def execute(self, context: Context) -> str | dict[str, str]:
        """Look; returns the target's status, or each one's."""
        names = [self.target] if isinstance(self.target, str) else self.target
        if self.waits:
            wait_or_go_on(self, self.run_id, names, looks=True)
        return self._look(names)

    def go_on(self, context: Context, event: object = None) -> str | dict[str, str]:
        """See whether the wait is over; ``event`` is the trigger's, and says nothing."""
        del event
        return self.execute(context)

    def _look(self, names: Sequence[str]) -> str | dict[str, str]:
        from upkeep import words  # noqa: PLC0415
        from upkeep.airflow import runtime  # noqa: PLC0415
        from upkeep.run import rounds  # noqa: PLC0415

        alone = isinstance(self.target, str)
        with self.runner() as runner:
            reports = rounds.look_at_all(runner, self.run_id, names)
        reports.sort(key=lambda report: report.target)
        bad = [report for report in reports if report.status in runtime.BAD]
        if bad:
            named = ((" " if alone else f" {report.target} ") + words.STATUS[report.status][0] for report in bad)
            self.said = f" –{','.join(named)}"
            raise AirflowFailException("\n".join(map(runtime.verdict, bad)))
        self.log.info("\n".join(map(runtime.verdict, reports)))
        ended = {report.target: report.status.value for report in reports}
        return ended[self.target] if isinstance(self.target, str) else ended


class EndRound(UpkeepOperator):
    """End a run of looks: was everything looked at? Then the heartbeat is called; people are told what changed.

    Runs whatever became of the looks and fails only when the ledger cannot be used; the DAG run as a whole fails
    through the task beside it.

    Parameters
    ----------
    run_id
        The ledger's run, or a template of it.
    names
        What was to be looked at: the result of the run's start.
    """

    template_fields: Sequence[str] = ("run_id", "names")

    def __init__(self, *, run_id: str, names: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.names = names

    def execute(self, context: Context) -> bool | None:
        """Close and judge; returns whether everything was looked at."""
        from upkeep.run import rounds, telling  # noqa: PLC0415

        if self.run_id in ("", "None") or self.names is None:
            raise AirflowSkipException("no run began")
        names = [name for part in self.names for name in ([part] if isinstance(part, str) else part)]
        with self.runner() as runner:
            runner.ledger.finish_run(self.run_id)
            gate = rounds.conclude(runner, self.run_id, names, whole=not context["params"].get("targets"))
            telling.tell(runner)
        return None if gate is None else gate.success
