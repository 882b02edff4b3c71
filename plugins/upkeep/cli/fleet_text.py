"""How the databases are, as people read it on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from upkeep import words
from upkeep.cli import console
from upkeep.cli.base import command, out
from upkeep.ledger import OpenIssue
from upkeep.run import fleet_coming, fleet_view
from upkeep.run.fleet_cells import Cell, ago, stamp
from upkeep.run.fleet_needs import Need
from upkeep.run.fleet_view import FleetView, TargetLine

_FOLDED: Final = {"minor": "of severity INFO", "acknowledged": "acknowledged"}
_MOST: Final = 20
"""Needs and findings told one by one."""


def show(view: FleetView, path: Path | None) -> None:
    """Print how the databases are."""
    console.say(out, f"{words.SYMBOL[view.verdict[1]]} {view.verdict[0]}", view.verdict[1])
    console.say(out, f"as of {stamp(view.at)}", "dim")
    if view.paused:
        console.say(out, f"{view.paused}: nothing is changed anywhere", "wait")
    _needs(view.needs, path)
    _head("databases")
    for target in view.shown:
        _target(target)
    if view.folded:
        console.say(
            out, f"{words.SYMBOL['good']} well: {console.names([t.name for t in view.folded])}", "good", indent=2
        )
    _findings(view, path)
    _restores(view)
    _headroom(view)
    _coming(view)


def _head(text: str) -> None:
    out.print()
    console.say(out, text, "bold")


def _needs(needs: Sequence[Need], path: Path | None) -> None:
    if not needs:
        return
    _head("needs you")
    for need in needs[:_MOST]:
        console.say(out, f"{words.SYMBOL[need.tone]} {need.title}", need.tone, indent=2)
        for detail in need.details:
            console.say(out, detail, indent=6)
        if need.more:
            console.say(out, f"and {need.more} more", "dim", indent=6)
        for arguments in _ways(need):
            console.say(out, f"→ {command(path, *arguments)}", "dim", indent=6, wrap=False)
    if needs[_MOST:]:
        console.say(out, f"and {len(needs) - _MOST} more: upkeep status --json", "dim", indent=2)


def _ways(need: Need) -> Iterable[Sequence[str]]:
    """Yield the commands with which to go on."""
    if need.plan_id:
        yield ("pending",)
        yield "run", need.job, "--approve", need.plan_id
    else:
        yield from (("show", run_id) for run_id in dict.fromkeys(need.runs.values()))


def _target(target: TargetLine) -> None:
    word, tone = fleet_view.VERDICTS[target.verdict]
    console.say(out, f"{words.SYMBOL[tone]} {target.name} ({target.engine}): {word}", tone, indent=2)
    for note in target.notes:
        console.say(out, f"{words.SYMBOL['wait']} {note}", "wait", indent=4)
    for cell in target.cells:
        if cell is not None:
            _cell(cell)


def _cell(cell: Cell) -> None:
    age = f", {ago(cell.age)}" if cell.age is not None else ""
    run = f"  {cell.run_id}" if cell.run_id else ""
    hint = f" – {cell.hint}" if cell.hint else ""
    text = f"{words.SYMBOL[cell.tone]} {words.plain(cell.job):20}{cell.word}{age}{hint}{run}"
    console.say(out, text, cell.tone, indent=4, wrap=False)


def _findings(view: FleetView, path: Path | None) -> None:
    if not (view.new or view.standing or view.minor or view.acknowledged):
        return
    _head("findings")
    shown: list[tuple[str, OpenIssue]] = [("new", e) for e in view.new]
    shown += [("", e) for e in view.standing]
    for new, entry in shown[:_MOST]:
        issue = entry.issue
        since = new or f"since {stamp(issue.first_seen)}"
        tone = words.SEVERITY[issue.severity]
        text = f"{words.SYMBOL[tone]} {issue.severity.value} {issue.target}, {issue.subject}: {issue.summary} ({since})"
        console.say(out, text, tone, indent=2)
        if issue.remedy:
            console.say(out, f"→ {issue.remedy}", "dim", indent=6)
    more = [f"{len(shown) - _MOST} more"] if shown[_MOST:] else []
    more += [f"{len(entries)} {word}" for name, word in _FOLDED.items() if (entries := getattr(view, name))]
    told = f"{', '.join(more)}: " if more else "evidence: "
    console.say(out, f"{told}{command(path, 'findings')}", "dim", indent=2, wrap=False)


def _restores(view: FleetView) -> None:
    """Say for each database whether it could be restored; those that nobody wants backed up are left out."""
    told = [target.restore for target in view.targets]
    if not told:
        return
    _head("could we restore right now?")
    for found in told:
        point = f": {stamp(found.at)}, {ago(view.at - found.at)}" if found.at else ""
        took = f", restored in {found.seconds:,.0f} s" if found.seconds is not None else ""
        tone = "dim" if found.tone == "soft" else found.tone
        symbol = words.SYMBOL.get(found.tone, " ")
        console.say(out, f"{symbol} {found.target}: {found.word}{point}{took}", tone, indent=2)
        for note in found.notes:
            console.say(out, note, "dim", indent=6)


def _headroom(view: FleetView) -> None:
    ends = sorted((t.headroom, t.name) for t in view.targets if t.headroom is not None)
    if not ends:
        out.print()
        console.say(out, fleet_view.UNKNOWN_REACH, "dim")
        return
    _head("partitions reach until")
    for (end, subject), name in ends:
        days = (end - view.at).days
        console.say(out, f"{name}: {days} days, {stamp(end)} ({subject})", indent=2)


def _coming(view: FleetView) -> None:
    _head("next")
    for coming in view.coming:
        every = f", {fleet_coming.often(coming.every)}" if coming.every and coming.every < fleet_view.NEW else ""
        at = f"scheduled for {stamp(coming.at)}{every}" if coming.at else coming.note
        waits = f"; {words.counted(coming.waiting, 'plan')} of it for your approval" if coming.waiting else ""
        targets = console.names(list(coming.targets))
        console.say(out, f"{words.plain(coming.job):20}{at}: {targets}{waits}", indent=2)
