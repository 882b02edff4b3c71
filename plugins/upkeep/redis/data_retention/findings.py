"""What retention reports of a stream besides its actions: what stays although it is due, what else deletes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upkeep.model import Finding, Json, Severity
from upkeep.redis.data_retention.checks import refusal
from upkeep.redis.data_retention.view import View, needed
from upkeep.redis.streams import quoted


def _say(view: View, check: str, severity: Severity, summary: str, remedy: str, **evidence: Any) -> Finding:
    return Finding.of(check, view.subject, severity, summary, remedy, evidence=evidence)


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
        yield _say(view, "key_expires", Severity.ERROR, text, f"PERSIST {quoted(view.subject)}", seconds=lives / 1000)
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
