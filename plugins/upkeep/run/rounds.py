"""A round: many targets looked at, several at once, each with a time limit of its own.

Threads only ask the servers; what they saw is written down here, by the one who waits for them. So a target that
answers too late is recorded as out of reach, once, whatever its thread still does; the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from upkeep.engines import Address
from upkeep.errors import CancelledError, ConfigurationError, UnreachableError
from upkeep.fleet import outside as addresses
from upkeep.jobs import spec
from upkeep.model import GateResult, Plan, TargetReport
from upkeep.run import coverage, looking, outside, settling
from upkeep.run.runner import Runner
from upkeep.run.stopping import Stop

if TYPE_CHECKING:
    from upkeep.ledger import RunRecord

log = logging.getLogger("upkeep")

SINGLE: Final = 20
"""Below so many targets each has a task of its own: its state, its log, its label."""
AT_ONCE: Final = 10
"""Targets of one task, and of one command, that are looked at at the same time."""
GRACE: Final = 10.0
"""Seconds that a cancelled look has to come back; a thread that hangs longer is waited for no more."""
_TICK: Final = 0.2


def groups(names: Sequence[str]) -> list[str] | list[list[str]]:
    """Return what is looked at by one task each: the targets one by one while they are few, else groups up to ten."""
    if len(names) < SINGLE:
        return list(names)
    count = -(-len(names) // AT_ONCE)
    bounds = [len(names) * place // count for place in range(count + 1)]
    return [list(names[first:last]) for first, last in pairwise(bounds)]


@dataclass
class _Attempt:
    """A look that is under way: its runner has a stop of its own, so that it can be cancelled alone."""

    runner: Runner
    until: float
    cancelled: bool = False

    def cancel(self) -> None:
        """Cancel the statement on the server, without waiting for that; what comes back has `GRACE` to do so."""
        self.cancelled, self.until = True, time.monotonic() + GRACE
        threading.Thread(target=self.runner.cancel, daemon=True).start()


def look_at_all(runner: Runner, run_id: str, names: Sequence[str]) -> list[TargetReport]:
    """Look at targets, `AT_ONCE` of them at a time; returns their reports in the order in which they were done.

    Raises
    ------
    CancelledError
        The run was asked to stop: all statements were cancelled; what was seen until then is recorded.
    """
    run = runner.ledger.run(run_id)
    seconds = spec.require(run.job).seconds
    answers: SimpleQueue[tuple[str, Plan | Exception]] = SimpleQueue()
    waiting, under_way = deque(names), dict[str, _Attempt]()
    reports: list[TargetReport] = []
    try:
        while waiting or under_way:
            while waiting and len(under_way) < AT_ONCE and not runner.stop.asked:
                name = waiting.popleft()
                under_way[name] = _begin(runner, run, name, answers, seconds)
            if runner.stop.asked:
                _cancel_all(under_way, answers)
                runner.stop.raise_if_asked()
            for name, seen in _answered(under_way, answers):
                late = under_way.pop(name).cancelled
                seen = _too_late(name, seconds) if late else seen  # noqa: PLW2901 - what was cancelled saw nothing whole
                reports.append(looking.settle(runner, run, runner.fleet.target(name), seen))
    except BaseException:  # the ledger is away, the task's time is over: nothing goes on without anybody who waits
        for attempt in under_way.values():
            attempt.cancel()
        raise
    return reports


def _begin(
    runner: Runner, run: RunRecord, name: str, answers: SimpleQueue[tuple[str, Plan | Exception]], seconds: float
) -> _Attempt:
    """Begin to look at a target in a thread of its own."""
    target = runner.fleet.target(name)
    try:  # here, for Airflow answers its task in one thread
        known: Address | Exception = runner.addresses(target.connection)
    except Exception as error:  # noqa: BLE001 - it is this target's: the others are looked at
        known = error

    def resolve(connection_id: str) -> Address:
        if connection_id != target.connection:
            return runner.addresses(connection_id)
        if isinstance(known, Exception):
            raise known
        return known

    own = replace(runner, addresses=resolve, stop=Stop())
    context = copy_context()
    threading.Thread(
        target=lambda: answers.put((name, context.run(looking.glance, own, run, target))),
        name=f"look at {name}",
        daemon=True,  # one that hangs must not keep the process
    ).start()
    return _Attempt(own, time.monotonic() + seconds)


def _answered(
    under_way: dict[str, _Attempt], answers: SimpleQueue[tuple[str, Plan | Exception]]
) -> list[tuple[str, Plan | Exception]]:
    """Wait a moment; return what came in, and what is waited for no more. What is late is cancelled."""
    came: list[tuple[str, Plan | Exception]] = []
    try:
        came.append(answers.get(timeout=_TICK))
        while True:
            came.append(answers.get_nowait())
    except Empty:
        pass
    came = [(name, seen) for name, seen in came if name in under_way]
    now, there = time.monotonic(), {name for name, _ in came}
    for name, attempt in under_way.items():
        if name in there or now < attempt.until:
            continue
        if attempt.cancelled:
            came.append((name, CancelledError("it did not even come back when it was cancelled")))
        else:
            attempt.cancel()
    return came


def _cancel_all(under_way: dict[str, _Attempt], answers: SimpleQueue[tuple[str, Plan | Exception]]) -> None:
    """Cancel what is under way on its servers, and wait for it to come back."""
    for attempt in under_way.values():
        if not attempt.cancelled:
            attempt.cancel()
    while under_way:
        for name, _ in _answered(under_way, answers):
            del under_way[name]


def _too_late(name: str, seconds: float) -> UnreachableError:
    return UnreachableError(
        f"'{name}' was not looked at within {seconds:g} s; what ran there was cancelled. Is the server busy, or is "
        "something in the way that swallows packets?"
    )


def conclude(runner: Runner, run_id: str, names: Sequence[str], *, whole: bool) -> GateResult | None:
    """End a round: was everything looked at? If so the heartbeat is called; the ledger is tended once a day.

    Parameters
    ----------
    names
        The targets that it was to look at.
    whole
        Whether nobody asked for some of them only.

    Returns
    -------
    GateResult or None
        ``None``: it looked at nothing, or not at how things are now.
    """
    ledger, run = runner.ledger, runner.ledger.run(run_id)
    if not names or not settling.looks_at_present(run):
        return None
    whole = whole and looking.counts(run)
    gate = coverage.check(ledger, run, names, whole=whole)
    for failure in gate.failed:
        log.error("%s", failure.summary)
    secret = runner.fleet.heartbeat
    if gate.success and whole and secret is not None and spec.require(run.job).heartbeat:
        try:
            outside.heartbeat(addresses.said("heartbeat", secret))
        except ConfigurationError as error:
            log.warning("no heartbeat: %s", error)
    if whole:
        ledger.tend_daily(run_id)
    return gate
