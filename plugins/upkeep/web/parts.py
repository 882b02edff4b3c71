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
    took: str = ""


@dataclass(frozen=True, slots=True)
class ActionGroup:
    """Actions that are alike, as one line; ``members`` are those that are shown, ``of`` is how many there are."""

    head: ActionRow
    members: tuple[ActionRow, ...]
    of: int


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
    fresh: bool = False
    check: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a target, by what is to be made of them.

    Attributes
    ----------
    open
        What stands: what needs somebody first, and of that what is new.
    notes
        What is only told.
    unseen
        Where a check could not look.
    mended, fine
        What the run has put right; what was looked at and is well.
    """

    open: tuple[FindingRow, ...] = ()
    notes: tuple[FindingRow, ...] = ()
    unseen: tuple[FindingRow, ...] = ()
    mended: tuple[FindingRow, ...] = ()
    fine: tuple[FindingRow, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetView:
    """Everything about one target.

    Attributes
    ----------
    idle, folded
        Nobody needs to read about it, or about its actions: that is folded away.
    lead
        What was done, in short.
    """

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
    groups: tuple[ActionGroup, ...] = ()
    sorted: Findings = field(default_factory=Findings)
    took: str = ""
    idle: bool = False
    folded: bool = False
    lead: str = ""


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
    """The page of one run; ``dag_run`` is the address of Airflow's own page of it."""

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
    lead: str = ""
    looks: bool = False
    dag_run: str = ""

    @property
    def busy(self) -> tuple[TargetView, ...]:
        """Targets of which there is something to read."""
        return tuple(t for t in self.targets if not t.idle)

    @property
    def idle(self) -> tuple[TargetView, ...]:
        """Targets with nothing to do, or that were found well."""
        return tuple(t for t in self.targets if t.idle)


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
