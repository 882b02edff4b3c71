"""A plan as Markdown, for the approval task. Names and statements come from databases: all of it is escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upkeep import brief, words
from upkeep.model import ENGINES

if TYPE_CHECKING:
    from upkeep.model import Action, Plan

MOST_ROWS = 5
"""Actions listed in the question: the buttons are below it and within reach. The plan is whole on its tab."""
MOST_LINES = 12
"""Of statements in the question, for the same reason."""
MOST_CHARACTERS = 60_000
"""Of statements in the question: an action is shown with all of its statements, each whole, or on the tab only."""


def plan_table(plan: Plan, tab: str = "", planned: str = "") -> str:
    """Return what waits for approval: what is asked, the first actions, and their statements where there is room.

    Parameters
    ----------
    tab
        Address of the page that shows the plan whole.
    planned
        Address of the report of the run that planned it.
    """
    actions = plan.awaiting
    destructive = sum(a.destructive for a in actions)
    rows = sum(a.rows or 0 for a in actions)
    unknown = sum(a.rows is None for a in actions)
    about = (
        f"**{text(plan.job)}** on **{text(plan.target)}** ({text(plan.engine)}), as of {plan.at:%Y-%m-%d %H:%M} UTC: "
        f"{len(actions)} change{'s' * (len(actions) != 1)}, {destructive} of them destructive; about {rows:,} rows"
        f"{f', and an unknown number in {unknown} of the changes' if unknown else ''}."
    )
    ways = [_link("All of it, with every statement", tab), _link("the report of the run that planned it", planned)]
    lines = [
        f"{about} {' · '.join(w for w in ways if w.startswith('['))}",
        "",
        "| what | why | rows | lock, and the way back |",
        "|---|---|---:|---|",
        *(_row(n, a) for n, a in enumerate(actions[:MOST_ROWS], 1)),
    ]
    if rest := actions[MOST_ROWS:]:
        alike = [f"{_what(g.actions[0])}: {text(g.detail)}" for g in brief.fold(rest, ()) if g.detail][:MOST_ROWS]
        lines.append(f"| … {_link(f'{len(rest)} more, see the report', tab)} {'; '.join(alike)} | | | |")
    lines += ["", *_statements(plan, tab)]
    over = (
        f"{_link('The report', tab)} says what became of it; when a newer plan takes its place, this task is skipped."
    )
    lines += ["", f"Plan `{plan.plan_id}`. The approval counts for exactly this plan, once, for 24 hours. {over}"]
    return "\n".join(lines)


def _statements(plan: Plan, tab: str) -> list[str]:
    """Return the statements of as many actions as there is room for, and where those of the others are."""
    comment, room = ENGINES[plan.engine].comment, MOST_LINES
    block: list[str] = []
    shown, hidden = [], []
    for n, action in enumerate(plan.awaiting, 1):
        statements = [_code(s.strip()) for s in action.statements]
        size = sum(s.count("\n") + 1 for s in statements)
        if n > MOST_ROWS or size > room or sum(map(len, (*block, *statements))) > MOST_CHARACTERS:
            hidden.append(action)
            continue
        room -= size
        shown.append(action)
        block += [f"{comment} {n}. {words.plain(action.kind)}", *statements] if statements else []
    told = ["Statements:", *(["", "```sql", *block, "```"] if block else [])]
    explained = words.explains(s for a in shown for s in a.statements)
    if explained:
        told += ["", text(explained)]
    if hidden:
        number = brief.many(sum(len(a.statements) for a in hidden), "statement")
        fit = f"**{number} of {brief.many(len(hidden), 'change')} do not fit here: read them first.**"
        told += ["", f"{fit} {_link('All of them, whole, are in the report', tab)}."]
    return told


def _code(statement: str) -> str:
    """Return a statement as it may stand in a block of code: nothing in it ends the block."""
    return words.visible(statement).replace("```", "`\u200b``")


def _link(label: str, address: str) -> str:
    return f"[{label}]({address})" if address else label


def _what(action: Action) -> str:
    return f"{text(words.plain(action.kind))} {text(action.subject)}"


def _row(number: int, action: Action) -> str:
    kind = _what(action) + (" **(destructive)**" if action.destructive else "")
    detail = f", {text(action.detail)}" if action.detail else ""
    rows = "unknown" if action.rows is None else f"{action.rows:,}"
    reason = f"{action.reason}; {action.over_limit}" if action.over_limit else action.reason
    back = "; ".join(filter(None, (action.lock, action.undo or "cannot be undone")))
    return f"| {number}. {kind}{detail} | {text(reason)} | {rows} | {text(back)} |"


def text(value: str) -> str:
    r"""Return ``value`` with everything escaped that Markdown or HTML would read as markup.

    >>> text("a|b <i>*c*")
    'a\\|b &lt;i&gt;\\*c\\*'
    """
    flat = words.visible(words.seconds(" ".join(value.split())))
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#!])", r"\\\1", flat)
