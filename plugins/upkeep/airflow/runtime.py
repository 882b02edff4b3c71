"""What a task needs to do its step: the runner, made from the fleet file, the ledger and Airflow's connections.

Imported inside tasks only, never while a DAG file is read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from upkeep import fleet, settings, words
from upkeep.airflow import addresses, stores
from upkeep.connections import CONTROL
from upkeep.errors import ConfigurationError
from upkeep.jobs import spec
from upkeep.ledger import ApprovalState, Ledger
from upkeep.model import WAITING, Request, RunReport, Severity, TargetReport, TargetStatus
from upkeep.run.progress import Meter
from upkeep.run.runner import Runner
from upkeep.stores.opening import opener

if TYPE_CHECKING:
    from upkeep.ledger import PendingPlan
    from upkeep.run.progress import Progress

log = logging.getLogger("upkeep")

BAD = frozenset({TargetStatus.FAILED, TargetStatus.PARTIAL, TargetStatus.UNREACHABLE, TargetStatus.UNHEALTHY})
"""How a target ends when its run must not look fine."""
PLANNED = TargetStatus.PLANNED
HELD_BACK = frozenset({TargetStatus.PAUSED, TargetStatus.OBSERVED, TargetStatus.PLANNED, TargetStatus.NOT_SUPPORTED})
"""How it ends when nothing went wrong and nothing was done."""


@contextmanager
def open_runner() -> Iterator[Runner]:
    """Open the ledger and give a runner. Raises `ConfigurationError` or `LedgerError`, which say what to do."""
    ledger = Ledger.open(addresses.resolve(CONTROL), migrate=False)
    before = opener.set(stores.open_url)
    try:
        yield Runner(fleet.load(settings.fleet_file()), ledger, addresses.resolve, progress=_progress())
    finally:
        opener.reset(before)
        ledger.close()


def _progress() -> Progress:
    """Return what tells the task's log how far a step has come; of batches, now and then."""
    meter = Meter(alike_seconds=0)  # a task is about one target

    def tell(target: str, message: str, *, rows: int = 0, total: int | None = None) -> None:
        text, worth_a_line = meter.tell(target, message, rows=rows, total=total)
        if worth_a_line:
            log.info("%s", text)

    return tell


def parameters(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the run's parameters, when what the run was started with is understood completely.

    Airflow merges a run's ``conf`` into the parameters whatever it holds, so ``{"Mode": "plan"}`` would be a run
    that changes something. Called before anything is begun.

    Raises
    ------
    ConfigurationError
        A key that the DAG does not know, or a value that did not become the parameter's.
    """
    conf = context["dag_run"].conf or {}
    known = sorted(context["dag"].params)
    params: Mapping[str, Any] = context["params"]
    allowed = f"{context['dag_run'].dag_id} knows {', '.join(known)}; nothing was begun"
    if not isinstance(conf, dict):
        raise ConfigurationError(f"the run's conf is not a mapping of parameters: {allowed}")
    for key in conf.keys() - set(known):
        near = get_close_matches(str(key).lower(), known, n=1)
        meant = f" (did you mean '{near[0]}'?)" if near else ""
        raise ConfigurationError(f"the run's conf has an unknown key {key!r}{meant}: {allowed}")
    for key, value in conf.items():
        if params.get(key) != value:
            raise ConfigurationError(
                f"the run's conf says {key} = {value!r}, but the parameter is {params.get(key)!r}: Airflow's setting "
                "core.dag_run_conf_overrides_params is off; switch it on; nothing was begun"
            )
    return params


def request(job: str, params: Mapping[str, Any]) -> Request:
    """Return what was asked of a run: its parameters that are the job's own."""
    row = spec.require(job)
    return row.asks({name: params[name] for name in row.request.model_fields if params.get(name) is not None})


def instant(context: Mapping[str, Any]) -> datetime:
    """Return the run's ``at``: the end of its data interval, or ``run_after`` when it has none (DESIGN 1).

    To the second: it stands in statements that people read, and nothing is due a fraction earlier.
    """
    run = context["dag_run"]
    moment: datetime = run.data_interval_end or run.run_after
    return moment.replace(microsecond=0)


def trigger(context: Mapping[str, Any]) -> str:
    """Return what started the DAG run: ``scheduled``, ``manual``, ``backfill`` …"""
    kind = context["dag_run"].run_type
    return str(getattr(kind, "value", kind))


def actor(context: Mapping[str, Any]) -> str:
    """Return who started the DAG run: the user in the UI, else Airflow itself."""
    return str(getattr(context["dag_run"], "triggering_user_name", None) or "airflow")


def origin(context: Mapping[str, Any]) -> dict[str, str]:
    """Return which DAG run this is, for the ledger: how the report page finds the ledger's run."""
    run = context["dag_run"]
    return {"dag_id": str(run.dag_id), "dag_run_id": str(run.run_id)}


def waiting_plans(report: RunReport, pending: Iterable[PendingPlan]) -> list[tuple[str, str]]:
    """Return ``(target, plan id)`` of the plans of a run that a person is to be asked about.

    They are those whose actions were left for a person, less those that were answered in the meantime.
    """
    open_plans = {p.plan.plan_id for p in pending if p.state is not ApprovalState.GRANTED}
    return [
        (target.target, target.plan_id)
        for target in report.targets
        if target.plan_id in open_plans and any(o.reason_code in WAITING for o in target.outcomes)
    ]


def verdict(report: TargetReport) -> str:
    """Return in a few lines how a target ended, for the task's log and its error."""
    counts: dict[str, int] = {}
    for outcome in report.outcomes:
        word = outcome.status.value + (f" ({outcome.reason_code.value})" if outcome.reason_code else "")
        counts[word] = counts.get(word, 0) + 1
    lines = [f"{report.target}: {words.STATUS[report.status][0]}"]
    lines += [f"  actions: {', '.join(f'{n} {word}' for word, n in counts.items())}"] if counts else []
    lines += [f"  error: {report.error}"] if report.error else []
    lines += [f"  gate {g.stage}: {f.summary}" for g in report.gates for f in g.failed]
    subjects = {a.id: a.subject for a in report.actions}
    lines += [
        f"  {subjects.get(o.action_id, o.action_id)}: {o.message}"
        for o in report.outcomes
        if o.status.value == "failed" or (o.reason_code and o.reason_code.value in ("lock_not_obtained", "overloaded"))
    ]
    told = [f for f in report.findings if f.severity.rank >= Severity.ERROR.rank or f.check == "paused"]
    lives = [f" ({life})" if (life := words.life(f)) else "" for f in told]
    lines += [f"  {f.subject}: {f.summary}{life}" for f, life in zip(told, lives, strict=True) if f.state != "mended"]
    lines += [f"  plan {report.plan_id}: {words.fate(report.plan_state)[0]}"] if report.plan_state else []
    return "\n".join(lines)
