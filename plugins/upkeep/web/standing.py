"""What stood open of targets that a look found unchanged, so that the run has kept no findings of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from upkeep.ledger import OpenIssue, RunRecord
from upkeep.model import Finding, RunReport, TargetReport


def with_standing(report: RunReport, run: RunRecord, issues: Sequence[OpenIssue]) -> RunReport:
    """Return the report, targets that were as at the look before with what was open of them at that time."""
    until = run.finished_at or max([report.at, *(t.at for t in report.targets if t.at)])
    standing: dict[str, list[Finding]] = {}
    for issue in (entry.issue for entry in issues):
        ended = issue.gone_at is not None and issue.gone_at <= until
        if issue.job == run.job and issue.first_seen < run.started_at and not ended:
            known = {name: getattr(issue, name) for name in Finding.model_fields if hasattr(issue, name)}
            known |= {
                "state": "standing",
                "acknowledged_until": issue.acknowledged_until if issue.acknowledged(until) else None,
            }
            standing.setdefault(issue.target, []).append(Finding(**known))
    targets = tuple(
        t.model_copy(update={"findings": tuple(standing.get(t.target, ()))}) if unchanged(t) else t
        for t in report.targets
    )
    return report.model_copy(update={"targets": targets})


def unchanged(target: TargetReport) -> bool:
    """Return whether it was as at the look before, of which the run has kept nothing more."""
    return not (target.plan_id or target.findings or target.error or target.seconds)
