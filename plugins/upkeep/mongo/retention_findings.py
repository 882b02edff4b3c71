"""What retention reports besides its actions: what stays although it is old, and what deletes by itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.mongo import catalog, expiry
from upkeep.mongo.retention_view import View
from upkeep.plan import Finding, FindingStatus, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


def findings(view: View) -> Iterator[Finding]:
    """Yield everything that a person should know of this collection's retention."""
    if view.row is None:
        if catalog.is_glob(view.subject):
            text = "no collection has such a name, or all that have belong to other policies"
            yield _say(view, "missing", Severity.WARNING, text, "correct the pattern")
        return
    yield from expiry.index_findings(view.row)
    if view.archive is not None:
        yield from expiry.index_findings(view.archive)
    if view.is_series:
        yield from _series(view)
    else:
        yield from _documents(view)


def _say(
    view: View,
    check: str,
    severity: Severity,
    summary: str,
    remedy: str | None = None,
    *,
    status: FindingStatus = FindingStatus.FINDING,
    **evidence: Any,
) -> Finding:
    return Finding.of(check, view.subject, severity, summary, remedy, evidence=evidence, status=status)


def _documents(view: View) -> Iterator[Finding]:
    undated = view.facts.get("undated", 0)
    if undated is None:
        text = f"how many documents have no date in '{view.age}' could not be found out in time; they stay"
        yield _say(view, "undated", Severity.INFO, text, status=FindingStatus.NOT_AVAILABLE)
    elif undated:
        text = (
            f"{undated:,} documents have no date in '{view.age}' (missing, null or another type): never due, they stay"
        )
        remedy = f"give them a date, e.g. by updateMany with $toDate on '{view.age}'"
        yield _say(view, "undated", Severity.WARNING, text, remedy, documents=undated)
    for index in view.expiring_indexes:
        value = index["expires"]
        if view.archives or not expiry.is_sane(value):
            continue
        if index["keys"] != [[view.age, 1]] and index["keys"] != [[view.age, -1]]:
            text = f"{index['what']} deletes by another field than '{view.age}'"
            remedy = f"{index['off']}; or write retain.by: its field"
            yield _say(view, "expiry_elsewhere", Severity.WARNING, text, remedy)
        elif value < expiry.seconds_of(view.policy):
            text = f"{index['what']} deletes after {value:,} s, sooner than the policy's {view.policy.for_}"
            remedy = str(index["change"]).replace("SECONDS", str(expiry.seconds_of(view.policy)))
            yield _say(view, "expiry_too_short", Severity.ERROR, text, remedy, seconds=value)
        else:
            text = f"{index['what']} deletes the same documents by itself: one of the two is enough"
            yield _say(view, "expiry_besides", Severity.INFO, text, "drop the index, or take retain out")


def _series(view: View) -> Iterator[Finding]:
    if view.server.get("ttl_monitor") is None:
        text = "whether the server's TTL monitor runs cannot be seen by our user"
        remedy = "grant clusterMonitor, or look by hand: db.adminCommand({getParameter: 1, ttlMonitorEnabled: 1})"
        yield _say(view, "expiry_monitor", Severity.INFO, text, remedy, status=FindingStatus.NOT_AVAILABLE)
    elif view.server["ttl_monitor"] is False:
        text = "the server's TTL monitor is switched off: nothing expires"
        yield _say(
            view, "expiry_monitor", Severity.ERROR, text, "db.adminCommand({setParameter: 1, ttlMonitorEnabled: true})"
        )
    if view.facts.get("unsafe_times"):
        text = "there are times before 1970 or after 2038-01-19: the server then expires nothing of the collection"
        yield _say(
            view, "expiry_unsafe_times", Severity.WARNING, text, "correct those measurements, or copy without them"
        )
    if view.facts.get("exposed"):
        text = (
            f"its expireAfterSeconds ({view.expires:,}) would delete measurements that are not in {view.policy.into} "
            "before the next run: it is suspended until they are"
        )
        yield _say(
            view, "expiry_before_archive", Severity.ERROR, text, "none: this run archives them", seconds=view.expires
        )
    elif view.expires is not None and view.expires < view.wanted:
        text = f"its expireAfterSeconds is {view.expires:,}, not {view.wanted:,}: the server deletes too early"
        yield _say(view, "expiry_too_short", Severity.ERROR, text, "none: this run lengthens it", seconds=view.expires)
    overdue = view.facts.get("overdue")
    if overdue and view.expires == view.wanted and not view.facts.get("unsafe_times"):
        text = f"{overdue:,} measurements are past their time by more than a bucket's span and a minute"
        remedy = "look again in a minute; if they stay, see serverStatus().metrics.ttl on the primary"
        yield _say(
            view,
            "expiry_overdue",
            Severity.INFO,
            text,
            remedy,
            status=FindingStatus.INSUFFICIENT_EVIDENCE,
            measurements=overdue,
        )
