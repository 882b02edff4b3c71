"""What the pages read from Airflow itself, inside the API server: connections, and the runs that ask a person."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.utils.session import create_session
from sqlalchemy import or_, select

from upkeep.airflow.addresses import from_connection, of_environment
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.run.fleet_facts import DagFacts
from upkeep.web.parts import Asked

APPROVALS = "approved_changes"
_OPEN = ("queued", "running")
_ASKING = ("awaiting_input", "deferred")


def address(connection_id: str) -> Address:
    """Return the address behind a connection id. Raises `ConfigurationError` when Airflow does not know it."""
    try:
        return from_connection(Connection.get_connection_from_secrets(connection_id))
    except AirflowNotFoundException as error:
        if known := of_environment(connection_id):
            return known
        raise ConfigurationError(
            f"Airflow has no connection '{connection_id}'; add it under Admin → Connections"
        ) from error


def approval_links(plan_ids: Iterable[str]) -> dict[str, str]:
    """Return, for the plans that somebody is being asked about, where to answer."""
    wanted = set(plan_ids)
    links: dict[str, str] = {}
    if not wanted:
        return links
    query = (
        select(DagRun.run_id, DagRun.conf)
        .join(TaskInstance, (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id))
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(DagRun.dag_id == APPROVALS, DagRun.state.in_(_OPEN), HITLDetail.responded_at.is_(None))
        .where(TaskInstance.state.in_(_ASKING))
    )
    with create_session() as session:
        for run_id, conf in session.execute(query):
            plan_id = (conf or {}).get("plan_id")
            if plan_id in wanted:
                links[plan_id] = f"{_run(run_id)}/tasks/approve/required_actions"
    return links


def questions(plan_ids: Iterable[str]) -> Asked:
    """Return which runs asked about the plans, answered or not, and whether the DAG that asks is paused."""
    wanted = sorted(set(plan_ids))
    if not wanted:
        return Asked()
    named = or_(*(DagRun.run_id.contains(f".{plan_id}.", autoescape=True) for plan_id in wanted))
    query = select(DagRun.run_id, DagRun.conf).where(DagRun.dag_id == APPROVALS, named).order_by(DagRun.id)
    with create_session() as session:
        found = {(conf or {}).get("plan_id"): _run(run_id) for run_id, conf in session.execute(query)}
        paused = session.execute(select(DagModel.is_paused).where(DagModel.dag_id == APPROVALS)).scalar()
    return Asked(runs={plan_id: run for plan_id, run in found.items() if plan_id in wanted}, paused=bool(paused))


def dags(dag_ids: Iterable[str]) -> dict[str, DagFacts]:
    """Return what Airflow knows of these DAGs, of those it has."""
    query = select(DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after).where(
        DagModel.dag_id.in_(sorted(dag_ids)), DagModel.is_stale.is_(False)
    )
    with create_session() as session:
        return {dag_id: DagFacts(paused, next_at) for dag_id, paused, next_at in session.execute(query)}


def plan_asked_about(dag_id: str, dag_run_id: str) -> tuple[str, bool] | None:
    """Return the plan that a run of `approved_changes` asks about, and whether that run goes on."""
    if dag_id != APPROVALS:
        return None
    query = select(DagRun.conf, DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == dag_run_id)
    with create_session() as session:
        row = session.execute(query).first()
    plan_id = (row[0] or {}).get("plan_id") if row else None
    return (str(plan_id), str(row[1]) in _OPEN) if row and plan_id else None


def _run(run_id: str) -> str:
    return f"/dags/{APPROVALS}/runs/{quote(run_id, safe='')}"
