"""Carrying out one action of retention: expected trouble becomes an outcome with what was done so far."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
from psycopg import errors, sql

from upkeep.errors import UnreachableError, UpkeepError
from upkeep.plan import Outcome, OutcomeStatus, ReasonCode
from upkeep.postgres import archiving, detaching, dropping, names
from upkeep.postgres.archiving import ConservationError
from upkeep.postgres.ddl import HeldTooLongError, LockNotObtainedError
from upkeep.postgres.detaching import AlreadyDoneError, StateChangedError, Tools
from upkeep.postgres.pace import OverloadedError, Pace
from upkeep.postgres.retention_rows import Doomed
from upkeep.postgres.retention_views import frames_policies
from upkeep.postgres.row_batches import RangeHeldError, Sweep, deleting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from upkeep.fleet import RetainPolicy
    from upkeep.jobs import Work
    from upkeep.plan import Action, Json
    from upkeep.postgres.session import PostgresSession

ANALYZE_ROWS: Final = 50_000
ANALYZE_SHARE: Final = 0.1
"""The planner's statistics are made anew when more rows, or a greater share of the table, went."""
QUICK_SECONDS: Final = 5.0
QUICK_TARGET: Final = "10"
"""Statistics of the age column after a quick removal: 3,000 pages are read."""
VACUUM_SHARE: Final = 0.2
"""Where autovacuum is off, the space is made reusable when so much of the table went."""
_INCOMPLETE: Final = (LockNotObtainedError, HeldTooLongError, RangeHeldError, errors.LockNotAvailable)
_SAFE_STATES: Final = ("22", "42601")
"""Messages of these error classes may quote values of rows: they are left out."""


@dataclass
class Progress:
    """What the action has done so far; right also when it ends early."""

    rows: int = 0
    evidence: Json | None = None


def apply(work: Work) -> Outcome:
    """Carry one action out.

    Raises
    ------
    LeaseLostError, PausedError, CancelledError
        The run must stop; rows done so far are in the ledger as a note.
    """
    progress = Progress()
    try:
        _KINDS[work.action.kind](work, progress)
    except AlreadyDoneError as error:
        progress.evidence = error.evidence
        return _outcome(work, progress, OutcomeStatus.DONE, None, str(error))
    except StateChangedError as error:
        return _outcome(work, progress, OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED, str(error))
    except OverloadedError as error:
        return _outcome(work, progress, OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED, str(error))
    except _INCOMPLETE as error:
        text = str(error) if isinstance(error, UpkeepError) else "others held the table for too long"
        return _outcome(work, progress, OutcomeStatus.SKIPPED, ReasonCode.LOCK_NOT_OBTAINED, text)
    except ConservationError as error:
        return _outcome(work, progress, OutcomeStatus.FAILED, ReasonCode.CONSERVATION, str(error))
    except UnreachableError as error:
        return _outcome(work, progress, OutcomeStatus.FAILED, ReasonCode.CONNECTION_LOST, str(error))
    except psycopg.Error as error:
        connection = cast("PostgresSession", work.session).connection
        if connection.closed or connection.broken:
            text = "the connection was lost; the next run looks at the state and carries on"
            return _outcome(work, progress, OutcomeStatus.FAILED, ReasonCode.CONNECTION_LOST, text)
        return _outcome(work, progress, OutcomeStatus.FAILED, ReasonCode.ERROR, describe(error))
    except UpkeepError:
        if progress.rows:
            with contextlib.suppress(UpkeepError):
                work.note({"rows": progress.rows, **(progress.evidence or {})})
        raise
    return _outcome(work, progress, OutcomeStatus.DONE, None, None)


def describe(error: psycopg.Error) -> str:
    """Return what the server said, without values of rows."""
    state = error.sqlstate or ""
    primary = error.diag.message_primary or type(error).__name__
    if state.startswith(_SAFE_STATES):
        primary = type(error).__name__
    if isinstance(error, errors.UniqueViolation):
        primary = (
            f"a row is in the archive already ({error.diag.constraint_name}): somebody copied it there; nothing of "
            "this batch was moved. Compare the two and delete the copies"
        )
    if isinstance(error, errors.CheckViolation) and error.diag.constraint_name is None:
        primary += "; create the archive's partition for these rows"
    return f"{primary} ({state})" if state else primary


def _outcome(
    work: Work, progress: Progress, status: OutcomeStatus, code: ReasonCode | None, message: str | None
) -> Outcome:
    return Outcome(
        action_id=work.action.id,
        status=status,
        reason_code=code,
        rows=progress.rows,
        bytes=work.action.bytes if status is OutcomeStatus.DONE and work.action.kind == "drop_partition" else None,
        message=message,
        evidence=progress.evidence or {},
    )


def _tools(work: Work) -> Tools:
    return Tools(cast("PostgresSession", work.session), work.checkpoint, work.sleep)


def _detach(work: Work, progress: Progress) -> None:
    policy = policy_of(work.action, work)
    progress.evidence = detaching.detach(_tools(work), work.action.args, grace=policy.grace, zone=policy.zone)
    progress.rows = work.action.rows or 0


def _drop(work: Work, progress: Progress) -> None:
    progress.evidence = dropping.drop(_tools(work), work.action.args)
    progress.rows = work.action.rows or 0


def _delete(work: Work, progress: Progress) -> None:
    _sweep(work, progress, moving=False)


def _archive(work: Work, progress: Progress) -> None:
    _sweep(work, progress, moving=True)


_KINDS: Final[Mapping[str, Callable[[Work, Progress], None]]] = {
    "detach_partition": _detach,
    "drop_partition": _drop,
    "delete_rows": _delete,
    "archive_rows": _archive,
    "archive_partition": _archive,
}


def policy_of(action: Action, work: Work) -> RetainPolicy:
    """Return the policy that an action's table belongs to."""
    table = names.parse(action.subject).exact
    globs = []
    for name, policy in frames_policies(work.target).items():
        pattern = names.parse(name)
        if policy.retain is not None and pattern.matches(table.schema, table.name):
            if not pattern.is_glob:
                return policy.retain
            globs.append(policy.retain)
    if not globs:
        raise StateChangedError(f"the fleet file says nothing of {action.subject} any more")
    return globs[0]


def _sweep(work: Work, progress: Progress, *, moving: bool) -> None:
    """Delete or move the due rows of all leaves that the action names."""
    session = cast("PostgresSession", work.session)
    args = work.action.args
    remove = archiving.archiving(session, args) if moving else deleting(session)
    sweep = Sweep(session, remove, work.checkpoint, work.sleep, pace=Pace())
    snapshot = session.rows("retention_clock")[0]["snapshot"]
    refreshed: list[str] = []
    missing: list[str] = []
    try:
        for leaf in args["leaves"]:
            here = detaching.place(session, leaf["oid"])
            if here is None:
                missing.append(leaf["name"])
                continue
            doomed = Doomed.from_args(args, {"oid": leaf["oid"], "schema": here.schema, "name": here.name})
            before, started = sweep.tally.rows, time.monotonic()
            passes = 0
            while True:  # rows that refer to each other go level by level
                start = sweep.tally.rows
                sweep.run(doomed, by_page=leaf["by_page"])
                passes += 1
                if not (doomed.has_references and sweep.tally.rows > start and passes < MAX_PASSES):
                    break
            refreshed += _refresh(work, doomed, sweep.tally.rows - before, time.monotonic() - started)
    finally:
        progress.rows = sweep.tally.rows
        progress.evidence = _evidence(sweep, args, snapshot, moving=moving) | {
            "analyzed": refreshed,
            **({"missing": missing} if missing else {}),
        }
    if sweep.tally.held:
        raise RangeHeldError(f"{sweep.tally.held} range(s) were left to the next run: {sweep.tally.last_error}")


MAX_PASSES: Final = 20
"""Levels of rows that refer to rows of the same table, removed in one run."""


def _evidence(sweep: Sweep, args: Json, snapshot: str, *, moving: bool) -> Json:
    tally = sweep.tally
    found: dict[str, Any] = {
        "rows_deleted": tally.rows,
        "batches": tally.batches,
        "ranges_left": tally.held,
        "sweep_seconds": round(tally.seconds, 3),
        "waited_seconds": round(sweep.throttle.waited, 1),
        "cut_off": args["cut_off"],
        "snapshot": snapshot,
    }
    if moving:
        found |= {"rows_copied": tally.rows, "rows_archived": tally.archived, "proof": args["proof"]}
        if args["proof"] != "count":
            found |= {"hash_source": f"{tally.hash_source:016x}", "hash_archive": f"{tally.hash_archive:016x}"}
    return found


def _refresh(work: Work, doomed: Doomed, removed: int, seconds: float) -> list[str]:
    """Renew the statistics (and, where autovacuum is off, clean up) after much went; skip what others lock.

    ANALYZE reads up to 30,000 pages, some 0.3 s: after a removal that took only a few seconds it looks at the
    age column alone, at fewer pages, and leaves the rest to autovacuum.
    """
    session = cast("PostgresSession", work.session)
    total = removed + _rows_left(session, doomed.oid)
    if not removed or (removed <= ANALYZE_ROWS and removed <= ANALYZE_SHARE * total):
        return []
    off = session.rows("retention_autovacuum_off", {"oid": doomed.oid})
    alone = bool(off and off[0]["off"])
    name, target = "retention_analyze", None
    if alone and removed > VACUUM_SHARE * total:
        name = "retention_vacuum"
    elif not alone and seconds < QUICK_SECONDS:
        name, target = "retention_analyze_age", QUICK_TARGET
    subject = names.display(doomed.schema, doomed.name)
    work.checkpoint(f"{'vacuum' if name == 'retention_vacuum' else 'analyze'} {subject}")
    parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age}
    try:
        session.rows("retention_statistics_target", {"target": target})
        session.execute(session.statement(name, **parts))
        session.rows("retention_statistics_target", {"target": None})
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.InsufficientPrivilege):
        return []
    return [subject]


def _rows_left(session: PostgresSession, oid: int) -> int:
    rows = session.rows("retention_rows_estimate", {"oid": oid})
    return max(int(rows[0]["rows"]), 0) if rows else 0
