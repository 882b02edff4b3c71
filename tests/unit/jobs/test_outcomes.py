"""The mapper from what an action raises to its outcome: alike for all engines, whatever their drivers raise."""

from __future__ import annotations

import pytest

from upkeep.errors import LedgerError, OverLimitError, UnreachableError
from upkeep.jobs import errors, outcomes
from upkeep.jobs.errors import ActionError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Json, Outcome, OutcomeStatus, ReasonCode

ACTION = Action.make(
    kind="delete_rows", subject="t", args={}, statements=(), reason="", destructive=True, precondition=""
)
FAMILY = {
    ActionError: ("failed", "error", 1),
    errors.AlreadyDoneError: ("done", None, 0),
    errors.StateChangedError: ("skipped", "state_changed", 3),
    errors.LockNotObtainedError: ("skipped", "lock_not_obtained", 3),
    errors.OverloadedError: ("skipped", "overloaded", 3),
    errors.RefusedError: ("skipped", "not_supported", 1),
    errors.NotCoveredError: ("skipped", "needs_backup", 0),
    errors.ConservationError: ("failed", "conservation_violated", 1),
    errors.ConnectionLostError: ("failed", "connection_lost", 3),
}


class DriverError(Exception):
    """What a driver raises."""


def classify(error: Exception) -> ActionError | None:
    return errors.OverloadedError("too busy", {"why": 9003}) if isinstance(error, DriverError) else None


def carried_out(error: Exception | None, notes: list[Json] | None = None) -> Outcome:
    """Three rows go, then it ends with ``error``."""

    def do(done: DoneSoFar) -> None:
        done.rows, done.bytes = 3, 24
        done.take({"batches": 1, "message": "three went"})
        if error is not None:
            raise error

    return outcomes.carry_out(ACTION, do, classify, note=None if notes is None else notes.append)


def test_the_family_is_complete() -> None:
    assert {ActionError, *ActionError.__subclasses__()} == {*FAMILY}


@pytest.mark.parametrize("kind", FAMILY)
def test_each_error_is_one_outcome_with_what_was_done_so_far(kind: type[ActionError]) -> None:
    outcome = carried_out(kind("why", {"seen": 1}))
    status, code, exit_status = FAMILY[kind]
    assert (outcome.status.value, outcome.reason_code and outcome.reason_code.value) == (status, code)
    assert (outcome.rows, outcome.bytes, outcome.message) == (3, 24, "why")
    assert outcome.evidence == {"batches": 1, "seen": 1}
    assert outcome.action_id == ACTION.id
    assert kind.exit_status == exit_status


def test_what_is_done_says_so() -> None:
    outcome = carried_out(None)
    assert (outcome.status, outcome.reason_code, outcome.message) == (OutcomeStatus.DONE, None, "three went")
    assert outcome.evidence == {"batches": 1}


def test_a_drivers_error_is_what_the_room_says() -> None:
    outcome = carried_out(DriverError("a value of a row"))
    assert outcome.reason_code is ReasonCode.OVERLOADED
    assert outcome.message == "too busy"
    assert outcome.evidence == {"batches": 1, "why": 9003}


def test_no_way_to_the_server_is_a_lost_connection() -> None:
    outcome = carried_out(UnreachableError("no route"))
    assert (outcome.status, outcome.reason_code) == (OutcomeStatus.FAILED, ReasonCode.CONNECTION_LOST)


@pytest.mark.parametrize("error", [OverLimitError("more"), LedgerError("gone"), ZeroDivisionError("ours")])
def test_what_ends_the_run_goes_through_and_the_rows_stay_on_record(error: Exception) -> None:
    notes: list[Json] = []
    with pytest.raises(type(error)):
        carried_out(error, notes)
    assert notes == [{"rows": 3, "batches": 1}]


def test_a_ledger_that_cannot_be_reached_hides_no_reason() -> None:
    def do(done: DoneSoFar) -> None:
        done.rows = 3
        raise OverLimitError("more")

    def note(_: Json) -> None:
        raise LedgerError("gone")

    with pytest.raises(OverLimitError):
        outcomes.carry_out(ACTION, do, classify, note=note)
