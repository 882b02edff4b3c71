"""What Airflow costs: parsing the DAG files, and idle targets end to end on a warm LocalExecutor, gates included.

A local stack of its own is started with a fleet of 100 targets that have nothing to do; runs over 1, 10 and 100
of them are timed. Goals: all DAG files parse in under 1 s together; an idle target costs at most 3 s of worker
CPU; 100 targets cost at most 1.3 times as much each as 10.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks import report
from local.servers import temporary_directory

JOB = "partition_creation"
TARGETS = 100
SIZES = (1, 10, 100)
TABLE = "public.pipeline_metrics"
RUN_SECONDS = 1800.0
PARSE = """
import time, airflow.sdk, airflow.dag_processing.dagbag as d
started = time.perf_counter()
bag = d.DagBag("dags", bundle_path=__import__("pathlib").Path("dags"))
print(time.perf_counter() - started, len(bag.dags), bag.import_errors)
"""


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    report.heading("Airflow")
    reached = parsing()
    with stack() as (state, environment):
        first_run(environment)  # creates what is missing, so that every target is idle from then on
        cost = {size: idle(state, size) for size in SIZES}
    for size, (cpu, seconds) in cost.items():
        text = f"{cpu:.2f} s of worker CPU a target, {seconds:.1f} s from start to end"
        report.line(f"{size} idle targets", text)
    reached &= report.verdict("worker CPU of an idle target [s]", cost[10][0], 3, at_least=False)
    return report.verdict("a target among 100 ÷ among 10", cost[100][0] / cost[10][0], 1.3, at_least=False) and reached


def parsing() -> bool:
    """Time the parsing of all DAG files in a fresh process that has Airflow's SDK already."""
    environment = {**os.environ, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW_HOME": str(temporary_directory())}
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", PARSE], env=environment, capture_output=True, text=True, check=True
        )
        took, dags, errors = done.stdout.strip().splitlines()[-1].split(" ", 2)
        if errors != "{}":
            raise RuntimeError(errors)
        seconds.append(float(took))
    report.line(f"parsing all {dags} DAGs", report.Timing(tuple(seconds)))
    return report.verdict("parsing all DAG files [s]", report.Timing(tuple(seconds)).median, 1, at_least=False)


@contextmanager
def stack() -> Iterator[tuple[Path, dict[str, str]]]:
    """Start a stack with a fleet of idle targets; stop and remove it at the end."""
    state = temporary_directory()
    fleet = state / "fleet.yaml"
    policy = f"{{{TABLE}: {{partition: {{by: timestamp, every: 1 month, ahead: 3}}}}}}"
    lines = [
        f"  t{n:03}: {{engine: postgres, connection: pipeline_postgres, tables: {policy}}}" for n in range(TARGETS)
    ]
    fleet.write_text("\n".join(["version: 1", "targets:", *lines, ""]))
    environment = {
        **os.environ,
        "UPKEEP_STATE_DIR": str(state),
        "UPKEEP_CONNECTIONS_FILE": str(state / "connections.json"),
        "UPKEEP_FLEET": str(fleet),
    }
    local = [sys.executable, "-m", "local"]
    try:
        subprocess.run([*local, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
        yield state, environment
    finally:
        subprocess.run([*local, "down", "--remove"], env=environment, check=False, stdout=subprocess.DEVNULL)


def first_run(environment: dict[str, str]) -> None:
    """Create the partitions and the ledger by the command line."""
    command = [sys.executable, "-m", "upkeep.cli", "run", JOB, "--target", "t000", "--json"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)


def idle(state: Path, size: int, job: str = JOB) -> tuple[float, float]:
    """Return the worker CPU seconds of one target, and the seconds of a run over ``size`` targets."""
    names = [f"t{n:03}" for n in range(size)]
    with api(state) as client:
        client.patch(f"/api/v2/dags/{job}", json={"is_paused": False}).raise_for_status()
        settle(client, job)
        before = worker_cpu(state)
        started = time.monotonic()
        body = {"logical_date": None, "conf": {"targets": names}}
        answer = client.post(f"/api/v2/dags/{job}/dagRuns", json=body).raise_for_status()
        outcome = wait(client, answer.json()["dag_run_id"], job)
        seconds = time.monotonic() - started
        if outcome != "success":
            raise RuntimeError(f"the run over {size} targets ended as {outcome}")
        return (worker_cpu(state) - before) / size, seconds


@contextmanager
def api(state: Path) -> Iterator[httpx.Client]:
    """Log in to the stack's Airflow."""
    port = json.loads((state / "stack.json").read_text())["ports"]["web"]
    password = json.loads((state / "airflow" / "passwords.json").read_text())["admin"]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        answer = client.post("/auth/token", json={"username": "admin", "password": password}).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def settle(client: httpx.Client, job: str = JOB) -> None:
    """Wait until no run is open: the run of the latest night, which a DAG that is switched on gets, would count."""
    time.sleep(3)
    for run in client.get(f"/api/v2/dags/{job}/dagRuns").raise_for_status().json()["dag_runs"]:
        wait(client, run["dag_run_id"], job)


def wait(client: httpx.Client, run_id: str, job: str = JOB) -> str:
    """Return how a run ended."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        state = client.get(f"/api/v2/dags/{job}/dagRuns/{run_id}").raise_for_status().json()["state"]
        if state in ("success", "failed"):
            return str(state)
        time.sleep(0.5)
    raise RuntimeError(f"{run_id} did not end within {RUN_SECONDS:.0f} s")


def worker_cpu(state: Path) -> float:
    """Return the CPU seconds that the executor's workers and their tasks have used so far."""
    scheduler = next(p for p in psutil.process_iter(["cmdline", "environ"]) if _is_scheduler(p, state))
    total = scheduler.cpu_times().children_user + scheduler.cpu_times().children_system
    for child in scheduler.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:  # it ended: its parent has counted it, or will
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _is_scheduler(process: psutil.Process, state: Path) -> bool:
    command, environment = process.info["cmdline"] or [], process.info["environ"] or {}
    ours = environment.get("UPKEEP_STACK") == str(state)
    parent = process.parent()
    return ours and "scheduler" in command and parent is not None and "supervisor" in " ".join(parent.cmdline())


if __name__ == "__main__":
    main()
