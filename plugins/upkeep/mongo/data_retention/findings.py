"""What retention reports besides its actions: what stays although it is old, and what deletes by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from upkeep.jobs.data_retention.cutoff import moment
from upkeep.model import Finding, FindingStatus, Json, Severity
from upkeep.mongo import catalog, expiry
from upkeep.mongo.data_retention import age_facts
from upkeep.mongo.data_retention.view import View

_KINDS: Final = {"missing": "the field is missing", "timestamp": "internal timestamp", "object": "document"}


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


def left(row: Json) -> Finding:
    """Return that the server still does what Upkeep told it, although no policy of the fleet file says so any more."""
    since = moment(row["recorded_at"])
    name, seconds = row["name"], row["seconds"]
    if seconds is None:
        text = f"Upkeep suspended its expiry on {since:%Y-%m-%d %H:%M} UTC, and its policy is gone: nothing expires"
        remedy = f'db.runCommand({{collMod: "{name}", expireAfterSeconds: <seconds>}}), or declare its retain: again'
    else:
        text = (
            f"its expireAfterSeconds of {seconds:,}, set by Upkeep on {since:%Y-%m-%d %H:%M} UTC, goes on deleting: "
            "its policy is gone from the fleet file"
        )
        remedy = f'db.runCommand({{collMod: "{name}", expireAfterSeconds: "off"}}), or declare its retain: again'
    return Finding.of("expiry_left", name, Severity.WARNING, text, remedy, evidence={"seconds": seconds})


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
    yield from undated(view)
    early = view.facts.get("early")
    if early and age_facts.not_times(view.facts["ends"]) is None:
        text = f"{early:,} documents have a '{view.age}' in the first days of 1970: made of seconds? They count as due"
        remedy = f"where they were: updateMany with {{$toDate: {{$multiply: [{{$toLong: '${view.age}'}}, 1000]}}}}"
        yield _say(view, "early_dates", Severity.WARNING, text, remedy, documents=early)
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


def undated(view: View) -> Iterator[Finding]:
    """Yield what is never due, because where its age should be there is no date."""
    kinds = view.facts.get("undated", {})
    if kinds is None:
        text = f"some documents have no date in '{view.age}', how many could not be counted in time: they stay"
        remedy = f"count those where '{view.age}' is {{$not: {{$type: 'date'}}}} by hand"
        yield _say(view, "undated", Severity.WARNING, text, remedy)
    elif kinds:
        total = sum(kinds.values())
        parts = ", ".join(f"{_KINDS.get(kind, kind)}: {count:,}" for kind, count in sorted(kinds.items()))
        share = f" ({total / max(view.rows, total):.1%})"
        text = f"{total:,} documents{share} have no date in '{view.age}' ({parts}): never due, they stay"
        yield _say(view, "undated", Severity.WARNING, text, _remedy(view), documents=total, kinds=kinds)
    lists = view.facts.get("lists", 0)
    if lists != 0:
        count = "some" if lists is None else f"{lists:,}{' or more' if lists >= age_facts.MOST_LISTS else ''}"
        text = f"{count} documents have a list where their age '{view.age}' should be, or on the way to it: never due, "
        remedy = (
            f"let retain.by name a field with one date, or make one of the list: updateMany with "
            f"{{$max: '${view.age}'}} (the youngest counts) as the value of such a field"
        )
        yield _say(view, "age_lists", Severity.WARNING, f"{text}they stay", remedy, documents=lists)


def _remedy(view: View) -> str:
    """Return how what is there becomes a date."""
    says = [f"give them a date, e.g. by updateMany with {{$toDate: '${view.age}'}}"]
    if view.facts.get("strings"):
        says.append("its strings look like dates: the same makes dates of ISO 8601, $dateFromString of other formats")
    units = view.facts.get("numbers")
    if units:
        factor = {"seconds": ", times 1000", "microseconds": ", divided by 1000"}.get(units[0], "")
        says.append(f"its numbers fit {units[0]} since 1970: {{$toDate: {{$toLong: '${view.age}'}}}}{factor}")
    return "; ".join(says)


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
    if view.facts.get("exposed") and not view.comparable:
        text = (
            f"its expireAfterSeconds ({view.expires:,}) deletes measurements, and whether they are in "
            f"{view.policy.into} cannot be compared: it is suspended, for as long as this server and policy stay"
        )
        remedy = "write then: delete, or upgrade to 6.0"
        yield _say(view, "expiry_before_archive", Severity.ERROR, text, remedy, seconds=view.expires)
    elif view.facts.get("exposed"):
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
