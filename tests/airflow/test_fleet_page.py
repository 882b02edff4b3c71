"""The page of the fleet behind Airflow's own API server application: who sees what of it, and where it stands."""

# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from upkeep.errors import ProgramError
from upkeep.ledger import Ledger
from upkeep.model import Finding, Issue, IssueEvent, Severity, TargetStatus, Transition, fingerprint

pytestmark = pytest.mark.filterwarnings("ignore")  # the API server's own

FLEET = """\
version: 1
targets:
  pipeline:
    engine: postgres
    connection: good
    tables:
      app.logs: {partition: {by: at, every: 1 month, ahead: 3}, retain: {for: 30 days, then: delete}}
  '<b>bold</b>':
    engine: postgres
    connection: nowhere
    mode: observe
    tables:
      app.logs: {partition: {by: at, every: 1 month, ahead: 3}}
"""
HOSTILE = 'public."<script>alert(1)</script>"'
PAGE = "/upkeep/fleet"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def recorded(fleet: Callable[..., Path], ledger: Ledger) -> str:
    """A night in which retention failed; a finding with a hostile name is open."""
    fleet(FLEET)
    now = datetime.now(UTC)
    run_id = ledger.start_run("data_retention", now, trigger="scheduled", actor="airflow", options={})
    ledger.start_target(run_id, "pipeline", "postgres")
    ledger.finish_target(run_id, "pipeline", TargetStatus.FAILED, at=now, error="boom <i>here</i>")
    ledger.finish_run(run_id)
    finding = Finding.of("default_rows", HOSTILE, Severity.WARNING, "12 rows", "look", evidence={"rows": "<u>12</u>"})
    known = finding.model_dump(include={"check", "subject", "status", "severity", "summary", "remedy", "evidence"})
    key, job = fingerprint("pipeline", "partition_creation", finding), "partition_creation"
    issue = Issue(fingerprint=key, target="pipeline", job=job, first_seen=now, first_run=run_id, **known)
    ledger.change_issues([Transition(event=IssueEvent.NEW, issue=issue, at=now, run_id=run_id)])
    return run_id


def get(client: Any, path: str, token: str | None = None, accept: str = BROWSER) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.get(path, headers={"Accept": accept, **headers}, follow_redirects=False)


def shown(client: Any, token: str, path: str = PAGE) -> str:
    response = get(client, path, token)
    assert response.status_code == 200, response.text
    return " ".join(response.text.split())


def test_the_page(client: Any, tokens: dict[str, str], recorded: str) -> None:
    response = get(client, PAGE, tokens["viewer"])
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    text = " ".join(response.text.split())
    assert "One thing needs you" in text
    assert "nothing was lost" not in text
    assert "pipeline, data retention: failed" in text
    assert f'href="/upkeep/run/data_retention/{recorded}"' in text
    assert 'data-airflow href="/dags/data_retention"' in text
    assert "has never run here" in text
    assert "only observed: the fleet file says mode: observe" in text
    for escaped in ("boom &lt;i&gt;here", "&lt;b&gt;bold", "&lt;script&gt;alert(1)", "&lt;u&gt;12"):
        assert escaped in text
    for raw in ("<script>alert", "<i>here", "<b>bold", "<u>12"):
        assert raw not in text
    assert get(client, f"/upkeep/run/data_retention/{recorded}", tokens["viewer"]).status_code == 200
    assert f'href="{PAGE}"' in shown(client, tokens["viewer"], "/upkeep/runs")


def test_who_may_see_it(client: Any, tokens: dict[str, str], recorded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in (None, "not.a.token", tokens["expired"]):
        response = get(client, PAGE, token)
        assert response.status_code in (401, 403), response.text
        assert "<h1>" in response.text
        assert "pipeline" not in response.text
    text = shown(client, tokens["nobody"])
    assert "None of this is yours to see" in text
    for secret in ("pipeline", "bold", "boom", "script&gt;", "retention"):
        assert secret not in text

    from upkeep.web import app

    monkeypatch.setattr(app, "_may_read", lambda _user, job: job == "partition_creation")
    text = shown(client, tokens["viewer"])
    assert "pipeline" in text
    assert "boom" not in text
    assert "retention" not in text
    assert "that your user may not read" in text


def test_airflow_knows_more(client: Any, tokens: dict[str, str], recorded: str, dags: dict[str, Any]) -> None:
    """A DAG that is paused starts nothing, whatever the table of jobs says."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    def pause(*, paused: bool) -> None:
        with create_session() as session:
            session.execute(update(DagModel).where(DagModel.dag_id.in_(list(dags))).values(is_paused=paused))

    pause(paused=True)
    text = shown(client, tokens["viewer"])
    assert "nothing is scheduled" in text
    assert "its DAG is paused in Airflow: nothing starts it" in text
    pause(paused=False)
    assert "its DAG is paused" not in shown(client, tokens["viewer"])


def test_a_tool_that_hangs_holds_no_page_up(
    client: Any, tokens: dict[str, str], recorded: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from upkeep import programs
    from upkeep.run import fleet_facts, fleet_here
    from upkeep.web import fleet_page

    tool, said = tmp_path / "mongod", list[str]()
    tool.write_text("#!/bin/sh\nexec sleep 100\n")
    tool.chmod(0o755)

    def look(backups: Any, names: Any) -> Any:
        with pytest.raises(ProgramError) as error:
            programs.version(tool)
        said.append(str(error.value))
        return look_(backups, names)

    look_ = fleet_here.look
    monkeypatch.setattr(fleet_facts.fleet_here, "look", look)
    monkeypatch.setattr(fleet_page, "PATIENCE", 0.2)
    assert "pipeline" in shown(client, tokens["viewer"])
    assert said == [f"{tool} --version did not answer"]


def test_trouble_is_a_page_too(
    client: Any, tokens: dict[str, str], recorded: str, fleet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet("version: 1\ntargets: {pipeline: {engine: postgres}}\n")
    response = get(client, PAGE, tokens["viewer"])
    assert response.status_code == 500
    assert "the fleet file cannot be read" in response.text
    assert "fleet file" not in shown(client, tokens["nobody"])
    fleet(FLEET)
    assert "pipeline" in shown(client, tokens["viewer"])
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", "postgres://nobody:hush-hush@127.0.0.1:1/nowhere")
    response = get(client, PAGE, tokens["viewer"])
    assert response.status_code == 503
    assert "hush-hush" not in response.text


def test_it_is_a_first_level_entry(client: Any, tokens: dict[str, str]) -> None:
    plugins = get(client, "/api/v2/plugins", tokens["admin"], "*/*").json()["plugins"]
    (ours,) = [p for p in plugins if p["name"] == "upkeep"]
    (entry,) = [v for v in ours["external_views"] if v["url_route"] == "upkeep_fleet"]
    assert (entry["name"], entry["destination"], entry["nav_top_level"], entry["category"]) == (
        "Upkeep",
        "nav",
        True,
        None,
    )
    assert entry["href"] == PAGE


def test_under_a_base_url_with_a_path(client: Any, tokens: dict[str, str], recorded: str) -> None:
    """All links go on from where the browser is."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from upkeep.web.app import app

    outer = FastAPI(root_path="/tools/airflow")
    outer.mount("/upkeep", app)
    outer.state = client.app.state
    inner = TestClient(outer)
    text = shown(inner, tokens["viewer"], "/tools/airflow/upkeep/fleet")
    assert f'href="/tools/airflow/upkeep/run/data_retention/{recorded}"' in text
    assert 'data-airflow href="/tools/airflow/dags/data_retention"' in text
    assert 'href="/upkeep' not in text
    assert 'href="/dags' not in text
