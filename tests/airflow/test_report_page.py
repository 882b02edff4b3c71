"""The report page behind Airflow's own API server application: who may see it, what it shows, that it escapes."""

# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.harness import values
from upkeep.ledger import Ledger
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    GateFailure,
    GateResult,
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
    seen = values.observation(
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


def get(client: Any, path: str, token: str | None = None, accept: str = "*/*") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.get(path, headers={"Accept": accept, **headers}, follow_redirects=False)


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    "path",
    [
        "/upkeep/report/data_retention/night%00ly",
        "/upkeep/report/data%00retention/nightly",
        "/upkeep/report/data_retention/night%00ly/report.json",
        "/upkeep/report/approved_changes/x%00",
        "/upkeep/run/data_retention/2026%00",
        "/upkeep/run/data%00_retention/2026",
        "/upkeep/runs?job=data%00retention",
        "/upkeep/runs?job=%1b[2J",
        "/upkeep/runs?job=" + "x" * 101,
        "/upkeep/report/data_retention/nightly?all=often",
        "/upkeep/run/data_retention/%7f",
        "/upkeep/run/data_retention/%ff%fe",
        "/upkeep/run/data_retention/'; drop table x; --",
        "/upkeep/run/data_retention/" + "9" * 3000,
    ],
)
def test_a_hostile_address_is_refused(client: Any, tokens: dict[str, str], recorded: str, path: str) -> None:
    for accept in ("*/*", BROWSER):
        response = get(client, path, tokens["admin"], accept)
        assert 400 <= response.status_code < 500, response.text
        assert "SQLSTATE" not in response.text


def test_a_limit_that_no_page_has_changes_nothing(client: Any, tokens: dict[str, str], recorded: str) -> None:
    for query in ("limit=-3", f"limit={10**30}", "limit=x", "job=", "job=no_such_job"):
        assert get(client, f"/upkeep/runs?{query}", tokens["viewer"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "user", "status", "title"),
    [
        (PAGE, None, 401, "You are not logged in"),
        (PAGE, "nobody", 403, "This is not yours to see"),
        ("/upkeep/run/data_retention/nosuch", "viewer", 404, "There is no such report"),
        ("/upkeep/nosuch", "viewer", 404, "There is no such report"),
        ("/upkeep/runs?job=" + "x" * 101, "viewer", 422, "This did not work"),
    ],
)
def test_a_refusal_is_a_page_to_a_browser(
    client: Any, tokens: dict[str, str], recorded: str, *, path: str, user: str | None, status: int, title: str
) -> None:
    token = tokens[user] if user else None
    response = get(client, path, token, BROWSER)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert f"<h1>{title}</h1>" in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert get(client, path, token).json()["detail"]  # a program gets JSON


def test_without_the_ledger_there_is_a_page_too(
    client: Any, tokens: dict[str, str], recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", "postgres://nobody:hush-hush@127.0.0.1:1/nowhere")
    response = get(client, PAGE, tokens["viewer"], BROWSER)
    assert response.status_code == 503
    assert "<h1>The ledger cannot be read now</h1>" in response.text
    assert "hush-hush" not in response.text


def test_what_is_paused_stands_above_the_runs(
    client: Any, tokens: dict[str, str], recorded: str, ledger: Ledger
) -> None:
    ledger.pause("pipeline", actor="anna", reason="moving <house>")
    ledger.pause(None, actor="otto")
    text = get(client, "/upkeep/runs", tokens["viewer"]).text
    assert text.index("the whole fleet was paused by otto") < text.index("was paused by anna at")
    assert "moving &lt;house&gt;" in text
    assert "was paused by" not in get(client, "/upkeep/runs", tokens["nobody"]).text
    ledger.resume("pipeline", actor="anna")
    assert "anna" not in get(client, "/upkeep/runs", tokens["viewer"]).text


ASKS = "/upkeep/report/approved_changes"


@pytest.fixture
def asked(recorded: str, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """A run of the DAG that asks about the recorded plan; returns its tab's address and the plan's id."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    (plan_id,) = [t.plan_id for t in ledger.report(recorded).targets]
    run_id = f"pipeline.{plan_id}.1"
    with create_session() as session:
        session.add(
            DagRun(
                dag_id="approved_changes",
                run_id=run_id,
                conf={"plan_id": plan_id},
                state="running",
                run_type=DagRunType.MANUAL,
                run_after=AT,
            )
        )
    yield f"{ASKS}/{run_id}", str(plan_id)
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id == run_id))


def test_a_plans_tab_says_what_became_of_it(
    client: Any, tokens: dict[str, str], recorded: str, asked: tuple[str, str], ledger: Ledger
) -> None:
    tab, plan_id = asked
    link_back = f'href="/upkeep/run/data_retention/{recorded}"'

    def shown(path: str) -> str:
        return " ".join(get(client, path, tokens["viewer"]).text.split())

    text = shown(tab)
    assert "awaiting approval" in text
    assert "Nothing has been changed yet." in text
    assert link_back in text
    planned = shown(PAGE)
    assert f"Plan <code>{plan_id}</code>: waits for a person" in planned
    assert f'href="/dags/approved_changes/runs/pipeline.{plan_id}.1"' in planned

    ledger.reject(plan_id, actor="anna", how="ui", reason="quarter <end>")
    for page in (shown(tab), shown(PAGE)):
        assert "rejected by anna at" in page
        assert "quarter &lt;end&gt;" in page
    text = shown(tab)
    assert "awaiting approval" not in text
    assert "has been changed yet" not in text
    assert "not done: rejected" in text
    assert '<span class="badge good">' not in text
    document = get(client, f"{PAGE}/report.json", tokens["viewer"]).json()
    state = document["targets"][0]["plan_state"]
    assert (state["state"], state["by"], state["run_id"]) == ("rejected", "anna", None)


def test_a_superseded_plans_tab_leads_to_the_newest(
    client: Any, tokens: dict[str, str], recorded: str, asked: tuple[str, str], ledger: Ledger
) -> None:
    newer = ledger.start_run("data_retention", AT, trigger="scheduled", actor="airflow", options={})
    ledger.start_target(newer, "pipeline", "postgres")
    seen = values.observation(
        target="pipeline", engine="postgres", job="data_retention", identity="i", version="15", at=AT, frames={}
    )
    plan = Plan.make(seen, [])
    ledger.save_plan(newer, plan)
    text = " ".join(get(client, asked[0], tokens["viewer"]).text.split())
    assert f"by plan {plan.plan_id} of run {newer}" in text
    assert f'href="/upkeep/run/data_retention/{newer}"' in text
    assert "awaiting approval" not in text


def test_a_paused_target_is_said_where_its_plan_waits(
    client: Any, tokens: dict[str, str], asked: tuple[str, str], ledger: Ledger
) -> None:
    ledger.pause("pipeline", actor="anna", reason="moving")
    assert "was paused by anna at" in get(client, asked[0], tokens["viewer"]).text


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


def test_below_a_path_each_address_begins_with_it(client: Any, tokens: dict[str, str], asked: tuple[str, str]) -> None:
    from fastapi.testclient import TestClient

    below = TestClient(client.app, root_path="/ops")
    for path in (PAGE, asked[0], "/upkeep/runs", "/upkeep/nosuch"):
        text = get(below, f"/ops{path}", tokens["viewer"], BROWSER).text
        found = re.findall(r'href="([^"]*)"', text)
        assert found
        assert [href for href in found if not href.startswith(("/ops/", "#", "?"))] == []


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
