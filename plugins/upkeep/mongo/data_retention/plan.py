"""What retention would do, and why: pure decisions over a `View`.

Ordinary collections: one action that deletes or moves what is due. Time-series collections: the archive first, then
the ``expireAfterSeconds`` by which the server deletes; whatever makes it delete less is done at once, whatever makes
it delete more is destructive and needs what the policy requires.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.data_retention.limits import over_limit
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    Json,
    Observation,
    Plan,
    ReasonCode,
    Request,
    Requirement,
    Severity,
)
from upkeep.mongo import catalog, specs
from upkeep.mongo.data_retention import pipelines
from upkeep.mongo.data_retention.age_facts import EPOCH
from upkeep.mongo.data_retention.args import Creation, Documents, Expiry, Measurements
from upkeep.mongo.data_retention.checks import GRANT, PRIVILEGES, refusals, status_of
from upkeep.mongo.data_retention.findings import findings, left
from upkeep.mongo.data_retention.view import View, views

NAMED: Final = 5
WHY_EXPIRY = (
    "MongoDB before 7.0 deletes measurements only by their meta field, never by time: the server expires whole buckets "
    "by itself, once a minute, from then on without asking"
)
UNDO_EXPIRY = (
    "what was there before is restored; what has expired meanwhile comes back only from the archive or a backup"
)


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be done to every collection in care."""
    actions: list[Action] = []
    found: list[Finding] = []
    server = observation.frames["server"][0]
    refuses = server.get("refuses")
    seen = views(observation, target)
    found += [*_of_the_server(server, seen), *map(left, observation.frames.get("left", ()))]
    for view in seen:
        refused = refusals(view)
        blocked = (refused[0].code, refused[0].text) if refused else None
        if not refuses:  # else every action would fail alike
            actions += [_limited(action, view, target) for action in _decide(view, blocked)]
        said = [one for one in refused if one.check != PRIVILEGES or not _all_denied(seen)]
        found += [*(one.finding(view.subject) for one in said), *findings(view)]
    return Plan.make(observation, actions, found)


def _of_the_server(server: Json, seen: list[View]) -> Iterator[Finding]:
    """Yield what is one trouble of the server, not one of each collection."""
    if server.get("refuses"):
        yield Finding.of("server_refuses", "server", Severity.ERROR, server["refuses"], server["remedy"])
    if _all_denied(seen):
        there = [view for view in seen if view.row is not None]
        names, states = sorted(view.subject for view in there), {*map(status_of, there)}
        status = FindingStatus.NOT_AVAILABLE if FindingStatus.NOT_AVAILABLE in states else FindingStatus.FINDING
        unread = ", and not even read all of them" if status is FindingStatus.NOT_AVAILABLE else ""
        text = f"our user may change none of the {len(names)} collections in care ({', '.join(names[:NAMED])}"
        more = f" and {len(names) - NAMED} more)" if len(names) > NAMED else ")"
        yield Finding.of(PRIVILEGES, "server", Severity.ERROR, text + more + unread, GRANT, status=status)


def _all_denied(seen: list[View]) -> bool:
    """Return whether our user lacks rights on all of several collections: it is a reader."""
    there = [view for view in seen if view.row is not None]
    return len(there) > 1 and all(view.facts.get("missing_privileges") for view in there)


def _decide(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    if view.row is None or not view.age or view.facts.get("dated") is False:
        return
    if view.is_series:
        yield from _measurements(view, blocked)
    elif view.due != 0:
        yield from _documents(view, blocked)


def _limited(action: Action, view: View, target: Target) -> Action:
    if not action.destructive:
        return action
    text = over_limit(action.rows, view.rows, target, "documents")
    return action if text is None else action.model_copy(update={"over_limit": text})


# -- ordinary collections ----------------------------------------------------------------------------


def _documents(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    row, policy = view.row or {}, view.policy
    after: tuple[str, ...] = ()
    if view.archives and view.archive is None:
        creation = _create_archive(view, blocked)
        yield creation
        after = (creation.id,)
    kind = "archive_rows" if view.archives else "delete_rows"
    verb = "moves" if view.archives else "deletes"
    yield Action.make(
        kind=kind,
        subject=view.subject,
        detail=f"{view.age} before {view.cut_off:%Y-%m-%d %H:%M} UTC",
        args=Documents(
            collection=view.subject,
            uuid=row["uuid"],
            age=view.age,
            cut_off=view.cut_off,
            index=view.age_index,
            into=policy.into,
            archive=view.archive_id,
        ).written(),
        intent={"uuid": row["uuid"], "age": view.age, "into": policy.into},
        reach=_milliseconds(view.cut_off),
        statements=_shown(view),
        reason=f"documents with {view.age} before {view.cut_off:%Y-%m-%d %H:%M} UTC are older than {policy.for_}",
        destructive=True,
        precondition=f"each batch {verb} only documents that are due at that moment, whatever was planned",
        undo=f"none: copy the documents back from {policy.into}" if view.archives else "none but a restore",
        lock="no collection lock; a writer of the same documents waits for one batch, about half a second",
        not_during=("backup",),
        rows=view.due,
        requires=requirement(policy),
        blocked=blocked,
        after=after,
    )


def _shown(view: View) -> tuple[str, ...]:
    """Return the commands of one batch, for reading."""
    due = pipelines.load("due", age=view.age, cut_off=view.cut_off)
    query: Json = {"find": view.subject, "filter": due, "sort": {view.age: 1}, "hint": view.age_index}
    delete: Json = {"delete": view.subject, "deletes": [{"q": {"_id": {"$in": ["…"]}, **due}, "limit": 0}]}
    if not view.archives:
        return (specs.shell({**query, "projection": {"_id": 1}}), specs.shell(delete))
    insert: Json = {"insert": view.policy.into, "documents": ["…"]}
    return ("// one transaction:", specs.shell(query), specs.shell(insert), specs.shell(delete))


def _create_archive(view: View, blocked: tuple[ReasonCode, str] | None) -> Action:
    command = {"create": view.policy.into}
    return Action.make(
        kind="create_archive",
        subject=view.subject,
        detail=str(view.policy.into),
        args=Creation(collection=str(view.policy.into), command=str(catalog.text(command))).written(),
        statements=(specs.shell(command),),
        reason="the archive is not there yet",
        destructive=False,
        precondition="no collection of that name is there",
        undo="it is dropped while it is empty",
        blocked=blocked,
    )


# -- time-series collections -------------------------------------------------------------------------


def _measurements(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    after: tuple[str, ...] = ()
    exposed = bool(view.facts.get("exposed"))
    # needs nobody's approval: to delete less is always allowed, and waiting would lose what is not archived
    if exposed:
        yield _expiry(view, "suspend_expiry", None, None)
    elif view.expires is not None and view.expires < view.wanted:
        yield _expiry(view, "lengthen_expiry", view.wanted, None)
    if view.archives and view.due != 0 and not view.facts.get("archived"):
        if view.archive is None:
            creation = _create_archive(view, blocked)
            yield creation
            after = (creation.id,)
        archive = _archive(view, blocked, after)
        yield archive
        # the server deletes by the expiry at once: it is set only when the archive is complete
        after = (archive.id,)
    if view.expires is None or view.expires > view.wanted or exposed:
        yield _expiry(view, "set_expiry", view.wanted, blocked, after)


def _archive(view: View, blocked: tuple[ReasonCode, str] | None, after: tuple[str, ...]) -> Action:
    row, into = view.row or {}, view.policy.into
    stages = pipelines.load(
        "archive_measurements", time=row["time"], into=into, low="…", high=view.cut_off, matched="keepExisting"
    )
    return Action.make(
        kind="archive_measurements",
        subject=view.subject,
        detail=f"{row['time']} before {view.cut_off:%Y-%m-%d %H:%M} UTC",
        args=Measurements(
            collection=view.subject,
            uuid=row["uuid"],
            time=row["time"],
            cut_off=view.cut_off,
            into=str(into),
            archive=view.archive_id,
        ).written(),
        intent={"uuid": row["uuid"], "time": row["time"], "into": into},
        reach=_milliseconds(view.cut_off),
        statements=(specs.shell({"aggregate": view.subject, "pipeline": stages, "cursor": {}}),),
        reason=f"measurements older than {view.policy.for_} are kept in {into} before the server expires them",
        destructive=False,
        precondition="copies only; what the archive has already is left as it is",
        undo="none needed: nothing is taken away; delete the copies by hand if they are not wanted",
        lock="none",
        rows=view.due,
        blocked=blocked,
        after=after,
    )


def _expiry(
    view: View,
    kind: str,
    seconds: int | None,
    blocked: tuple[ReasonCode, str] | None,
    after: tuple[str, ...] = (),
) -> Action:
    command: Json = {"collMod": view.subject, "expireAfterSeconds": "off" if seconds is None else seconds}
    more = kind == "set_expiry"
    row = view.row or {}
    return Action.make(
        kind=kind,
        subject=view.subject,
        detail="no expiry" if seconds is None else f"expires after {seconds:,} s",
        args=Expiry(
            collection=view.subject,
            uuid=row["uuid"],
            time=row["time"],
            expired_before=view.expired_before,
            expected=None if more and view.facts.get("exposed") else row["expires"],  # suspended just before
            seconds=seconds,
            into=view.policy.into,
            archive=view.archive_id,
        ).written(),
        intent={"uuid": row["uuid"], "time": row["time"], "then": view.policy.then, "into": view.policy.into},
        reach=None if seconds is None else float(-seconds),  # the sooner, the more goes
        statements=(specs.shell(command),),
        reason=_reason(view, kind),
        destructive=more,
        precondition="its expireAfterSeconds is as planned"
        + (", and all that would expire before the next night is in the archive" if more and view.archives else ""),
        undo=UNDO_EXPIRY,
        lock="exclusive for a moment",
        not_during=("backup",) if more else (),
        rows=view.facts.get("expired") if more else None,
        requires=requirement(view.policy) if more else Requirement(),
        blocked=blocked,
        after=after,
    )


def _milliseconds(moment: datetime) -> float:
    """Return a cut-off as a number that orders: milliseconds, as the server's dates count."""
    return (moment - EPOCH) / timedelta(milliseconds=1)


def _reason(view: View, kind: str) -> str:
    if kind == "suspend_expiry":
        return "the server would expire measurements that are not in the archive yet: it stops until they are"
    if kind == "lengthen_expiry":
        return f"the server expires after {view.expires:,} s, sooner than the policy's {view.wanted:,} s"
    kept = f"measurements older than {view.policy.for_}"
    if view.archives:
        kept += f" (and archived, {view.policy.grace} later)"
    return f"{kept} go. {WHY_EXPIRY}"
