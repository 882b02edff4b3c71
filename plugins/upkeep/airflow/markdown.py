"""A plan as Markdown, for the approval task. Names and statements come from databases: all of it is escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upkeep.plan import Action, Plan

MOST_ROWS = 50
"""Actions listed in the approval task; a longer plan names the rest by number and is whole in the report."""
MOST_STATEMENT_CHARACTERS = 600
"""A statement longer than this is shown by its beginning; whole in the report."""


def plan_table(plan: Plan) -> str:
    """Return what waits for approval, as a table and the exact statements below it."""
    actions = plan.awaiting
    destructive = sum(a.destructive for a in actions)
    rows = sum(a.rows or 0 for a in actions)
    about = (
        f"**{text(plan.job)}** on **{text(plan.target)}** ({text(plan.engine)}), as of {plan.at:%Y-%m-%d %H:%M} UTC: "
        f"{len(actions)} change{'s' * (len(actions) != 1)}, {destructive} of them destructive; about {rows:,} rows."
    )
    lines = [
        about,
        "",
        "| what | where | why | rows | lock | undo |",
        "|---|---|---|---:|---|---|",
        *(_row(a) for a in actions[:MOST_ROWS]),
    ]
    if len(actions) > MOST_ROWS:
        lines.append(f"| … | {len(actions) - MOST_ROWS} more, see the report | | | | |")
    lines += ["", "Statements:", "", "```sql"]
    lines += [_statement(s) for a in actions[:MOST_ROWS] for s in a.statements]
    lines += ["```", "", f"Plan `{plan.plan_id}`. The approval counts for exactly this plan, once, for 24 hours."]
    return "\n".join(lines)


def _row(action: Action) -> str:
    kind = action.kind.replace("_", " ") + (" **(destructive)**" if action.destructive else "")
    rows = "unknown" if action.rows is None else f"{action.rows:,}"
    reason = f"{action.reason}; {action.over_limit}" if action.over_limit else action.reason
    where = text(action.subject) + (f" ({text(action.detail)})" if action.detail else "")
    cells = [where, text(reason), rows, text(action.lock), text(action.undo or "cannot be undone")]
    return f"| {kind} | {' | '.join(cells)} |"


def _statement(statement: str) -> str:
    flat = statement.strip()
    shown = flat[:MOST_STATEMENT_CHARACTERS] + (" …" if len(flat) > MOST_STATEMENT_CHARACTERS else "")
    return shown.replace("```", "`\u200b``")


def text(value: str) -> str:
    r"""Return ``value`` with everything escaped that Markdown or HTML would read as markup.

    >>> text("a|b <i>*c*")
    'a\\|b &lt;i&gt;\\*c\\*'
    """
    flat = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#!])", r"\\\1", flat)
