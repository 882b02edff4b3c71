"""The one way from what an action does, or raises, to its outcome, on every engine; for doing and for taking back.

Expected trouble becomes an outcome with what was done so far; what stops the run goes through, and so does a mistake of
ours, of which `upkeep.run.applier` makes an outcome.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from upkeep.errors import NotAvailableError, ProgramError, UnreachableError, UpkeepError
from upkeep.jobs.errors import ActionError, ConnectionLostError, RefusedError
from upkeep.model import Action, Artefact, Json, Outcome, OutcomeStatus


@dataclass
class DoneSoFar:
    """What an action has done so far; right also when it ends early.

    Attributes
    ----------
    rows, bytes
        What really went; ``None`` where that is not the action's business.
    message
        Said when it is done.
    artefacts
        What it left outside the database.
    """

    rows: int | None = None
    bytes: int | None = None
    evidence: Json = field(default_factory=dict)
    message: str | None = None
    artefacts: tuple[Artefact, ...] = ()

    def take(self, found: Json) -> None:
        """Take what a step returned: evidence, and a ``message`` beside it."""
        self.evidence = {**self.evidence, **{key: value for key, value in found.items() if key != "message"}}
        self.message = found.get("message", self.message)


Do: TypeAlias = Callable[[DoneSoFar], None]
Classify: TypeAlias = Callable[[Exception], ActionError | None]
"""What a driver's error is, in words without values of rows; ``None``: it is none of the driver's."""


def carry_out(
    action: Action,
    do: Do,
    classify: Classify,
    *,
    note: Callable[[Json], None] | None = None,
    so_far: DoneSoFar | None = None,
) -> Outcome:
    """Do one action and return what became of it.

    Parameters
    ----------
    do
        Does it, and writes down what is done as it goes.
    classify
        The room's word on the errors of its driver.
    note
        Keeps what went before an exception that ends the run: no outcome is written then.

    Raises
    ------
    LeaseLostError, StopError, OverLimitError, CancelledError
        The run must stop.
    """
    started = time.monotonic()
    done = so_far or DoneSoFar()
    trouble: ActionError | None = None
    try:
        do(done)
    except Exception as error:
        trouble = _meaning(error, classify)
        if trouble is None:
            # The run ends here, but what was committed is committed: its count must not be missing from the ledger.
            # That the ledger cannot be reached may be why the run ends.
            if done.rows and note is not None:
                with contextlib.suppress(UpkeepError):
                    note({"rows": done.rows, **done.evidence})
            raise
    return Outcome(
        action_id=action.id,
        status=trouble.status if trouble else OutcomeStatus.DONE,
        reason_code=trouble.code if trouble else None,
        seconds=time.monotonic() - started,
        rows=done.rows,
        bytes=done.bytes,
        message=str(trouble) if trouble else done.message,
        evidence={**done.evidence, **(trouble.evidence if trouble else {})},
        artefacts=done.artefacts,
    )


def _meaning(error: Exception, classify: Classify) -> ActionError | None:
    if isinstance(error, ActionError):
        return error
    if isinstance(error, UnreachableError):
        return ConnectionLostError(str(error))
    if isinstance(error, NotAvailableError):
        return RefusedError(str(error))
    if isinstance(error, ProgramError):
        return ActionError(str(error))
    return classify(error)
