"""What `make run` does once the stack is up: let Airflow run the jobs that have a time, and show what happened.

It drives Airflow as a person would, through its public API, and reads the result from the ledger.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from local.errors import LocalError
from local.stack import airflow_env, building, supervisor
from local.stack.state import State
from upkeep import brief, connections, words
from upkeep.cli import console
from upkeep.jobs import spec
from upkeep.ledger import Ledger, PendingPlan
from upkeep.model import Finding, RunReport

ACTING = [name for name, row in spec.JOBS.items() if row.cron and not row.looks_only]
LOOKING = [name for name, row in spec.JOBS.items() if row.cron and row.looks_only]
BY_HAND = [name for name, row in spec.JOBS.items() if not row.cron]
IN_ORDER = 1 + max(n for n, name in enumerate(ACTING) if spec.JOBS[name].waits_for)
"""So many of those that act are run one after the other: what one does the next one may wait for."""
TOLD = 2
"""Findings of a run that are told, a line each: the whole summary is two screens of a terminal."""
APPROVALS = "approved_changes"
PARSE_SECONDS = 180.0  # until the DAG processor has read the DAG files on a slow machine
SCHEDULE_SECONDS = 15.0  # until the scheduler starts the latest night of a DAG that was just switched on
RUN_SECONDS = 900.0
ANSWER_SECONDS = 120.0  # Airflow's API on a machine that does other things too
FINISHED = ("success", "failed")

out = console.screen()


@dataclass
class Airflow:
    """Airflow's public API, as the admin user."""

    client: httpx.Client

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Return the JSON of a GET; raises `LocalError` with the answer when Airflow refuses, or stays silent."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self._json(self.client.get(f"/api/v2{path}", params=params))
            except httpx.TransportError as error:  # a busy machine: asking again changes nothing
                if time.monotonic() > deadline:
                    message = f"Airflow does not answer at {self.client.base_url} ({error}); see `make status`"
                    raise LocalError(message) from error
                time.sleep(1)

    def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON of a PATCH or POST; raises as `get` does."""
        return self._json(self.client.request(method, f"/api/v2{path}", json=body))

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        if response.is_error:
            message = f"Airflow refused {response.request.method} {response.request.url.path}: {response.text[:300]}"
            raise LocalError(message)
        content: dict[str, Any] = response.json()
        return content


@contextmanager
def log_in(state: State) -> Iterator[Airflow]:
    """Log in as admin, with the generated password."""
    password = json.loads(airflow_env.passwords_file().read_text())["admin"]
    with httpx.Client(base_url=airflow_env.web_url(state), timeout=30, trust_env=False) as client:
        answer = client.post("/auth/token", json={"username": "admin", "password": password})
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield Airflow(client)


def begin(airflow: Airflow, dag_id: str) -> str:
    """Have one DAG run now, as it does by itself every night or so; return the DAG run's id."""
    dag = _wait_for_dag(airflow, dag_id)
    before = {run["dag_run_id"] for run in _runs(airflow, dag_id)}
    if dag["is_paused"]:
        airflow.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    run_id = _scheduled(airflow, dag_id, before) if dag["is_paused"] else None
    if run_id is None:
        run_id = str(airflow.send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"])
    return run_id


def run_all(airflow: Airflow) -> dict[str, str]:
    """Run the jobs, in the order of a night; whatever nothing waits for, at once. Return the runs."""
    finished = {}
    for dag_id in ACTING[:IN_ORDER]:
        finished[dag_id] = begin(airflow, dag_id)
        _wait_for_run(airflow, dag_id, finished[dag_id])
    together = {dag_id: begin(airflow, dag_id) for dag_id in (*ACTING[IN_ORDER:], *LOOKING, *BY_HAND)}
    for dag_id, run_id in together.items():
        _wait_for_run(airflow, dag_id, run_id)
    return finished | together


def _wait_for_dag(airflow: Airflow, dag_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PARSE_SECONDS
    while time.monotonic() < deadline:
        found = airflow.get("/dags", dag_id_pattern=dag_id, exclude_stale=True)["dags"]
        for dag in found:
            if dag["dag_id"] == dag_id:
                return dict(dag)
        time.sleep(1)
    errors = [entry["stack_trace"] for entry in airflow.get("/importErrors")["import_errors"]]
    message = f"Airflow did not read dags/{dag_id}.py within {PARSE_SECONDS:.0f} s\n" + "\n".join(errors)
    raise LocalError(message)


def _runs(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    found = airflow.get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=20)["dag_runs"]
    return [dict(run) for run in found]


def _scheduled(airflow: Airflow, dag_id: str, before: set[str]) -> str | None:
    """Return the run of the latest night, which a DAG that is switched on gets at once."""
    deadline = time.monotonic() + SCHEDULE_SECONDS
    while time.monotonic() < deadline:
        for run in _runs(airflow, dag_id):
            if run["dag_run_id"] not in before:
                return str(run["dag_run_id"])
        time.sleep(0.5)
    return None


def _wait_for_run(airflow: Airflow, dag_id: str, run_id: str) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    with out.status(f"{dag_id}: waiting …") as status:
        while time.monotonic() < deadline:
            run = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}")
            if run["state"] in FINISHED:
                return
            tasks = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
            running = [task["task_display_name"] for task in tasks if task["state"] == "running"]
            done = sum(task["state"] == "success" for task in tasks)
            status.update(f"{dag_id}: {done} of {len(tasks)} steps done{', now ' + running[0] if running else ''}")
            time.sleep(0.5)
    message = f"{dag_id} run {run_id} did not finish within {RUN_SECONDS:.0f} s; see its log in the web interface"
    raise LocalError(message)


def show(state: State, finished: Mapping[str, str], airflow: Airflow) -> int:
    """Print what came of the runs, what waits for the visitor, and where to look; return the exit status."""
    failed = False
    ledger = Ledger.open(connections.resolve(connections.CONTROL), migrate=False)
    try:
        for dag_id, dag_run_id in finished.items():
            run_id = ledger.run_for(dag_id, dag_run_id)
            if run_id is None:
                failed = True
                out.print(f"{dag_id} left no record in the ledger; see the log of {dag_run_id} in the web interface")
                continue
            _tell(ledger.report(run_id))
        pending = ledger.pending()
    finally:
        ledger.close()
    out.print("\n[bold]your turn[/]")
    for line in _your_turn(state, airflow, pending):
        out.print(line, soft_wrap=True)  # an address that is cut in two cannot be opened
    return 1 if failed else 0


def _tell(report: RunReport) -> None:
    """Print a run in a few lines: what came of it, and what is worst."""
    console.say(out, f"{words.plain(report.job)}  (upkeep show {report.run_id})", "bold", wrap=False)
    console.say(out, brief.sentence(report.targets, looks=spec.JOBS[report.job].looks_only), indent=2)
    for target in report.targets:
        if target.error:
            _line(f"{target.target}: {target.error}", "bad")
    found = [(f, t.target) for t in report.targets for f in t.findings if brief.notable(f)]
    found.sort(key=lambda told: -told[0].severity.rank)
    for number, (finding, name) in enumerate(found[:TOLD], 1):
        more = f", and {brief.many(len(found) - TOLD, 'finding')} more" if number == TOLD and found[TOLD:] else ""
        _line(_said(finding, name), words.SEVERITY[finding.severity], more)


def _said(finding: Finding, target: str) -> str:
    return f"{finding.severity.value} {target}, {finding.subject}: {words.seconds(finding.summary)}"


def _line(text: str, tone: str, end: str = "") -> None:
    """Print one line, however long the text; its end is not cut."""
    room = out.width - 4 - len(end)
    flat = " ".join(text.split())
    console.say(out, (flat if len(flat) <= room else f"{flat[: room - 1]}…") + end, tone, indent=4, wrap=False)


def _your_turn(state: State, airflow: Airflow, pending: Sequence[PendingPlan]) -> Iterator[str]:
    """Yield what the panel says: what waits and what is still being built, and where to look."""
    url, waiting = airflow_env.web_url(state), _runs_waiting(airflow)
    for entry in pending:
        asked, job = brief.asked(entry.plan.awaiting), words.plain(entry.plan.job)
        yield f"waiting for your answer: {asked} of [bold]{entry.plan.target}[/] ({job})"
        run = next((run for run, plan_id in waiting.items() if plan_id == entry.plan.plan_id), None)
        yield f"  {url}/dags/{APPROVALS}/runs/{run}" if run else f"  {url}/required_actions"
    if left_out := building.left_out():
        log = supervisor.log_folder() / f"{building.ENGINE}.log"
        yield f"[cyan]{', '.join(left_out)}[/]: the server is still being built, in the background, once (tail -f"
        yield f"  {log}); its runs begin when it is there"
    yield from [""] if pending or left_out else []
    password = json.loads(airflow_env.passwords_file().read_text())["admin"]
    if page := _fleet_page(airflow):
        yield f"How the databases are: [bold]{url}/plugin/{page}[/]"
    yield f"Airflow: [bold]{url}[/]   user [bold]admin[/]   password [bold]{password}[/]"
    yield "stop everything: make down"


def _fleet_page(airflow: Airflow) -> str:
    """Return where the page of all databases is: the plugin's entry on the first level of the navigation."""
    views = [view for plugin in airflow.get("/plugins")["plugins"] for view in plugin["external_views"]]
    return next((str(view["url_route"]) for view in views if view.get("nav_top_level")), "")


def _runs_waiting(airflow: Airflow) -> dict[str, str]:
    """Return the approval runs that are open: DAG run id → plan id."""
    return {
        run["dag_run_id"]: str((run.get("conf") or {}).get("plan_id", ""))
        for run in _runs(airflow, APPROVALS)
        if run["state"] not in FINISHED
    }


def main() -> int:
    """Run the jobs through Airflow and show the result."""
    state = State.load()
    Ledger.open(connections.resolve(connections.CONTROL), migrate=True).close()
    with log_in(state) as airflow:
        _wait_for_dag(airflow, APPROVALS)
        airflow.send("PATCH", f"/dags/{APPROVALS}", {"is_paused": False})
        return show(state, run_all(airflow), airflow)
