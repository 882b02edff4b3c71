"""The web application behind the plugin: reports, for people who may read the DAG run.

Every address asks for a user and for the right to read runs of that DAG, by Airflow's own rules; there is
no page that describes the interface. Nothing is loaded from elsewhere and nothing is changed from here.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import Response

from upkeep.connections import CONTROL
from upkeep.errors import ConfigurationError, LedgerError
from upkeep.jobs.spec import JOBS
from upkeep.ledger import Ledger, RunRecord
from upkeep.web import airflow_data, fleet_page, standing, view

MAY_READ_RUN = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
RUNS_SHOWN = 100
_SPACE, _DELETE = 0x20, 0x7F
_REFUSALS = {
    401: ("You are not logged in", "Log in to Airflow, then reload this page."),
    403: ("This is not yours to see", "Your user may not read the runs of this DAG; somebody with more rights can."),
    404: ("There is no such report", "It may have been removed, or the address is not whole."),
    503: ("The ledger cannot be read now", "Nothing is lost: reload this page when the control database is back."),
}
"""Status → (title, what to do)."""

app = FastAPI(title="Upkeep", docs_url=None, redoc_url=None, openapi_url=None)
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals |= fleet_page.GLOBALS
_root: ContextVar[str] = ContextVar("root", default="")
"""The path below which Airflow itself lies, as the request came: ``""``, or that of its ``base_url``."""


@app.middleware("http")
async def _refuse_hostile(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Turn an address with control characters away: no database takes a NUL, and nobody's id has one."""
    asked: str = request.scope["path"] + unquote(request.scope["query_string"].decode("latin-1"))
    if any(ord(c) < _SPACE or ord(c) == _DELETE for c in asked):
        return _refusal(request, 400, "the address holds a character that no id or name can have")
    _root.set(request.scope.get("root_path", "").removesuffix(view.PREFIX))
    return await go_on(request)


@app.exception_handler(StarletteHTTPException)
async def _refused(request: Request, error: StarletteHTTPException) -> Response:
    return _refusal(request, error.status_code, str(error.detail), error.headers)


@app.exception_handler(RequestValidationError)
async def _misunderstood(request: Request, error: RequestValidationError) -> Response:
    where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
    return _refusal(request, 422, f"the address is not understood: {where}")


@app.exception_handler(Exception)
async def _unexpected(request: Request, error: Exception) -> Response:
    return _refusal(request, 500, "something unexpected happened; the API server's log says what")


def _refusal(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal as a page to a browser, else as JSON."""
    found: Response
    if "text/html" in request.headers.get("accept", "") and not request.url.path.endswith(".json"):
        title, advice = _REFUSALS.get(status, ("This did not work", ""))
        found = _html("error.html", status=status, title=title, detail=detail, advice=advice)
    else:
        found = JSONResponse({"detail": detail}, headers=_headers(""))
    found.status_code = status
    found.headers.update(headers or {})
    return found


@app.get("/report/{dag_id}/{dag_run_id}", dependencies=[MAY_READ_RUN])
def report(dag_id: str, dag_run_id: str, *, everything: Annotated[bool, Query(alias="all")] = False) -> HTMLResponse:
    """Return the report of a DAG run as a page."""
    with _ledger() as ledger:
        run_id = ledger.run_for(dag_id, dag_run_id)
        if run_id is not None:
            return _run_page(ledger, ledger.run(run_id), everything=everything)
        asks = airflow_data.plan_asked_about(dag_id, dag_run_id)
        if asks is None:
            return _html("empty.html", dag_run_id=dag_run_id)
        origin, plan = ledger.find_plan(asks[0])
        pause = ledger.paused(plan.target)
        page = view.planned_only(
            plan,
            origin,
            airflow_data.approval_links([plan.plan_id]),
            ledger.fate(plan.plan_id),
            pause=pause or "",
            closed=not asks[1],
        )
        return _html("report.html", page=page)


def _run_page(ledger: Ledger, run: RunRecord, *, everything: bool) -> HTMLResponse:
    found = ledger.report(run.run_id)
    if quiet := [t.target for t in found.targets if standing.unchanged(t)]:
        found = standing.with_standing(found, run, ledger.issues(quiet, everything=True))
    plan_ids = [t.plan_id for t in found.targets if t.plan_id and t.plan_state]
    approvals, asked = airflow_data.approval_links(plan_ids), airflow_data.questions(plan_ids)
    return _html("report.html", page=view.page(found, run, approvals, asked, everything=everything))


@app.get("/report/{dag_id}/{dag_run_id}/report.json", dependencies=[MAY_READ_RUN])
def report_json(dag_id: str, dag_run_id: str) -> JSONResponse:
    """Return the report of a DAG run as the document that ``upkeep … --json`` prints."""
    with _ledger() as ledger:
        run_id = ledger.run_for(dag_id, dag_run_id)
        if run_id is None:
            raise HTTPException(404, "this DAG run has begun no run in the ledger")
        return JSONResponse(ledger.report(run_id).document(), headers=_headers(""))


@app.get("/runs")
def runs(
    user: GetUserDep,
    job: Annotated[str | None, Query(max_length=100)] = None,
    *,
    everything: Annotated[bool, Query(alias="all")] = False,
) -> HTMLResponse:
    """Return the newest runs of the jobs whose DAG the user may read, and what is paused.

    Of jobs that only look, those that found something changed; or everything.
    """
    looking = [row.name for row in JOBS.values() if row.looks_only]
    with _ledger() as ledger:
        found = ledger.runs(limit=RUNS_SHOWN, job=job or None, quiet=() if everything else looking)
        pauses = ledger.pauses()
    may = {name: _may_read(user, name) for name in {r.job for r in found} | set(JOBS)}
    paused = pauses if any(may.values()) else []
    lines = [view.run_line(r) for r in found if may[r.job]]
    quiet = bool(looking) and not everything and (not job or job in looking)
    return _html("runs.html", runs=lines, job=job or "", paused=paused, quiet=quiet)


@app.get("/fleet")
def fleet(user: GetUserDep) -> HTMLResponse:
    """Return how the databases are, as far as the user may read the DAGs of the jobs."""
    jobs = [name for name in JOBS if _may_read(user, name)]
    with _ledger() as ledger:
        return _html("fleet.html", page=fleet_page.read(ledger, jobs))


def _may_read(user: Any, job: str) -> bool:
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=DagDetails(id=job), user=user
    )


@app.get("/run/{job}/{run_id}")
def run_report(
    job: str, run_id: str, user: GetUserDep, *, everything: Annotated[bool, Query(alias="all")] = False
) -> HTMLResponse:
    """Return the report of a run of the ledger, whoever began it."""
    if not _may_read(user, job):
        raise HTTPException(403, "Forbidden")
    with _ledger() as ledger:
        run = ledger.run(run_id)
        if run.job != job:
            raise HTTPException(404, f"run {run_id} is not one of {job}")
        return _run_page(ledger, run, everything=everything)


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
    except LedgerError as error:
        raise HTTPException(503, str(error)) from error
    finally:
        ledger.close()


def _html(template: str, **values: Any) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    root = _root.get()
    text = _templates.get_template(template).render(nonce=nonce, root=root, prefix=root + view.PREFIX, **values)
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
