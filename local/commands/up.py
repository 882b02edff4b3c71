"""``local up``: everything starts, in the order in which it is needed, as much at once as possible.

PostgreSQL comes first, then Airflow's database; while Airflow's four programs start, the sample fleet is loaded.
TiDB is started like the others but waited for by nobody: its first build takes minutes, and it joins when ready.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.metadata import version

from local import tools
from local.commands.status import print_status
from local.errors import LocalError
from local.obtain import tidb
from local.process import exclusive
from local.servers import Server
from local.servers.mongo import mongod_program
from local.servers.postgres import postgres_bin
from local.servers.redis import redis_program
from local.stack import airflow_env, building, databases, settings_file, state, supervisor
from local.stack.servers import external_tidb, stack_servers
from upkeep import settings

START_TIMEOUT = 300.0  # seconds; half a minute on an idle machine, minutes on one that does other things too


def main(arguments: argparse.Namespace) -> int:
    """Start what does not run; 0 when PostgreSQL, Redis, MongoDB and Airflow answer and the sample is loaded."""
    folder = state.make_state_dir()
    with exclusive(folder / ".up.lock"):
        started = time.monotonic()
        _up(new_ports=arguments.new_ports)
        print(f"\nup in {time.monotonic() - started:.0f} s")
    print_status()
    return 0


def _up(*, new_ports: bool) -> None:
    _recover()
    known = _ports(new_ports=new_ports)
    servers = stack_servers(known)
    _step("obtaining the servers", _obtain)
    _step("starting PostgreSQL, Redis, MongoDB", lambda: _start_servers(known, servers))
    _announce_tidb(servers)
    content = settings_file.read(settings_file.settings_file(), settings_file.placeholders(known))
    settings_file.write_connections(content)
    _step("preparing Airflow's database", lambda: _prepare_airflow(known, content))
    building.leave_out()
    _build_tools()
    with _sample_loading() as sample:
        _step("starting Airflow", lambda: _start_airflow(known))
        _step("loading the sample fleet", lambda: _finish(sample))


def _step(title: str, work: Callable[[], None]) -> None:
    print(f"{title} …", end=" ", flush=True)
    started = time.monotonic()
    work()
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def _recover() -> None:
    """Clear away what a killed supervisor, or a killed program, left; what is supervised is kept."""
    ended = supervisor.end_leftovers() if supervisor.pid() is None else supervisor.end_strays()
    if ended:
        print(f"ended {ended} processes that an interrupted stack left behind")


def _ports(*, new_ports: bool) -> state.State:
    if new_ports:
        supervisor.shutdown()
        known = state.remembered()
        if known is not None:
            known.ports.clear()
            known.save()
    known = state.load_or_create()
    own = {process.pid for process in supervisor.stack_processes()}
    state.check_ports(known, own)
    return known


def _obtain() -> None:
    postgres_bin()
    redis_program()
    mongod_program()
    tools.lay()


def _start_servers(known: state.State, servers: dict[str, Server]) -> None:
    supervisor.write_config([*servers, *airflow_env.PROGRAMS, airflow_env.LOG_SERVER])
    if supervisor.pid() is None:
        supervisor.start()
    else:
        supervisor.reload_config()
    names = [name for name in servers if name != "tidb"]
    for name in names:
        supervisor.start_program(name)
    for name in names:
        _await(servers[name].probe, name)
        servers[name].after_start()
    databases.create_databases(servers["postgres"], known)


def _announce_tidb(servers: dict[str, Server]) -> None:
    if external_tidb():
        return
    if tidb.installed() is None:
        log = supervisor.log_folder() / "tidb.log"
        print(f"TiDB is being built from its Go modules (8 to 12 minutes, once, in the background): tail -f {log}")
    supervisor.start_program("tidb")
    del servers


def _build_tools() -> None:
    """Build in the background what TiDB's backups need; it waits for a build of TiDB itself that is under way."""
    if tidb.installed(tidb.DUMPLING) is None:
        with (supervisor.log_folder() / f"{tidb.DUMPLING}.log").open("a") as output:
            subprocess.Popen(
                [sys.executable, "-m", "local", "build", tidb.DUMPLING],
                cwd=settings.checkout(),
                env=airflow_env.stack_environment(),  # its mark: whoever stops the stack ends this too
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def _await(probe: Callable[[], None], name: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            probe()
        except Exception as error:
            if time.monotonic() > deadline or _is_dead(name):
                tail = supervisor.log_tail(name)
                message = f"{name} does not answer ({error}). The end of its log:\n{tail}"
                raise LocalError(message) from error
            time.sleep(0.1)
        else:
            return


def _is_dead(name: str) -> bool:
    return any(program.name == name and program.state in {"FATAL", "EXITED"} for program in supervisor.programs())


def _prepare_airflow(known: state.State, content: settings_file.AirflowSettings) -> None:
    home = airflow_env.airflow_home()
    home.mkdir(exist_ok=True)
    home.chmod(0o700)
    passwords = {user: known.secrets[user] for user in airflow_env.USERS}
    state.write_private(airflow_env.passwords_file(), json.dumps(passwords))
    stamp = home / "migrated"
    release = version("apache-airflow")
    migrate = not stamp.exists() or stamp.read_text() != release
    request = {"migrate": migrate, **content.__dict__}
    fingerprint = home / "imported.json"
    text = json.dumps(request)
    if not migrate and fingerprint.exists() and fingerprint.read_text() == text:
        return  # nothing has changed since the last import
    result = subprocess.run(
        [sys.executable, settings.checkout() / "local" / "stack" / "airflow_import.py"],
        input=text,
        env=airflow_env.airflow_environment(known),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        message = f"Airflow's database could not be prepared:\n{result.stderr[-3000:]}"
        raise LocalError(message)
    stamp.write_text(release)
    state.write_private(fingerprint, json.dumps({**request, "migrate": False}))


def _start_airflow(known: state.State) -> None:
    for name in (*airflow_env.PROGRAMS, airflow_env.LOG_SERVER):
        supervisor.start_program(name)
    url = f"{airflow_env.web_url(known)}/api/v2/monitor/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine needs no proxy

    def healthy() -> None:
        with opener.open(url, timeout=5) as answer:
            parts = json.load(answer)
        ill = [name for name, part in parts.items() if part and part.get("status") != "healthy"]
        if ill:
            message = f"not healthy yet: {', '.join(ill)}"
            raise TimeoutError(message)

    _await(healthy, "api-server")
    # The API server builds what tasks speak to at their first request, which takes seconds: now, beside the sample's
    # loading, instead of in the first task of the first night.
    with contextlib.suppress(OSError):
        opener.open(f"{airflow_env.web_url(known)}/execution/health", timeout=60).close()


def _sample_loading() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "local", "sample"],
        cwd=settings.checkout(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(sample: "subprocess.Popen[str]") -> None:
    output, _ = sample.communicate()
    if sample.returncode:
        message = f"the sample fleet could not be loaded:\n{output}"
        raise LocalError(message)
    if output.strip():
        print(f"({output.strip()})", end=" ", flush=True)
