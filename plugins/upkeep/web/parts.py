"""What pages are made of: values that the templates show as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a tone: good, warn, bad, wait or quiet."""

    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class Link:
    """An address, inside these pages or of Airflow's own interface."""

    text: str
    href: str
    airflow: bool = False


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One line of the plan, and what became of it."""

    kind: str
    subject: str
    detail: str
    reason: str
    destructive: bool
    rows: str
    lock: str
    needs: str
    statements: tuple[str, ...]
    precondition: str
    undo: str
    outcome: Badge
    message: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a gate: held or not."""

    text: str
    held: bool
    summary: str = ""
    remedy: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class GateView:
    """One gate."""

    stage: str
    suite: str
    badge: Badge
    expectations: tuple[Expectation, ...]
    left_out: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding."""

    badge: Badge
    subject: str
    summary: str
    remedy: str
    evidence: str
    life: str = ""


@dataclass(frozen=True, slots=True)
class TargetView:
    """Everything about one target."""

    name: str
    engine: str
    badge: Badge
    plan_id: str
    error: str
    said: str
    actions: tuple[ActionRow, ...]
    hidden_actions: int
    gates: tuple[GateView, ...]
    findings: tuple[FindingRow, ...]
    approval: str = ""
    fate: Badge | None = None
    links: tuple[Link, ...] = ()
    unasked: str = ""
    explains: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What Airflow knows of the questions about plans.

    Attributes
    ----------
    runs
        Plan id → address of the newest run that asked about it.
    paused
        Whether the DAG that asks is paused.
    """

    open: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one run."""

    run_id: str
    job: str
    at: str
    trigger: str
    started: str
    took: str
    badges: tuple[Badge, ...]
    targets: tuple[TargetView, ...]
    dag_id: str = ""
    dag_run_id: str = ""
    notice: str = ""
    findings: tuple[FindingRow, ...] = ()
    waiting: tuple[TargetView, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class RunLine:
    """A line in the list of runs."""

    run_id: str
    job: str
    at: str
    started: str
    took: str
    trigger: str
    targets: tuple[tuple[str, Badge], ...]
    groups: tuple[tuple[Badge, tuple[str, ...]], ...] = ()
