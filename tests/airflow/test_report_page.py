"""The report page behind Airflow's own API server application: who may see it, what it shows, that it escapes."""

# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from upkeep.ledger import Ledger
from upkeep.plan import (
    Action,
    Finding,
    FindingStatus,
    GateFailure,
    GateResult,
    Observation,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    Requirement,
    Severity,
    TargetStatus,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the API server's own

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
HOSTILE = 'public."<script>alert(1)</script>"'
PAGE = "/upkeep/report/data_retention/nightly"


@pytest.fixture(scope="module")
def client(airflow_home: Path) -> Iterator[Any]:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with TestClient(create_app()) as opened:
        yield opened


@pytest.fixture(scope="module")
def tokens(client: Any) -> dict[str, str]:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    manager = get_auth_manager()
    roles = {"admin": "admin", "viewer": "viewer", "nobody": None}
    return {name: manager.generate_jwt(SimpleAuthManagerUser(username=name, role=role)) for name, role in roles.items()}


@pytest.fixture
def recorded(ledger: Ledger) -> str:
    """A run with everything in it: done, waiting and failed actions, gates, findings, hostile names."""
    run_id = ledger.start_run(
        "data_retention",
        AT,
        trigger="scheduled",
        actor="airflow",
        options={"dag_id": "data_retention", "dag_run_id": "nightly"},
    )
    ledger.start_target(run_id, "pipeline", "postgres")
    drop = Action.make(
        kind="drop_partition",
        subject=HOSTILE,
        args={},
        statements=("drop table x",),
        reason="older than 30 days",
        destructive=True,
        precondition="still detached",
        rows=1200,
        requires=Requirement(kind="approval"),
    )
    seen = Observation(
        target="pipeline", engine="postgres", job="data_retention", identity="i", version="15", at=AT, frames={}
    )
    finding = Finding(
        check="default_rows",
        subject=HOSTILE,
        status=FindingStatus.FINDING,
        severity=Severity.WARNING,
        summary="12 rows <b>far</b> in the future",
        evidence={"rows": 12},
        remedy="look at them",
    )
    plan = Plan.make(seen, [drop], [finding])
    ledger.save_plan(run_id, plan)
    skipped = OutcomeStatus.SKIPPED
    ledger.record(run_id, "pipeline", Outcome(action_id=drop.id, status=skipped, reason_code=ReasonCode.NEEDS_APPROVAL))
    failure = GateFailure(
        expectation="tables.gaps: x", summary="expected: no gap; not so: public.a (gaps = 1)", stops="subject"
    )
    gate = GateResult(
        suite="s", stage="after", success=False, evaluated=2, failed=(failure,), checked=("no gap", "no overlap")
    )
    ledger.save_gate(run_id, "pipeline", gate)
    ledger.finish_target(run_id, "pipeline", TargetStatus.PARTIAL, at=AT, error=None)
    ledger.finish_run(run_id)
    return run_id


def get(client: Any, path: str, token: str | None = None) -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {}, follow_redirects=False)


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/report.json", "/upkeep/runs", "/upkeep/run/data_retention/2"])
def test_nobody_sees_it_without_a_token(client: Any, recorded: str, path: str) -> None:
    assert get(client, path).status_code == 401
    assert get(client, path, "not.a.token").status_code in (401, 403)


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/report.json", "/upkeep/run/data_retention/2"])
def test_a_role_that_may_not_read_runs_is_refused(
    client: Any, tokens: dict[str, str], recorded: str, path: str
) -> None:
    assert get(client, path, tokens["nobody"]).status_code == 403


@pytest.mark.parametrize("path", ["/upkeep/docs", "/upkeep/openapi.json", "/upkeep/redoc"])
def test_the_interface_is_not_described(client: Any, tokens: dict[str, str], path: str) -> None:
    assert get(client, path, tokens["admin"]).status_code == 404


@pytest.mark.parametrize("user", ["admin", "viewer"])
def test_the_report(client: Any, tokens: dict[str, str], recorded: str, user: str) -> None:
    response = get(client, PAGE, tokens[user])
    assert response.status_code == 200
    text = response.text
    for words in ("data retention", "pipeline", "partial", "drop table x", "older than 30 days", "needs approval"):
        assert words in text
    for words in ("no gap", "gaps = 1", "look at them", "WARNING", "1,200"):
        assert words in text
    assert "<script>alert" not in text
    assert "<b>far" not in text
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in text.replace("http-equiv", "").replace("data-airflow href", "")  # nothing from elsewhere


def test_the_same_as_json(client: Any, tokens: dict[str, str], recorded: str) -> None:
    document = get(client, f"{PAGE}/report.json", tokens["viewer"]).json()
    assert document["schema_version"] == 1
    assert document["run_id"] == recorded
    (target,) = document["targets"]
    assert target["actions"][0]["outcome"]["reason_code"] == "needs_approval"
    json.dumps(document)


def test_a_dag_run_without_a_run_says_so(client: Any, tokens: dict[str, str], recorded: str) -> None:
    response = get(client, "/upkeep/report/data_retention/manual__<i>2026", tokens["viewer"])
    assert response.status_code == 200
    assert "No report yet" in response.text
    assert "<i>" not in response.text
    assert get(client, "/upkeep/report/data_retention/other/report.json", tokens["viewer"]).status_code == 404


def test_the_list_of_runs(client: Any, tokens: dict[str, str], recorded: str) -> None:
    text = get(client, "/upkeep/runs", tokens["viewer"]).text
    assert recorded in text
    assert "partial" in text
    page = get(client, f"/upkeep/run/data_retention/{recorded}", tokens["viewer"])
    assert "older than 30 days" in page.text
    assert get(client, f"/upkeep/run/partition_creation/{recorded}", tokens["viewer"]).status_code == 404
    assert recorded not in get(client, "/upkeep/runs", tokens["nobody"]).text


def test_the_views_are_offered_to_the_interface(client: Any, tokens: dict[str, str]) -> None:
    plugins = get(client, "/api/v2/plugins", tokens["admin"]).json()["plugins"]
    (ours,) = [p for p in plugins if p["name"] == "upkeep"]
    assert {v["destination"] for v in ours["external_views"]} == {"dag_run", "nav"}
    errors = get(client, "/api/v2/plugins/importErrors", tokens["admin"]).json()
    assert errors["total_entries"] == 0
