"""What people read on a terminal: reports, plans, pending approvals, checks. No decisions here.

Nothing is drawn around a text, so that it can be copied; what is long is wrapped, statements are not.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from upkeep import brief, words
from upkeep.brief import Alike
from upkeep.jobs.spec import JOBS
from upkeep.model import (
    ENGINES,
    Action,
    Finding,
    FindingStatus,
    Outcome,
    OutcomeStatus,
    PlanState,
    RunReport,
    Severity,
    TargetReport,
)
from upkeep.words import Word, count

if TYPE_CHECKING:
    from upkeep.ledger import OpenIssue, PendingPlan, RunRecord, RunSummary

PIPE_COLUMNS: Final = 120
"""Width of what does not go to a terminal: a log, a file, a page of CI."""
_STYLES: Final = {"good": "green", "warn": "yellow", "bad": "red", "wait": "cyan", "quiet": "dim"}
_OUTCOME_WIDTH: Final = 14  # "needs approval"
_NARROWEST: Final = 20
_NAMED: Final = 4
"""Names in a line that stands for many."""
_SHORT: Final = 10
"""Characters of a fingerprint that are enough to name one of very many."""


def screen(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal; where there is none, wide enough to read."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_COLUMNS
    return made


def say(console: Console, text: str, tone: str = "", *, indent: int = 0, wrap: bool = True) -> None:
    """Print a text."""
    _put(console, Text(words.visible(text), style=_STYLES.get(tone, tone)), indent, wrap=wrap)


def _put(console: Console, text: Text, indent: int = 0, *, hang: int = 0, wrap: bool = True) -> None:
    """Print a text, its further lines indented by ``hang`` more; nothing is filled up with spaces."""
    if not wrap:
        console.print(Text(" " * indent).append_text(text), soft_wrap=True)
        return
    width = max(_NARROWEST, console.width - indent - hang)
    for number, line in enumerate(text.wrap(console, width)):
        line.rstrip()
        console.print(Text(" " * (indent + hang * bool(number))).append_text(line), soft_wrap=True)


def report(
    console: Console, run: RunReport, *, statements: bool = False, record: RunRecord | None = None, whole: bool = False
) -> None:
    """Print a run: what came of it in a line or two, then the targets that somebody must read about.

    Parameters
    ----------
    record
        How it was begun, where that is not known to the reader.
    whole
        Whether the healthy targets are told in full too, though there are others.
    """
    head = f"{words.plain(run.job)}, run {run.run_id}, as of {words.moment(run.at)}"
    say(console, head, "bold", wrap=False)
    if record is not None:
        say(console, begun(record), "dim", wrap=False)
    for note in run.notes:
        say(console, f"note: {note}", "warn")
    for finding in run.findings:
        show_finding(console, finding)
    say(console, brief.line(run.targets))
    looked = run.job in JOBS and JOBS[run.job].looks_only
    if not run.targets and run.job in JOBS and not looked:
        say(console, f"no target of the fleet file declared anything for {words.plain(run.job)}", "warn")
    ordered = sorted(run.targets, key=lambda t: (words.ATTENTION.index(t.status), t.target))
    short = {t.target: t for t in ordered if brief.healthy(t)} if len(ordered) > 1 and not whole else {}
    for target in ordered:
        if target.target not in short or target.actions:
            _target(console, target, statements=statements, short=target.target in short, looked=looked)
    idle = [t for t in short.values() if not t.actions]
    if idle:
        told = sum(f.status is not FindingStatus.OK for t in idle for f in t.findings)
        more = f"; {count(told)} INFO: upkeep show {run.run_id} --all" if told else ""
        console.print()
        say(console, f"{'well' if looked else 'nothing to do'}: {names([t.target for t in idle])}{more}", "good")


def begun(run: RunRecord | RunSummary) -> str:
    """Return how a run was begun, and how long it took."""
    took = f"took {words.duration(run.finished_at - run.started_at)}" if run.finished_at else words.UNFINISHED[0]
    only = "; plan only" if run.options.get("plan_only") else ""
    return f"begun by {run.trigger} ({run.actor}) at {words.moment(run.started_at)}, {took}{only}"


def names(found: Sequence[str]) -> str:
    """Return names in a line; of many, how many there are and the first and last."""
    if len(found) <= _NAMED:
        return ", ".join(found)
    return f"{count(len(found))} targets ({', '.join(found[: _NAMED - 1])} … {found[-1]})"


def _target(console: Console, target: TargetReport, *, statements: bool, short: bool, looked: bool) -> None:
    word, tone = words.STATUS[target.status]
    heading = Text.assemble((words.visible(target.target), "bold"), f" ({target.engine}): ", (word, _STYLES[tone]))
    if not short:
        console.print()
    console.print(heading, soft_wrap=True)
    if target.plan_state is not None:
        word, tone = words.fate(target.plan_state)
        say(console, f"plan {target.plan_id} {word}", tone, indent=2)
    if target.error:
        say(console, target.error, "bad", indent=2)
    for finding in words.by_weight(target.findings):
        if finding.status is not FindingStatus.OK and not short:
            show_finding(console, finding)
    for alike in brief.fold(target.actions, target.outcomes):
        _actions(console, alike, short=short)
    if not short:
        _gates(console, target, looked=looked)
    if statements:
        _statements(console, target)


def _gates(console: Console, target: TargetReport, *, looked: bool) -> None:
    for gate in target.gates:
        left_out = f"; left undone on purpose, so not looked at: {', '.join(gate.left_out)}" if gate.left_out else ""
        verdict = "passed" if gate.success else f"{len(gate.failed)} not met"
        text = f"gate {gate.stage}: {verdict} ({gate.evaluated} expectations{left_out})"
        say(console, text, "dim" if gate.success else "bad", indent=2)
        for failure in gate.failed:
            say(console, failure.summary, indent=4)
            if failure.remedy:
                say(console, f"→ {failure.remedy}", "dim", indent=6)
    if not looked and target.plan_id and not (target.gates or target.error or target.actions):
        say(console, "gate before: not evaluated, since nothing would be changed", "dim", indent=2)


def _actions(console: Console, alike: Alike, *, short: bool) -> None:
    action, ended = alike.actions[0], alike.outcomes[0]
    word, tone = words.outcome(action, ended)
    numbers = [f"{'~' * alike.estimated}{count(alike.rows)} rows"] if alike.rows else []
    numbers += [words.duration(timedelta(seconds=alike.seconds))] if alike.seconds else []
    numbers += [f"needs {words.needs(action)}"] if ended is None and action.needs_person else []
    head = Text.assemble(
        (word.ljust(_OUTCOME_WIDTH), _STYLES[tone]),
        " ",
        (words.visible(f"{words.plain(action.kind)} {action.subject}"), "bold"),
        words.visible(f", {alike.detail}" if short and alike.detail else ""),
        f": {', '.join(numbers)}" if numbers else "",
    )
    _put(console, head, 2, hang=_OUTCOME_WIDTH + 1)
    if not short:
        say(console, " – ".join(filter(None, (alike.detail, _why(action, ended)))), "dim", indent=3 + _OUTCOME_WIDTH)


def _why(action: Action, ended: Outcome | None) -> str:
    message = ended.message if ended else action.blocked[1] if action.blocked else None
    if ended and ended.status is OutcomeStatus.FAILED:
        return message or action.reason
    return "; ".join(dict.fromkeys(filter(None, (action.reason, message or action.over_limit))))


def _statements(console: Console, target: TargetReport) -> None:
    """Print what can be copied into a client as it is: nothing is wrapped, each statement ends."""
    engine = ENGINES[target.engine]
    comment, end = engine.comment, engine.statement_end
    explained = words.explains(s for a in target.actions for s in a.statements)
    if explained:
        console.print()
        say(console, f"{comment} {explained}", wrap=False)
    for action in target.actions:
        console.print()
        about = " ".join(
            words.visible(f"{target.target}: {words.plain(action.kind)} {action.subject} {action.detail}").split()
        )
        say(console, f"{comment} {about}", wrap=False)
        for statement in action.statements:
            lines = statement.strip().rstrip(";").splitlines()
            text = "\n".join(lines)
            if end and not all(line.lstrip().startswith("--") for line in lines):
                text += f"\n{end}" if "--" in lines[-1] else end
            say(console, text, wrap=False)


def show_finding(console: Console, finding: Finding) -> None:
    """Print a finding, with what to do."""
    word, tone = words.finding(finding)
    state = "" if finding.status is FindingStatus.FINDING else f" ({words.plain(finding.status.value)})"
    life = words.life(finding)
    text = Text.assemble(
        (f"{word}{state}", _STYLES[tone]),
        (f" {life}:" if life else "", "dim"),
        " ",
        (words.visible(finding.subject), "bold"),
        " ",
        words.visible(finding.summary),
    )
    _put(console, text, 2, hang=2)
    if finding.remedy and finding.state != "mended":
        say(console, f"→ {finding.remedy}", "dim", indent=4)


def pending(console: Console, entry: PendingPlan) -> None:
    """Print a plan that waits for a person."""
    plan = entry.plan
    word, tone = standing(entry)
    asked = f" ({words.asked(plan.request)})" if plan.request else ""
    say(console, f"{plan.plan_id}  {words.plain(plan.job)} on {plan.target}{asked}", "bold", wrap=False)
    say(console, word, tone, indent=2)
    say(console, f"planned by run {entry.run_id} at {words.moment(entry.created_at)}", "dim", indent=2)
    for alike in brief.fold(plan.awaiting, ()):
        _actions(console, alike, short=False)


def standing(entry: PendingPlan) -> Word:
    """Return where a plan stands."""
    at = entry.expires_at if entry.state.value == "expired" else entry.decided_at
    return words.fate(PlanState(state=entry.state.value, planned_by=entry.run_id, by=entry.decided_by, at=at))


def run_line(console: Console, run: RunSummary) -> None:
    """Print a line of the list of runs."""
    took = words.duration(run.finished_at - run.started_at) if run.finished_at else words.UNFINISHED[0]
    found = {name: words.state(state)[0] for name, state in run.targets.items()}
    states = [f"{name}: {word}" for name, word in found.items()]
    if len(found) > _NAMED:
        alike = {word: [name for name, other in found.items() if other == word] for word in found.values()}
        states = [
            f"{len(some)} {word}" + (f" ({names(some)})" if len(some) < _NAMED else "") for word, some in alike.items()
        ]
    only = "plan only; " if run.options.get("plan_only") else ""
    head = f"{run.run_id}  {run.job:18}  {run.trigger} by {run.actor}, {took}"
    say(console, f"{head}  {only}{', '.join(states) or 'no target'}", wrap=False)


def issues(
    console: Console,
    found: Sequence[OpenIssue],
    looks: Sequence[Mapping[str, Any]],
    left: Collection[tuple[str, str]] = (),
) -> None:
    """Print what is open, and what ended lately; where nothing is, who has looked.

    Parameters
    ----------
    left
        Targets and jobs that are in the fleet file no more: nobody looks whether their findings stand.
    """
    standing = [entry for entry in found if entry.issue.open]
    if standing:
        counts = Counter(entry.issue.severity for entry in standing)
        parts = [f"{counts[s]} {s.value}" for s in reversed(Severity) if counts[s]]
        known = sum(entry.acknowledged for entry in standing)
        parts += [f"{known} of them acknowledged"] if known else []
        say(console, f"{words.counted(len(standing), 'finding')}: {', '.join(parts)}", "bold")
    elif looks:
        newest = max(row["at"] for row in looks)
        names_ = names(list(dict.fromkeys(row["target"] for row in looks)))
        say(console, f"nothing is open; last looked at {words.moment(newest)}: {names_}", "good")
    else:
        say(console, "nothing is open, but no run has looked in the last two days", "warn")
    for entry in found:
        _issue(console, entry, left=entry.issue.open and (entry.issue.target, entry.issue.job) in left)


def _issue(console: Console, entry: OpenIssue, *, left: bool) -> None:
    issue = entry.issue
    word, tone = issue.severity.value, words.SEVERITY[issue.severity]
    if not issue.open:
        word, tone = ("mended", "good") if issue.gone_by == "mended" else ("gone", "good")
    elif entry.acknowledged:
        word, tone = f"{word} (acknowledged)", "quiet"
    elif issue.unseen:
        word = f"{word} ({words.plain(issue.status.value)})"
    head = Text.assemble(
        (word, _STYLES[tone]),
        " ",
        (words.visible(f"{issue.check} of {issue.subject}"), "bold"),
        words.visible(f" on {issue.target}, {words.plain(issue.job)}"),
        (f"  {issue.fingerprint[:_SHORT]}", "dim"),
    )
    _put(console, head, hang=2)
    say(console, issue.summary, indent=2)
    if issue.remedy and issue.open:
        say(console, f"→ {issue.remedy}", "dim", indent=2)
    ended = f"{issue.gone_by} {words.moment(issue.gone_at)} (run {issue.gone_run})" if issue.gone_at else ""
    last = f"last seen {words.moment(entry.last_seen)}"
    say(console, f"since {words.moment(issue.first_seen)}, {ended or last}", "dim", indent=2, wrap=False)
    if left:
        text = f"the fleet file declares no {words.plain(issue.job)} of {issue.target} any more: nobody looks at it"
        say(console, text, "warn", indent=2)
    if entry.acknowledged and issue.acknowledged_until is not None:
        by = f"acknowledged by {issue.acknowledged_by} until {words.moment(issue.acknowledged_until)}"
        say(console, f"{by}: {issue.acknowledged_why}", "dim", indent=2)
