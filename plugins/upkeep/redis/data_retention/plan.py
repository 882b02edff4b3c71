"""What retention would delete from streams, and what a person should know of them. Pure.

Entries are due by the time in their id. None goes that a consumer group has not read and acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.data_retention.limits import over_limit
from upkeep.model import Action, Finding, FindingStatus, Json, Observation, Plan, ReasonCode, Severity
from upkeep.redis.data_retention.view import View, needed, views
from upkeep.redis.session import RIGHTS


def plan(observation: Observation, target: Target) -> Plan:
    """Return what would be deleted from every stream in care."""
    actions: list[Action] = []
    found: list[Finding] = []
    server = observation.frames["server"][0]
    refuses = server.get("refuses")
    if refuses:  # every key would fail alike: said once, and nothing is planned
        found.append(Finding.of("server_refuses", "server", Severity.ERROR, refuses, server["remedy"]))
    for view in views(observation, target):
        refused = refusal(view)
        if refused is not None:
            found.append(refused)
        if view.kind == "stream":
            found += findings(view)
            if view.due != 0 and not refuses:
                actions.append(_action(view, target, refused))
    return Plan.make(observation, actions, found)


def _action(view: View, target: Target, refused: Finding | None) -> Action:
    bound = view.bound
    text = "how many entries would go could not be found out" if view.due is None else None
    if view.due is not None:
        text = over_limit(view.due, view.length, target)
    return Action.make(
        kind="delete_entries",
        subject=view.subject,
        detail=f"added before {view.cut_off:%Y-%m-%d %H:%M} UTC",
        args={
            "key": view.subject,
            "cut_off": str(bound),
            **{name: view.row[name] for name in ("added", "first", "last")},
        },
        intent={"key": view.subject, "then": view.policy.then},
        reach=float(bound.milliseconds),
        statements=(f"XTRIM {_quoted(view.subject)} MINID {bound}",),
        reason=f"entries added before {view.cut_off:%Y-%m-%d %H:%M} UTC are older than {view.policy.for_}",
        destructive=True,
        precondition="each step deletes only entries that every consumer group has acknowledged at that moment",
        undo="none but a restore",
        lock="none; the server is busy for a few milliseconds at a time",
        rows=view.due,
        requires=requirement(view.policy),
        over_limit=text,
        blocked=None if refused is None else (ReasonCode.NOT_SUPPORTED, refused.summary),
    )


def _quoted(name: str) -> str:
    """Return a key as the command line of Redis takes it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


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


def refusal(view: View) -> Finding | None:
    """Return why nothing of the key may be deleted, or ``None``."""
    first = view.first
    if view.kind == "none":
        return None  # the gate says that it is not there
    if view.kind == "unreadable":
        text = "the key's name is no text (UTF-8): it cannot be shown, approved or recorded"
        return _say(view, "kind", Severity.ERROR, text, "rename the key, or narrow the pattern")
    if view.kind == "denied" or view.row.get("denied"):
        text = f"it could not be looked at: {view.row['denied']}"
        remedy = f"grant our user what it needs: ACL SETUSER … {RIGHTS}, and the key"
        return _say(view, "privileges", Severity.ERROR, text, remedy, status=FindingStatus.NOT_AVAILABLE)
    if view.kind != "stream":
        return _say(view, "kind", Severity.ERROR, f"it is a {view.kind}, not a stream", "correct the name")
    if first is not None and (first.is_early or first.is_late(view.now)):
        text = f"its ids are no times: the first one is {first}; nobody knows how old an entry is"
        remedy = "let the server make the ids (XADD key *), or take retain out"
        return _say(view, "ids_are_times", Severity.ERROR, text, remedy, first=str(first))
    if view.row.get("may_trim") is False:
        text = "our user may not delete entries"
        return _say(view, "privileges", Severity.ERROR, text, f"ACL SETUSER … {RIGHTS}, and the key")
    return None


def findings(view: View) -> Iterator[Finding]:
    """Yield what else a person should know of a stream."""
    yield from _held(view)
    last = view.last
    if last is not None and last.is_late(view.now) and refusal(view) is None:
        text = (
            f"its last id, {last}, is in the future: the server makes no lower ones, so new entries never come of age"
        )
        remedy = "find the writer whose clock is wrong; XSETID lowers the last id once its entries are gone"
        yield _say(view, "future_entries", Severity.WARNING, text, remedy, last=str(last))
    lives = view.row.get("lives_ms")
    if lives is not None:
        text = f"the key itself expires in {lives / 1000:,.0f} s: the server then deletes all entries, young ones too"
        yield _say(view, "key_expires", Severity.ERROR, text, f"PERSIST {_quoted(view.subject)}", seconds=lives / 1000)
    policy = view.server["evicts"]
    if policy.startswith("allkeys"):
        text = f"the server may evict the whole stream when its memory is full (maxmemory-policy {policy})"
        remedy = "set maxmemory-policy to noeviction or volatile-lru"
        yield _say(view, "may_be_evicted", Severity.WARNING, text, remedy)


def _held(view: View) -> Iterator[Finding]:
    held = view.row.get("held", 0)
    if held == 0 or refusal(view) is not None:
        return
    groups = [g for g in view.row["groups"] if (need := needed(g)) is not None and need < view.wanted]
    names = ", ".join(f"'{g['name']}' ({_needs(g)})" for g in groups)
    amount = "due entries" if held is None else f"{held:,} due entries"
    text = f"{amount} stay: not every consumer group has acknowledged them: {names}"
    remedy = (
        "let the group read on and acknowledge (XACK; XAUTOCLAIM also forgets pending entries that are deleted), "
        "or remove a group that nobody uses: XGROUP DESTROY"
    )
    yield _say(view, "held_by_group", Severity.WARNING, text, remedy, held=held, groups=[g["name"] for g in groups])


def _needs(group: Json) -> str:
    pending = group["pending"]
    parts = [f"has read up to {group['read_to']}"] if group["unread_from"] is not None else []
    return " and ".join([*parts, *([f"{pending:,} pending"] if pending else [])])
