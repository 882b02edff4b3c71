"""The values that travel through a run: observation, plan, action, outcome, finding, gate result, report.

All of them are frozen, compare by value, and go to JSON and back unchanged. They hold no connection
and know no engine; what an engine needs to carry an action out lies in ``Action.args``.
"""

from upkeep.model.action import ON_PURPOSE, WAITING, Action, LeaseName, ReasonCode, Requirement
from upkeep.model.artefact import Artefact, BackupState
from upkeep.model.engine import ENGINES, EngineSpec
from upkeep.model.finding import SERVER, Finding, FindingStatus, Severity, fingerprint
from upkeep.model.gate import GateFailure, GateResult, Stage
from upkeep.model.issue import Issue, IssueEvent, Transition
from upkeep.model.memory import Backup, Memory
from upkeep.model.observation import Observation
from upkeep.model.outcome import Outcome, OutcomeStatus
from upkeep.model.plan import Plan
from upkeep.model.report import PlanState, RunReport, TargetReport, TargetStatus
from upkeep.model.server import ServerFacts
from upkeep.model.value import Json, Value, digest
from upkeep.request import NOTHING_ASKED, Request

__all__ = [
    "ENGINES",
    "NOTHING_ASKED",
    "ON_PURPOSE",
    "SERVER",
    "WAITING",
    "Action",
    "Artefact",
    "Backup",
    "BackupState",
    "EngineSpec",
    "Finding",
    "FindingStatus",
    "GateFailure",
    "GateResult",
    "Issue",
    "IssueEvent",
    "Json",
    "LeaseName",
    "Memory",
    "Observation",
    "Outcome",
    "OutcomeStatus",
    "Plan",
    "PlanState",
    "ReasonCode",
    "Request",
    "Requirement",
    "RunReport",
    "ServerFacts",
    "Severity",
    "Stage",
    "TargetReport",
    "TargetStatus",
    "Transition",
    "Value",
    "digest",
    "fingerprint",
]
