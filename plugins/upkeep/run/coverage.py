"""Was everything looked at? Asked once a run, by a suite that is data: ``include/expectations/round.after.json``.

A round that is quiet and healthy leaves nothing but its looks: the gate is written down when it fails, and once when
it holds again. What it misses is a finding about no target but the fleet, with a life like any other's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from upkeep.model import Finding, GateResult, Severity, TargetStatus
from upkeep.run import findings, settling
from upkeep.run.findings import Look

if TYPE_CHECKING:
    from upkeep.ledger import Ledger, RunRecord

FLEET: Final = "(fleet)"
"""Stands where a target's name does for what is about all of them together."""
BLIND: Final = "upkeep_blind"
"""Check: so much is out of reach at once that it is Upkeep that sees nothing."""
_SUITE: Final = "round"
_NAMED: Final = 20
_LOOKED: Final = frozenset(TargetStatus) - {TargetStatus.FAILED}
"""How a target ends that was looked at, or is known to be out of reach; failed is a fault of the look itself."""


def check(ledger: Ledger, run: RunRecord, names: Sequence[str], *, whole: bool) -> GateResult:
    """Return whether a run has looked at everything that it was to look at; what is missing is written down.

    Parameters
    ----------
    names
        The targets that it was to look at.
    whole
        Whether these are all of the fleet's for the job, now: only then a finding about the fleet begins or ends.
    """
    ended = {report.target: report.status for report in ledger.report(run.run_id).targets}
    gate = _evaluate(names, ended)
    found = [*_found(gate, names, ended, run.job)]
    look = Look(run.run_id, FLEET, run.job, found, before=found)
    lives = (findings.live if whole else findings.compare)(ledger, look)
    if not gate.success or lives.transitions:
        ledger.save_gate(run.run_id, FLEET, gate)
        told = [settling.with_life(finding, lives, run.run_id, FLEET, run.job) for finding in found]
        ledger.save_findings(run.run_id, FLEET, told)
    return gate


def _evaluate(names: Sequence[str], ended: Mapping[str, TargetStatus]) -> GateResult:
    """Evaluate the suite, which takes seconds to import where nobody has done so: not where nothing is amiss then."""
    from upkeep import gates  # noqa: PLC0415 - see above

    away = len(_away(names, ended))
    share = away / len(names) if away > 1 else 0.0  # one alone is that server's own trouble
    targets = [{"subject": name, "looked": ended.get(name) in _LOOKED} for name in names]
    if not share and all(row["looked"] for row in targets) and not gates.ready():
        return GateResult(suite=f"{_SUITE}.after", stage="after", success=True, evaluated=0)
    frames = {"targets": targets, "round": [{"subject": FLEET, "share_out_of_reach": share}]}
    return gates.evaluate(_SUITE, "", "after", frames)


def _away(names: Sequence[str], ended: Mapping[str, TargetStatus]) -> list[str]:
    return [name for name in names if ended.get(name) is TargetStatus.UNREACHABLE]


def _found(gate: GateResult, names: Sequence[str], ended: Mapping[str, TargetStatus], job: str) -> Iterator[Finding]:
    """Yield what the gate has missed, in words."""
    for failure in gate.failed:
        if failure.stops == "target":
            subjects, check = _away(names, ended), BLIND
            text = "out of reach at once: it is Upkeep itself that sees nothing"
        else:
            subjects, check = list(failure.subjects), "not_looked_at"
            text = f"not looked at: {', '.join(subjects[:5])}{' …' if subjects[5:] else ''}"
        severity = Severity.CRITICAL if check == BLIND else Severity.ERROR
        evidence = {"targets": len(names), "concerned": subjects[:_NAMED], "gate": failure.summary}
        summary = f"{len(subjects)} of {len(names)} targets {text}"
        yield Finding.of(check, job, severity, summary, failure.remedy, evidence=evidence)
