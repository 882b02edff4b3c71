"""People are told at the end of a run: of ERROR and CRITICAL findings, when they are new and when they are no more.

The ledger knows of each finding what people were told last (`upkeep.ledger.telling`). What stands otherwise is told in
one message and marked after it was delivered: one that could not be is sent again by whatever run ends next, and
nothing is said twice. Nothing of this makes a run fail.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from upkeep.errors import UpkeepError
from upkeep.fleet import outside as addresses
from upkeep.jobs.health_check import REACHABLE
from upkeep.ledger.telling import Untold
from upkeep.model import Json, Severity
from upkeep.run import outside
from upkeep.run.coverage import BLIND, FLEET

if TYPE_CHECKING:
    from upkeep.run.runner import Runner

log = logging.getLogger("upkeep")

SHOWN: Final = 20
SENT: Final = 200
_ORDER: Final = ("new", "worse", "milder", "mended", "gone")


def tell(runner: Runner) -> None:
    """Tell people what they do not know yet, where the fleet file says whom to tell."""
    secret = runner.fleet.notify
    if secret is None:
        return
    ledger, names = runner.ledger, [*runner.fleet.targets, FLEET]
    try:
        url = addresses.said("notify", secret)
        if not ledger.untold(names, away=REACHABLE, blind=BLIND):
            return
        with ledger.telling():
            untold = ledger.untold(names, away=REACHABLE, blind=BLIND)  # once more: nobody else tells now
            if not untold:
                return
            outside.tell(url, runner.addresses, *message(untold))
            ledger.mark_told({u.issue.fingerprint: u.stands for u in untold})
        log.info("told %s of %d findings", outside.host(url), len(untold))
    except UpkeepError as error:
        log.warning("people could not be told of findings: %s; the next run tries again", error)


def message(untold: Sequence[Untold]) -> tuple[str, str, Json]:
    """Return subject, text and document of a message. Pure; evidence, which may hold values, is left out."""
    states = [_state(u) for u in untold]
    counted = ", ".join(f"{states.count(word)} {word}" for word in _ORDER if word in states)
    ordered = sorted(zip(states, untold, strict=True), key=lambda pair: _ORDER.index(pair[0]))
    lines = [_line(state, one) for state, one in ordered[:SHOWN]]
    more = len(untold) - SHOWN
    lines += [f"… and {more} more: upkeep findings"] if more > 0 else []
    document: Json = {
        "schema_version": 1,
        "source": "upkeep",
        "findings": [_document(state, one) for state, one in ordered[:SENT]],
        "count": len(untold),
    }
    return f"Upkeep: {counted}", "\n".join(lines), document


def _state(one: Untold) -> str:
    if one.stands is None:
        return "mended" if one.issue.gone_by == "mended" else "gone"
    if one.told is None:
        return "new"
    return "worse" if one.stands.rank > one.told.rank else "milder"


def _severity(one: Untold) -> Severity:
    """Return what it is told as: of one that ended, what it was."""
    return one.stands or one.told or one.issue.severity


def _line(state: str, one: Untold) -> str:
    issue = one.issue
    below = f"; {issue.severity.value} by now" if one.stands is None and issue.open else ""
    about = f"{issue.target}: {issue.check}" + ("" if issue.subject == issue.target else f" ({issue.subject})")
    remedy = f" → {issue.remedy}" if issue.remedy and one.stands is not None else ""
    return f"{state} {_severity(one).value} {about}: {issue.summary}{remedy}{below}"


def _document(state: str, one: Untold) -> Json:
    issue = one.issue
    document: Json = {
        "state": state,
        "severity": _severity(one).value,
        "target": issue.target,
        "job": issue.job,
        "check": issue.check,
        "subject": issue.subject,
        "summary": issue.summary,
        "first_seen": issue.first_seen.isoformat(),
        "fingerprint": issue.fingerprint,
    }
    document |= {"remedy": issue.remedy} if issue.remedy else {}
    return document | ({"ended": issue.gone_at.isoformat()} if issue.gone_at else {})
