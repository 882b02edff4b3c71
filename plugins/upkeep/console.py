"""What people read on a terminal: reports, plans, pending approvals, checks. No decisions here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from upkeep.plan import (
    Action,
    Finding,
    FindingStatus,
    GateResult,
    Outcome,
    OutcomeStatus,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

_STATUS_STYLE: Mapping[TargetStatus, str] = {
    TargetStatus.OK: "green",
    TargetStatus.NOTHING_TO_DO: "green",
    TargetStatus.PARTIAL: "yellow",
    TargetStatus.AWAITING_APPROVAL: "cyan",
    TargetStatus.FAILED: "red",
    TargetStatus.UNREACHABLE: "red",
    TargetStatus.PAUSED: "yellow",
    TargetStatus.OBSERVED: "cyan",
    TargetStatus.PLANNED: "cyan",
    TargetStatus.NOT_SUPPORTED: "yellow",
}
_SEVERITY_STYLE: Mapping[Severity, str] = {
    Severity.INFO: "dim",
    Severity.WARNING: "yellow",
    Severity.ERROR: "red",
    Severity.CRITICAL: "bold red",
}
_MARK: Mapping[OutcomeStatus, tuple[str, str]] = {
    OutcomeStatus.DONE: ("done", "green"),
    OutcomeStatus.SKIPPED: ("skipped", "yellow"),
    OutcomeStatus.FAILED: ("failed", "red"),
}


PIPE_COLUMNS: Final = 120
"""Width of what does not go to a terminal: a log, a file, a page of CI."""


def screen(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal; where there is none, wide enough for the tables."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_COLUMNS
    return made


def title(word: str) -> str:
    """Return a code word as people read it (``awaiting_approval`` → ``awaiting approval``)."""
    return word.replace("_", " ")


def count(number: int | None) -> str:
    """Return a number with thin grouping, or a dash when unknown.

    >>> count(1234567), count(None)
    ('1 234 567', '–')
    """
    return "–" if number is None else f"{number:,}".replace(",", " ")


def seconds(value: float) -> str:
    """Return a duration as people read it.

    >>> seconds(0.0123), seconds(7.25), seconds(3725)
    ('12 ms', '7.2 s', '1 h 02 min')
    """
    minutes, rest = divmod(value, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {int(rest):02d} s"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def instant(moment: datetime | None) -> str:
    """Return an instant to the second, in UTC, or a dash."""
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def report(console: Console, run: RunReport, *, statements: bool = False) -> None:
    """Print a run: each target's plan, gates, outcomes and findings."""
    console.print()
    console.print(
        Text.assemble(
            ("Run ", "dim"),
            (run.run_id, "bold"),
            ("  ", ""),
            (title(run.job), "bold"),
            (f"  at {instant(run.at)}", "dim"),
        )
    )
    for target in run.targets:
        console.print(_target(target, statements=statements))


def _target(target: TargetReport, *, statements: bool) -> RenderableType:
    style = _STATUS_STYLE[target.status]
    parts: list[RenderableType] = []
    if target.error:
        parts.append(Text(target.error, style="red"))
    parts += [Text(line) for line in _gates(target.gates)]
    if target.actions:
        parts.append(_actions(target.actions, target.outcomes))
    if statements:
        parts += [Text(f"  {s.strip()}", style="dim") for a in target.actions for s in a.statements]
    notable = sorted((f for f in target.findings if f.status is not FindingStatus.OK), key=lambda f: -f.severity.rank)
    parts += [_finding(f) for f in notable]
    if not parts:
        parts.append(Text("everything is as declared", style="dim"))
    heading = f"[bold]{escape(target.target)}[/] ({target.engine})  [{style}]{title(target.status.value)}[/]"
    if target.plan_id and target.status is TargetStatus.AWAITING_APPROVAL:
        heading += f"  plan {target.plan_id}"
    return Panel(Group(*parts), title=heading, title_align="left", border_style=style)


def _gates(gates: Iterable[GateResult]) -> Iterable[str]:
    for gate in gates:
        verdict = "passed" if gate.success else "FAILED"
        left_out = f"; left undone on purpose, so not looked at: {', '.join(gate.left_out)}" if gate.left_out else ""
        yield f"gate {gate.stage}: {verdict} ({gate.evaluated} expectations{left_out})"
        for failure in gate.failed:
            yield f"   ✗ {failure.summary}" + (f" → {failure.remedy}" if failure.remedy else "")


def _actions(actions: Sequence[Action], outcomes: Sequence[Outcome]) -> Table:
    by_id = {o.action_id: o for o in outcomes}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("what", "outcome"):
        table.add_column(column, overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for action in actions:
        outcome = by_id.get(action.id)
        what = Text.assemble((title(action.kind), "bold"), f" {action.subject}")
        if action.detail:
            what.append(f"\n  {action.detail}", style="dim")
        table.add_row(what, *_outcome(action, outcome))
    return table


def _outcome(action: Action, outcome: Outcome | None) -> tuple[RenderableType, ...]:
    if outcome is None:
        text = Text("waits for approval", style="cyan") if action.needs_person else Text("planned")
        if action.blocked:
            text = Text(title(action.blocked[0].value), style="yellow")
        return text, _estimate(action.rows), "", _reason(action)
    word, style = _MARK[outcome.status]
    label = word if outcome.reason_code is None else f"{word}: {title(outcome.reason_code.value)}"
    why = outcome.message or action.reason
    if outcome.status is OutcomeStatus.DONE and outcome.message:
        why = f"{action.reason}\n{outcome.message}"
    rows = count(outcome.rows) if outcome.rows is not None else _estimate(action.rows)
    return Text(label, style=style), rows, seconds(outcome.seconds), why


def _estimate(rows: int | None) -> str:
    return f"~{count(rows)}" if rows else ""


def _reason(action: Action) -> str:
    if action.blocked:
        return action.blocked[1]
    return f"{action.reason}; {action.over_limit}" if action.over_limit else action.reason


def _finding(finding: Finding) -> Text:
    state = "" if finding.status is FindingStatus.FINDING else f" ({title(finding.status.value)})"
    text = Text.assemble(
        (f"{finding.severity.value}{state} ", _SEVERITY_STYLE[finding.severity]),
        (finding.subject, "bold"),
        f" {finding.summary}",
    )
    if finding.remedy:
        text.append(f"\n     → {finding.remedy}", style="dim")
    return text


def findings(console: Console, heading: str, found: Sequence[Finding]) -> None:
    """Print a list of findings under a heading, all of them, the good ones too."""
    console.print(Text(heading, style="bold"))
    for finding in found:
        if finding.status is FindingStatus.OK:
            console.print(Text.assemble(("  ok ", "green"), f"{finding.subject} {finding.summary}"))
        else:
            console.print(Text("  ").append_text(_finding(finding)))
