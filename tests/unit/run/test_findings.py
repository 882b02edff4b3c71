"""What a look does to the lives of findings: only what could be seen, and is not there, ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from upkeep.ledger import RunRecord
from upkeep.model import (
    Finding,
    FindingStatus,
    Issue,
    IssueEvent,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
    fingerprint,
)
from upkeep.run import findings, rules, settling
from upkeep.run.findings import EVERYTHING, Look

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
JOB, TARGET = "partition_creation", "shop"
UNSEEN = {"status": FindingStatus.NOT_AVAILABLE}


def finding(check: str = "default_rows", subject: str = "app.t", severity: str = "WARNING", **other: Any) -> Finding:
    return Finding.of(check, subject, Severity(severity), f"{check} of {subject}", **other)


def key(of: Finding) -> str:
    return fingerprint(TARGET, JOB, of)


def known(*of: Finding, days: int = 3, **other: Any) -> dict[str, Issue]:
    return {
        key(f): Issue(
            fingerprint=key(f),
            target=TARGET,
            job=JOB,
            check=f.check,
            subject=f.subject,
            status=f.status,
            severity=f.severity,
            summary=f.summary,
            evidence={},
            first_seen=NOW - timedelta(days=days),
            first_run="old",
            **other,
        )
        for f in of
    }


def judged(found: list[Finding], issues: dict[str, Issue], **look: Any) -> list[str]:
    """Return what happened, as ``event subject``, and what was kept for want of a look."""
    seen = Look("run", TARGET, JOB, found, **{"before": found, **look})
    lives = findings.judge(seen, issues, NOW)
    kept = [f"kept {lives.issues[k].subject}" for k in lives.kept]
    return sorted([*(f"{t.event} {t.issue.subject}" for t in lives.transitions), *kept])


DONE = frozenset({"app.t"})


@pytest.mark.parametrize(
    ("found", "look", "happened"),
    [
        ([], {}, ["gone app.t"]),
        ([finding()], {}, []),
        ([finding("other", "app.u")], {}, ["gone app.t", "new app.u"]),
        ([finding(severity="ERROR")], {}, ["changed app.t"]),
        # could not look: the check itself, there or everywhere
        ([finding(**UNSEEN)], {}, []),
        ([finding(subject="server", severity="INFO", **UNSEEN)], {}, ["kept app.t"]),
        ([finding(subject=TARGET, **UNSEEN)], {}, ["kept app.t", f"new {TARGET}"]),
        ([finding(subject="app.u", **UNSEEN)], {}, ["gone app.t", "new app.u"]),
        # another check that could not look there: unless it only says what can never be seen
        ([finding("lock", **UNSEEN)], {}, ["kept app.t", "new app.t"]),
        ([finding("disk_free", "server", "INFO", **UNSEEN)], {}, ["gone app.t"]),
        ([finding("lock", status=FindingStatus.FAILED)], {}, ["kept app.t", "new app.t"]),
        # something grave and new hides what is behind it
        ([finding("table_exists", severity="ERROR")], {}, ["kept app.t", "new app.t"]),
        ([finding("server_refuses", "server", "ERROR")], {}, ["kept app.t", "new server"]),
        ([finding("table_exists", "app.u", "ERROR")], {}, ["gone app.t", "new app.u"]),
        ([finding("not_copied")], {}, ["gone app.t", "new app.t"]),
        # whoever looked knows that it could not see
        ([], {"unseen": frozenset({EVERYTHING})}, ["kept app.t"]),
        ([], {"unseen": frozenset({"default_rows"})}, ["kept app.t"]),
        ([], {"unseen": frozenset({key(finding())})}, ["kept app.t"]),
        ([], {"unseen": frozenset({"gaps"})}, ["gone app.t"]),
        # a run that did something there
        ([], {"before": [finding()], "done": DONE}, ["mended app.t"]),
        ([], {"before": [finding()], "done": frozenset({"app.u"})}, ["gone app.t"]),
        ([], {"done": DONE}, ["gone app.t"]),
        ([finding()], {"done": DONE}, []),
        (
            [finding("table_exists", severity="ERROR")],
            {"before": [finding()], "done": DONE},
            ["kept app.t", "new app.t"],
        ),
        # only a part was looked at
        ([finding("other", "app.u")], {"whole": False}, []),
        ([finding("other", "app.u")], {"whole": False, "done": DONE}, []),
        ([finding("other", "app.u")], {"whole": False, "before": [finding()], "done": DONE}, ["mended app.t"]),
    ],
)
def test_what_is_open(found: list[Finding], look: dict[str, Any], happened: list[str]) -> None:
    assert judged(found, known(finding()), **look) == happened


def test_what_stood_together_does_not_hide_one_another() -> None:
    grave = finding("table_exists", severity="ERROR")
    assert judged([grave], known(finding(), grave)) == ["gone app.t"]
    assert judged([grave], known(finding(), days=2) | known(grave, days=5)) == ["gone app.t"]
    assert judged([grave], known(finding(), days=5) | known(grave, days=2)) == ["kept app.t"]
    both = [finding(), grave]
    assert judged([grave], known(finding()), before=both, done=DONE) == ["mended app.t", "new app.t"]


def test_what_came_within_the_run() -> None:
    was = [finding()]
    assert judged([], {}, before=was) == []
    assert judged([], {}, before=was, done=DONE) == ["mended app.t", "new app.t"]
    assert judged([finding("lock", **UNSEEN)], {}, before=was) == ["kept app.t", "new app.t", "new app.t"]
    ended = known(finding(), gone_at=NOW, gone_by="mended", gone_run="run")
    assert judged([], ended, before=was, done=DONE) == [], "a cleared task tells it once"
    assert judged(was, ended) == ["returned app.t"]
    earlier = known(finding(), gone_at=NOW, gone_by="mended", gone_run="old")
    assert judged([], earlier, before=was, done=DONE) == ["mended app.t", "returned app.t"]


def test_a_person_s_word_ends_when_it_gets_worse() -> None:
    word = {"acknowledged_until": NOW + timedelta(days=1), "acknowledged_by": "ada", "acknowledged_why": "known"}

    def after(was: Finding, now: Finding) -> bool:
        lives = findings.judge(Look("run", TARGET, JOB, [now], [now]), known(was, **word), NOW)
        return lives.issues[key(was)].acknowledged(NOW)

    assert after(finding(), finding())
    assert after(finding(severity="ERROR"), finding())
    assert not after(finding(), finding(severity="ERROR"))
    assert after(finding(), finding(severity="ERROR", **UNSEEN)), "nobody could look: nothing is known to be worse"
    assert not after(finding(**UNSEEN), finding()), "it was about not looking, not about what is there"


def test_the_gravest_of_several_counts() -> None:
    both = [finding(severity="ERROR"), finding()]
    lives = findings.judge(Look("run", TARGET, JOB, both, both), {}, NOW)
    assert [t.issue.severity for t in lives.transitions] == [Severity.ERROR]
    really = [finding(severity="INFO"), finding(severity="ERROR", **UNSEEN)]
    lives = findings.judge(Look("run", TARGET, JOB, really, really), {}, NOW)
    assert [(t.event, t.issue.unseen) for t in lives.transitions] == [(IssueEvent.NEW, False)]


@pytest.mark.parametrize(
    ("late", "trigger", "options", "looks"),
    [
        (0, "cli", {}, True),
        (-5, "cli", {}, True),
        (60, "cli", {}, False),
        (-60, "cli", {}, False),
        (0, "cli", {"plan_only": True}, False),
        (0, "backfill", {"dag_id": "d"}, False),
        (0, "undo", {}, False),
        (0, "restore", {}, False),
        (24 * 60, "scheduled", {"dag_id": "d"}, True),
        (48 * 60, "scheduled", {"dag_id": "d"}, False),
    ],
)
def test_which_runs_touch_lives(late: int, trigger: str, options: dict[str, Any], *, looks: bool) -> None:
    at = NOW - timedelta(minutes=late)
    assert settling.looks_at_present(RunRecord("r", JOB, at, trigger, "ada", options, NOW, None)) is looks


@pytest.mark.parametrize(
    ("life", "status", "exit_status"),
    [
        ({}, "partial", 1),
        ({"state": "new"}, "partial", 1),
        ({"state": "standing"}, "partial", 1),
        ({"state": "mended"}, "nothing_to_do", 0),
        ({"state": "standing", "acknowledged_until": NOW}, "nothing_to_do", 0),
    ],
)
def test_what_is_settled_makes_no_run_fail(life: dict[str, Any], status: str, exit_status: int) -> None:
    grave = finding(severity="ERROR").model_copy(update=life)
    report = TargetReport(target=TARGET, engine="postgres", status=TargetStatus.OK, findings=(grave,))
    assert rules.conclude(report) == status
    report = report.model_copy(update={"status": rules.conclude(report)})
    assert rules.exit_status(RunReport(run_id="r", job=JOB, at=NOW, targets=(report,))) == exit_status
