"""What the pages read from Airflow itself, inside the API server: connections, and the runs that ask a person."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.models.connection import Connection
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.utils.session import create_session
from sqlalchemy import select

from upkeep.airflow.addresses import from_connection
from upkeep.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from upkeep.jobs import Address

APPROVALS = "approved_changes"
_OPEN = ("queued", "running")


def address(connection_id: str) -> Address:
    """Return the address behind a connection id. Raises `ConfigurationError` when Airflow does not know it."""
    try:
        return from_connection(Connection.get_connection_from_secrets(connection_id))
    except AirflowNotFoundException as error:
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
    )
    with create_session() as session:
        for run_id, conf in session.execute(query):
            plan_id = (conf or {}).get("plan_id")
            if plan_id in wanted:
                links[plan_id] = f"/dags/{APPROVALS}/runs/{quote(run_id, safe='')}/tasks/approve/required_actions"
    return links


def plan_asked_about(dag_id: str, dag_run_id: str) -> str | None:
    """Return the plan that a run of `approved_changes` asks about."""
    if dag_id != APPROVALS:
        return None
    query = select(DagRun.conf).where(DagRun.dag_id == dag_id, DagRun.run_id == dag_run_id)
    with create_session() as session:
        conf = session.execute(query).scalar()
    return (conf or {}).get("plan_id") or None
