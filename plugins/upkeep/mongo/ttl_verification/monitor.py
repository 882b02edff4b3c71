"""The server's TTL monitor: does it run, does it go on, and how long may a document be there after its time? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from upkeep.jobs.ttl_verification.overdue import STALLED
from upkeep.model import SERVER, Finding, FindingStatus, Json, Severity
from upkeep.mongo.expiry import PASS_SECONDS

DISABLED: Final = "ttl_disabled"
_GRANT: Final = "grant clusterMonitor to our user"
_ON: Final = "db.adminCommand({setParameter: 1, ttlMonitorEnabled: true})"


def previous(monitor: Json, frame: Iterable[Mapping[str, Any]]) -> Json | None:
    """Return what the last look read of the same process; ``None``: none did, it has restarted, or another leads."""
    rows = (row["evidence"] for row in frame if (row["check"], row["subject"]) == (STALLED, SERVER))
    last: Json | None = next(rows, None)
    if last is None or last.get("host") != monitor["host"] or not last.get("enabled"):
        return None
    if last.get("passes") is None or last["uptime"] >= monitor["uptime"] or last["passes"] > (monitor["passes"] or 0):
        return None
    return last


def tolerance(monitor: Json, frame: Iterable[Mapping[str, Any]], lag: float | None) -> float:
    """Return for how many seconds a document may be there after its time: two sleeps, a pass, and the lag of members.

    The server does not tell how long its last pass took: between two looks, passes took on average what was not slept.
    Before there were two, a pass is given as long as a sleep.
    """
    sleep = monitor["sleep"] or PASS_SECONDS
    last, took = previous(monitor, frame), float(sleep)
    if last is not None and monitor["passes"] > last["passes"]:
        waited = monitor["uptime"] - last["uptime"]
        took = max(waited / (monitor["passes"] - last["passes"]) - sleep, 0.0)
    return float(2 * sleep + took + (lag or 0.0))


def findings(monitor: Json, frame: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield whether the monitor is switched on, and whether it goes on."""
    yield _enabled(monitor)
    yield _advancing(monitor, frame)


def _enabled(monitor: Json) -> Finding:
    if monitor["enabled"] is None:
        text = "whether the server's TTL monitor is switched on cannot be seen by our user"
        return _say(DISABLED, Severity.WARNING, text, _GRANT, status=FindingStatus.NOT_AVAILABLE)
    if not monitor["enabled"]:
        text = "the server's TTL monitor is switched off: nothing expires"
        return _say(DISABLED, Severity.ERROR, text, _ON)
    return _say(DISABLED, Severity.INFO, "the server's TTL monitor is switched on", status=FindingStatus.OK)


def _advancing(monitor: Json, frame: Iterable[Mapping[str, Any]]) -> Finding:
    passes, sleep = monitor["passes"], monitor["sleep"] or PASS_SECONDS
    evidence = {key: monitor[key] for key in ("enabled", "passes", "deleted", "uptime", "host")}
    if passes is None:
        text = "how often the server's TTL monitor has passed cannot be seen by our user (serverStatus)"
        return _say(STALLED, Severity.WARNING, text, _GRANT, status=FindingStatus.NOT_AVAILABLE)
    last = previous(monitor, frame)
    waited = monitor["uptime"] - (last or {"uptime": 0})["uptime"]
    since = passes - (last or {"passes": 0})["passes"]
    unsure = FindingStatus.INSUFFICIENT_EVIDENCE
    if not monitor["enabled"]:
        return _say(STALLED, Severity.INFO, "it is not switched on", status=unsure, **evidence)
    if since:
        text = f"the TTL monitor goes on: {since:,} passes in {waited:,.0f} s"
        return _say(STALLED, Severity.INFO, text, status=FindingStatus.OK, **evidence)
    if last is None or waited <= 2 * sleep:
        # it may lead since a moment ago: then it has passed over nothing yet
        text = "the TTL monitor has not passed yet, as far as could be watched: the next look tells"
        return _say(STALLED, Severity.INFO, text, status=unsure, **evidence)
    text = (
        f"the TTL monitor has not passed once in {waited:,.0f} s, although it should every {sleep} s: nothing expires"
    )
    remedy = "look for TTLMonitor in the primary's log; a step-down or a restart begins anew"
    return _say(STALLED, Severity.ERROR, text, remedy, **evidence)


def _say(
    check: str,
    severity: Severity,
    text: str,
    remedy: str | None = None,
    *,
    status: FindingStatus = FindingStatus.FINDING,
    **evidence: Any,
) -> Finding:
    return Finding.of(check, SERVER, severity, text, remedy, evidence=evidence, status=status)
