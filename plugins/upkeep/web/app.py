"""The web application behind the plugin: reports, for people who may read the DAG run.

Every address asks for a user and for the right to read runs of that DAG, by Airflow's own rules; there is
no page that describes the interface. Nothing is loaded from elsewhere and nothing is changed from here.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from upkeep.connections import CONTROL
from upkeep.errors import ConfigurationError, LedgerError
from upkeep.web import airflow_data, view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upkeep.ledger import Ledger

MAY_READ_RUN = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
RUNS_SHOWN = 100

app = FastAPI(title="Upkeep", docs_url=None, redoc_url=None, openapi_url=None)
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["prefix"] = "/upkeep"


@app.get("/report/{dag_id}/{dag_run_id}", dependencies=[MAY_READ_RUN])
def report(dag_id: str, dag_run_id: str) -> HTMLResponse:
    """Return the report of a DAG run as a page."""
    with _ledger() as ledger:
        run_id = ledger.run_for(dag_id, dag_run_id)
        if run_id is not None:
            run = ledger.run(run_id)
            found = ledger.report(run_id)
            approvals = airflow_data.approval_links([t.plan_id for t in found.targets if t.plan_id])
            return _html("report.html", page=view.page(found, run, approvals))
        plan_id = airflow_data.plan_asked_about(dag_id, dag_run_id)
        if plan_id is None:
            return _html("empty.html", dag_run_id=dag_run_id)
        origin, plan = ledger.find_plan(plan_id)
        target = view.planned_only(plan, origin, airflow_data.approval_links([plan.plan_id]))
        return _html("report.html", page=target)


@app.get("/report/{dag_id}/{dag_run_id}/report.json", dependencies=[MAY_READ_RUN])
def report_json(dag_id: str, dag_run_id: str) -> JSONResponse:
    """Return the report of a DAG run as the document that ``upkeep … --json`` prints."""
    with _ledger() as ledger:
        run_id = ledger.run_for(dag_id, dag_run_id)
        if run_id is None:
            raise HTTPException(404, "this DAG run has begun no run in the ledger")
        return JSONResponse(ledger.report(run_id).document(), headers=_headers(""))


@app.get("/runs")
def runs(user: GetUserDep, job: Annotated[str | None, Query(max_length=100)] = None) -> HTMLResponse:
    """Return the newest runs of the jobs whose DAG the user may read."""
    with _ledger() as ledger:
        found = ledger.runs(limit=RUNS_SHOWN, job=job or None)
    manager = get_auth_manager()
    may = {
        name: manager.is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.RUN, details=DagDetails(id=name), user=user
        )
        for name in {r.job for r in found}
    }
    return _html("runs.html", runs=[view.run_line(r) for r in found if may[r.job]], job=job or "")


@app.get("/run/{job}/{run_id}")
def run_report(job: str, run_id: str, user: GetUserDep) -> HTMLResponse:
    """Return the report of a run of the ledger, whoever began it."""
    allowed = get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=DagDetails(id=job), user=user
    )
    if not allowed:
        raise HTTPException(403, "Forbidden")
    with _ledger() as ledger:
        run = ledger.run(run_id)
        if run.job != job:
            raise HTTPException(404, f"run {run_id} is not one of {job}")
        found = ledger.report(run.run_id)
    approvals = airflow_data.approval_links([t.plan_id for t in found.targets if t.plan_id])
    return _html("report.html", page=view.page(found, run, approvals))


@contextmanager
def _ledger() -> Iterator[Ledger]:
    from upkeep.ledger import Ledger  # noqa: PLC0415 - the driver, only when a page is asked for

    try:
        ledger = Ledger.open(airflow_data.address(CONTROL), migrate=False)
    except (LedgerError, ConfigurationError) as error:
        raise HTTPException(503, str(error)) from error
    try:
        yield ledger
    except ConfigurationError as error:
        raise HTTPException(404, str(error)) from error
    finally:
        ledger.close()


def _html(template: str, **values: Any) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    text = _templates.get_template(template).render(nonce=nonce, **values)
    return HTMLResponse(text, headers=_headers(nonce))


def _headers(nonce: str) -> dict[str, str]:
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
