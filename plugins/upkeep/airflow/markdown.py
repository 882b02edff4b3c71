"""A plan as Markdown, for the approval task. Names and statements come from databases: all of it is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upkeep import words

if TYPE_CHECKING:
    from upkeep.model import Action, Plan

MOST_ROWS = 50
"""Actions listed in the approval task; a longer plan is whole on its tab, which the question links."""
MOST_CHARACTERS = 60_000
"""Of statements in the question: an action is shown with all of its statements, each whole, or on the tab only."""


def plan_table(plan: Plan, tab: str = "") -> str:
    """Return what waits for approval, as a table and the exact statements below it.

    Parameters
    ----------
    tab
        Address of the page that shows the plan whole.
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
    lines = [
        about,
        "",
        "| no. | what | where | why | rows | lock | undo |",
        "|---:|---|---|---|---:|---|---|",
        *(_row(n, a) for n, a in enumerate(actions[:MOST_ROWS], 1)),
    ]
    if len(actions) > MOST_ROWS:
        lines.append(f"| | … | {_link(f'{len(actions) - MOST_ROWS} more, see the report', tab)} | | | | |")
    lines += ["", *_statements(actions, tab)]
    lines += ["", f"Plan `{plan.plan_id}`. The approval counts for exactly this plan, once, for 24 hours."]
    return "\n".join(lines)


def _statements(actions: Sequence[Action], tab: str) -> list[str]:
    """Return the statements of as many actions as there is room for, and where those of the others are."""
    left, lines, hidden, number = MOST_CHARACTERS, ["Statements:"], 0, 0
    for n, action in enumerate(actions, 1):
        size = sum(map(len, action.statements))
        if n > MOST_ROWS or size > left:
            hidden += 1
            number += len(action.statements)
            continue
        left -= size
        if action.statements:
            shown = (words.visible(s.strip()).replace("```", "`\u200b``") for s in action.statements)
            lines += ["", f"{n}\\. {_what(action)} {text(action.subject)}", "", "```sql", *shown, "```"]
    explained = words.explains(s for a in actions for s in a.statements)
    if explained:
        lines += ["", text(explained)]
    if hidden:
        where = _link("All of them, whole, are in the report", tab)
        lines += ["", f"**{number:,} statements of {hidden:,} changes do not fit here: read them first.** {where}."]
    return lines


def _link(label: str, address: str) -> str:
    return f"[{label}]({address})" if address else label


def _what(action: Action) -> str:
    return text(action.kind.replace("_", " "))


def _row(number: int, action: Action) -> str:
    kind = _what(action) + (" **(destructive)**" if action.destructive else "")
    rows = "unknown" if action.rows is None else f"{action.rows:,}"
    reason = f"{action.reason}; {action.over_limit}" if action.over_limit else action.reason
    where = text(action.subject) + (f" ({text(action.detail)})" if action.detail else "")
    cells = [where, text(reason), rows, text(action.lock), text(action.undo or "cannot be undone")]
    return f"| {number} | {kind} | {' | '.join(cells)} |"


def text(value: str) -> str:
    r"""Return ``value`` with everything escaped that Markdown or HTML would read as markup.

    >>> text("a|b <i>*c*")
    'a\\|b &lt;i&gt;\\*c\\*'
    """
    flat = words.visible(" ".join(value.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#!])", r"\\\1", flat)
