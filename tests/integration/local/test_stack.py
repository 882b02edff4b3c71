"""The local stack: up, twice, killed, down; nothing left."""

import contextlib
import json
import os
import signal
import stat
import time
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from local.process import temporary_directory
from tests.harness.stack import Stack, run_local

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]


def processes(stack: Stack) -> dict[int, psutil.Process]:
    """Return what runs for a stack; ``info`` is from one look, as any of them may end at any time."""
    seen = psutil.process_iter(["environ", "cmdline", "name", "ppid"])
    return {p.pid: p for p in seen if (p.info["environ"] or {}).get("UPKEEP_STACK") == str(stack.state_dir)}


def test_airflow_is_healthy_and_asks_who_is_there(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=30) as client:
        health = client.get("/api/v2/monitor/health").json()
        assert {part["status"] for part in health.values()} == {"healthy"}
        assert client.get("/api/v2/dags").status_code == 401
        token = client.post("/auth/token", json={"username": "viewer", "password": stack.passwords["viewer"]})
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        assert client.get("/api/v2/dags", headers=headers).status_code == 200


def test_airflow_and_the_command_line_know_the_same_connections(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=30) as client:
        token = client.post("/auth/token", json={"username": "admin", "password": stack.passwords["admin"]})
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        known = client.get("/api/v2/connections", headers=headers).json()["connections"]
    assert {entry["connection_id"] for entry in known} == set(stack.connections)


def test_secrets_are_in_private_files_and_in_no_log(stack: Stack) -> None:
    secrets = json.loads((stack.state_dir / "stack.json").read_text())["secrets"].values()
    for name in ("stack.json", "connections.json", "airflow/passwords.json"):
        assert stat.S_IMODE((stack.state_dir / name).stat().st_mode) == 0o600
    for log in stack.state_dir.rglob("*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], log
    assert not [secret for secret in secrets if secret in (stack.state_dir / "supervisord.conf").read_text()]


def test_no_secret_is_an_argument(stack: Stack) -> None:
    secrets = json.loads((stack.state_dir / "stack.json").read_text())["secrets"].values()
    for process in processes(stack).values():
        words = " ".join(process.info["cmdline"] or ())
        assert not [secret for secret in secrets if secret in words]


def test_up_again_is_fast_and_restarts_nothing(stack: Stack) -> None:
    before = (stack.state_dir / "supervisord.pid").read_text()
    started = time.monotonic()
    result = stack.local("up")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - started < 30
    assert (stack.state_dir / "supervisord.pid").read_text() == before


def test_killed_supervisor_is_recovered_from(stack: Stack) -> None:
    os.kill(int((stack.state_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    result = stack.local("up")
    assert result.returncode == 0, result.stdout + result.stderr
    assert stack.local("status").returncode == 0
    names = [process.info["name"] for process in processes(stack).values()]
    assert names.count("mongod") == 1


def test_down_leaves_nothing_running_and_up_finds_everything_again(stack: Stack) -> None:
    ports = json.loads((stack.state_dir / "stack.json").read_text())["ports"]
    assert stack.local("down").returncode == 0
    assert processes(stack) == {}
    assert stack.local("down").stdout.strip() == "nothing runs"
    assert stack.local("up").returncode == 0
    assert json.loads((stack.state_dir / "stack.json").read_text())["ports"] == ports


def test_nobody_else_looks_into_the_state(stack: Stack) -> None:
    assert stack.state_dir.stat().st_mode & 0o067 == 0, "others neither enter nor list; a group may pass"
    for entry in [*stack.state_dir.iterdir(), *(stack.state_dir / "logs").iterdir()]:
        if not entry.is_socket():
            assert entry.stat().st_mode & 0o077 == 0, entry


def test_nothing_listens_on_other_interfaces(stack: Stack) -> None:
    listening = set()
    for process in processes(stack).values():
        with contextlib.suppress(psutil.NoSuchProcess):  # the DAG processor's children come and go
            held = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
            listening |= {(place.ip, place.port, process.info["name"]) for place in held}
    assert {ip for ip, _, _ in listening} <= {"127.0.0.1", "::1"}, listening
    ports = json.loads((stack.state_dir / "stack.json").read_text())["ports"]
    assert ports["logs"] in {port for _, port, _ in listening}
    log = f"http://127.0.0.1:{ports['logs']}/log/dag_id=x/1.log"
    assert httpx.get(log, trust_env=False).status_code == 403, "without Airflow's token"


def test_no_password_is_read_in_the_statistics_of_statements(stack: Stack) -> None:
    known = json.loads((stack.state_dir / "stack.json").read_text())
    secrets = list(known["secrets"].values())
    host = f"127.0.0.1:{known['ports']['postgres']}/pipeline"
    with psycopg.connect(f"postgresql://postgres:{known['secrets']['postgres']}@{host}") as connection:
        texts = [row[0] for row in connection.execute("select query from pg_stat_statements")]
        assert texts
        assert not [text for text in texts for secret in secrets if secret in text]
    with psycopg.connect(f"postgresql://pipeline:{known['secrets']['pipeline']}@{host}") as connection:
        for source in ("pg_stat_statements", "pg_stat_statements(true)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"select * from {source}")


def test_a_killed_scheduler_leaves_no_worker_behind(stack: Stack) -> None:
    def schedulers() -> dict[int, psutil.Process]:
        found = processes(stack)
        return {pid: p for pid, p in found.items() if p.info["environ"].get("UPKEEP_PROGRAM") == "scheduler"}

    before = schedulers()
    (head,) = [p for p in before.values() if p.info["ppid"] not in before]
    assert len(before) > 1, "it has workers"
    head.kill()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not (now := schedulers()) or set(now) & set(before)):
        time.sleep(0.5)
    assert not set(now) & set(before), "the workers of the killed one were ended"
    assert stack.local("up").returncode == 0
    assert stack.local("status").returncode == 0


def test_before_the_first_start() -> None:
    directory = temporary_directory()
    assert "make run" in run_local(directory, "status").stdout
    assert "make run" in run_local(directory, "sample").stderr
    Path(directory).rmdir()
