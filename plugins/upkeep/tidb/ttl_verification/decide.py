"""What is said of each table: is its TTL as declared, do its jobs go on, and is anything overdue? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from upkeep.fleet import TablePolicy, Target
from upkeep.fleet.ttl import TtlPolicy, seconds_of
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.ttl_verification import overdue, retention
from upkeep.jobs.ttl_verification.overdue import STALLED, Overdue
from upkeep.model import SERVER, Finding, FindingStatus, Json, Observation, Plan, Request, Severity
from upkeep.model.intervals import Duration
from upkeep.tidb import names
from upkeep.tidb.ttl_verification.jobs import SLACK

MISSING: Final = "ttl_missing"
DIFFERS: Final = "ttl_differs"
DISABLED: Final = "ttl_disabled"
_LOOK: Final = (
    "see mysql.tidb_ttl_table_status and mysql.tidb_ttl_job_history, and the log of the TiDB that owns the job"
)


def decide(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what is found."""
    return Plan.make(observation, (), list(_findings(observation, target)))


def _findings(observation: Observation, target: Target) -> Iterator[Finding]:
    frames = observation.frames
    if any(policy.ttl is not None for policy in target.tables.values()):
        yield _switch(frames["switch"][0])
    for row in frames["absent"]:
        what = MISSING if target.tables[row["name"]].ttl is not None else overdue.OVERDUE
        text = "the table does not exist: nothing can be overdue, and nothing would expire"
        yield _say(what, row["name"], Severity.WARNING, text, "correct the name, or create the table")
    for row in frames["tables"]:
        policy = _policy(target, row["subject"], frames["server"][0]["database"])
        if policy.ttl is not None:
            yield from _expiring(observation, row, policy.ttl)
        else:
            why = retention.reason(observation, target, row["subject"])
            for finding in _overdue(observation, row, retention.REMEDY):
                yield retention.excused(finding, why) if finding.status is FindingStatus.FINDING else finding


def _policy(target: Target, subject: str, database: str) -> TablePolicy:
    """Return the policy of a table: an exact name goes before globs, of these the first."""
    own = names.parse(subject)
    patterns = sorted(((names.parse(n), p) for n, p in target.tables.items()), key=lambda one: one[0].is_glob)
    return next(
        policy
        for pattern, policy in patterns
        if policy.declares(("ttl", "retain")) and pattern.matches(own.schema or database, own.name, database)
    )


def _say(
    check: str, subject: str, severity: Severity, text: str, remedy: str | None = None, **evidence: Any
) -> Finding:
    return Finding.of(check, subject, severity, text, remedy, evidence=evidence)


def _fine(check: str, subject: str, text: str, **evidence: Any) -> Finding:
    return Finding.of(check, subject, Severity.INFO, text, evidence=evidence, status=FindingStatus.OK)


def _switch(switch: Json) -> Finding:
    if not switch["enabled"]:
        text = "TiDB deletes nothing by TTL: tidb_ttl_job_enable is off (FLASHBACK CLUSTER leaves it so)"
        return _say(DISABLED, SERVER, Severity.ERROR, text, "set global tidb_ttl_job_enable = on")
    hours = f"{switch['starts']} – {switch['ends']}"
    return _fine(DISABLED, SERVER, f"TiDB deletes by TTL, in the hours {hours}", hours=hours)


def _expiring(observation: Observation, row: Json, wanted: TtlPolicy) -> Iterator[Finding]:
    subject, known = row["subject"], row["ttl"]
    if known is None:
        remedy = f"alter table {subject} ttl = {names.quote(wanted.by)} + interval {_interval(wanted.after)}"
        yield _say(MISSING, subject, Severity.ERROR, "it has no TTL: nothing expires", f"{remedy}, which deletes rows")
        yield from _overdue(observation, row, remedy)
        return
    yield _fine(MISSING, subject, f"it has a TTL: {known['column']} + interval {known['text']}")
    yield _differs(subject, known, wanted)
    if not known["enabled"]:
        text = "its TTL is switched off (TTL_ENABLE='OFF'): restores, TiCDC and FLASHBACK leave it so"
        yield _say(DISABLED, subject, Severity.ERROR, text, f"alter table {subject} ttl_enable = 'ON'")
    else:
        yield _fine(DISABLED, subject, "its TTL is switched on")
    jobs, *left = _jobs(observation, row), *_overdue(observation, row, _LOOK)
    stuck = next((f for f in left if f.check == STALLED and f.status is FindingStatus.FINDING), None)
    yield stuck if stuck is not None and jobs.status is FindingStatus.OK else jobs
    yield from (f for f in left if f.check != STALLED)


def _differs(subject: str, known: Json, wanted: TtlPolicy) -> Finding:
    wrong = []
    if not names.same(known["column"], names.column(wanted.by)):
        wrong.append(f"it expires by {known['column']}, and {wanted.by} is declared")
    if not _same(known["text"], wanted.after):
        wrong.append(f"it expires after {known['text']}, and {wanted.after} is declared")
    if not wrong:
        return _fine(DIFFERS, subject, f"it expires {known['text']} after {known['column']}, as declared")
    remedy = f"alter table {subject} ttl = {names.quote(wanted.by)} + interval {_interval(wanted.after)}"
    return _say(DIFFERS, subject, Severity.ERROR, "; ".join(wrong), remedy, ttl=known["text"], column=known["column"])


def _same(text: str, wanted: Duration) -> bool:
    """Return whether an interval of TiDB's is the declared length."""
    try:
        length = Duration() if text.startswith("0 ") else Duration.parse(text)
    except ValueError:
        return False
    return (length.months, seconds_of(length)) == (wanted.months, seconds_of(wanted))


def _interval(wanted: Duration) -> str:
    """Return a length as TiDB writes one."""
    if wanted.months:
        return f"{wanted.months} month"
    return f"{wanted.days} day" if not wanted.seconds else f"{seconds_of(wanted)} second"


def _jobs(observation: Observation, row: Json) -> Finding:
    """Return whether TTL jobs go on on a table."""
    subject, known = row["subject"], row["jobs"]
    if known is None:
        remedy = "grant select on mysql.tidb_ttl_table_status, and on mysql.tidb_ttl_job_history, to our user"
        status = FindingStatus.NOT_AVAILABLE
        return Finding.of(STALLED, subject, Severity.WARNING, row["why"], remedy, status=status)
    evidence, now = {"finished": known["finished"]}, observation.server.clock
    if known["silent"] is not None and known["silent"] > SLACK.total_seconds():
        text = f"the owner of its running TTL job has said nothing for {known['silent']:,.0f} s"
        return _say(STALLED, subject, Severity.ERROR, text, _LOOK, **evidence)
    wait = timedelta(seconds=known["patience"])
    off = not row["ttl"]["enabled"] or not observation.frames["switch"][0]["enabled"]
    if known["finished"] is not None and (now - moment(known["finished"]) <= wait or known["silent"] is not None):
        text = f"its last TTL job finished at {moment(known['finished']):%Y-%m-%d %H:%M} UTC"
        return _fine(STALLED, subject, text, **evidence)
    first = [r for r in observation.frames["earlier"] if (r["check"], r["subject"]) == (STALLED, subject)]
    watched = [r for r in first if now - moment(r["at"]) > wait]
    if known["finished"] is None and not watched:
        text = "no TTL job has finished on it yet, as far as could be watched: the next look tells"
        status = FindingStatus.INSUFFICIENT_EVIDENCE
        return Finding.of(STALLED, subject, Severity.INFO, text, evidence=evidence, status=status)
    last = "ever" if known["finished"] is None else f"since {moment(known['finished']):%Y-%m-%d %H:%M} UTC"
    why = "; it is switched off" if off else ""
    text = f"no TTL job has finished on it {last}: nothing expires{why}"
    return _say(STALLED, subject, Severity.ERROR, text, _LOOK, **evidence)


def _overdue(observation: Observation, row: Json, remedy: str) -> Iterator[Finding]:
    more = {"partitions": row["lately"]} if row["lately"] else {}
    if row["sampled"] is not None:
        more["sampled"] = row["sampled"]
    counted = (row["subject"], row["overdue"], row["tolerance"], row["why"], row["ids"], row["what"])
    found = Overdue(*counted, more=more, denied=row["denied"])
    yield from overdue.findings(found, observation.frames["earlier"], observation.server.clock, remedy)
