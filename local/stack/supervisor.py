"""The process supervisor of the stack: its configuration, and a small client of its control socket."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from local.errors import LocalError
from local.stack.airflow_env import LOG_SERVER, PROGRAM_MARK, PROGRAMS, STACK_MARK, stack_environment
from local.stack.state import write_private
from upkeep import settings
from upkeep.model import ENGINES

# Stopped in the reverse order: first Airflow, then the databases that it speaks to.
PRIORITIES = {**dict.fromkeys(ENGINES, 20), "postgres": 10, **dict.fromkeys((*PROGRAMS, LOG_SERVER), 50)}
STOP_SIGNALS = {"postgres": "INT"}  # "fast" shutdown; everything else stops cleanly on TERM
STOP_SECONDS = 30
STRAY_SECONDS = 5  # a task that is told to stop cancels its statement on the server
STOPPABLE = {"STARTING", "RUNNING"}
ALREADY_STARTED = 60  # fault code of supervisor


@dataclass(frozen=True)
class Program:
    """One program as supervisor sees it."""

    name: str
    state: str
    pid: int
    uptime: float


def config_file() -> Path:
    """Return supervisor's generated configuration."""
    return settings.state_dir() / "supervisord.conf"


def socket_file() -> Path:
    """Return supervisor's control socket."""
    return settings.state_dir() / "supervisor.sock"


def log_folder() -> Path:
    """Return the folder of the programs' output."""
    return settings.state_dir() / "logs"


def write_config(programs: list[str]) -> None:
    """Write the configuration for ``programs``; it holds no secret: each program reads its own at its start."""
    home, logs = settings.state_dir(), log_folder()
    logs.mkdir(exist_ok=True)
    logs.chmod(0o700)
    who = ["user=root"] if os.geteuid() == 0 else []  # says that it is meant; supervisor warns otherwise
    lines = [
        "[supervisord]",
        f"logfile={logs / 'supervisord.log'}",
        f"pidfile={home / 'supervisord.pid'}",
        "umask=077",  # its own files; `local exec` sets the programs'
        f"childlogdir={logs}",
        *who,
        "[unix_http_server]",
        f"file={socket_file()}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for name in programs:
        lines += [
            f"[program:{name}]",
            f'command="{sys.executable}" -m local exec {name}',
            f"directory={settings.checkout()}",
            f"priority={PRIORITIES[name]}",
            "autostart=false",  # `up` starts them in order, each when it can run
            "autorestart=unexpected",
            "startsecs=1",
            "startretries=3",
            f"stopsignal={STOP_SIGNALS.get(name, 'TERM')}",
            f"stopwaitsecs={STOP_SECONDS}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={logs / name}.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=1",
        ]
        if name == "tidb":
            lines.append("stopasgroup=true")  # while it builds, the compiler is a child
    write_private(config_file(), "\n".join(lines).replace("%", "%%") + "\n")


def pid() -> int | None:
    """Return supervisor's process id, or None when it does not run."""
    try:
        number = int((settings.state_dir() / "supervisord.pid").read_text())
        process = psutil.Process(number)
        ours = any("supervisord" in word for word in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return number if ours else None


def start() -> None:
    """Start supervisor if it does not run; return when it answers.

    Raises
    ------
    LocalError
        When it does not start.
    """
    if pid() is not None:
        return
    socket_file().unlink(missing_ok=True)
    daemon = Path(sys.executable).parent / "supervisord"
    environment = stack_environment()
    result = subprocess.run(
        [daemon, "-c", config_file()], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    deadline = time.monotonic() + 10
    while result.returncode == 0 and time.monotonic() < deadline:
        try:
            client().getState()
        except (OSError, xmlrpc.client.Error):
            time.sleep(0.05)
        else:
            return
    message = f"supervisor did not start: {result.stderr or result.stdout} (see {log_folder() / 'supervisord.log'})"
    raise LocalError(message)


def client() -> Any:
    """Return supervisor's remote procedures (`getState`, `startProcess` …)."""
    transport = SupervisorTransport(serverurl=f"unix://{socket_file()}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def reload_config() -> None:
    """Make a running supervisor read a changed configuration, adding and removing programs."""
    added, changed, removed = client().reloadConfig()[0]
    for name in [*removed, *changed]:
        client().stopProcessGroup(name)
        client().removeProcessGroup(name)
    for name in [*added, *changed]:
        client().addProcessGroup(name)


def programs() -> list[Program]:
    """Return all programs, or nothing when supervisor does not run."""
    if pid() is None:
        return []
    return [
        Program(info["name"], info["statename"], info["pid"], max(0.0, float(info["now"] - info["start"])))
        for info in client().getAllProcessInfo()
    ]


def start_program(name: str) -> None:
    """Start one program if it does not run, without waiting for it."""
    try:
        client().startProcess(name, False)  # noqa: FBT003 - XML-RPC knows no keywords
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != ALREADY_STARTED:
            message = f"{name} does not start ({fault.faultString}). The end of its log:\n{log_tail(name)}"
            raise LocalError(message) from fault


def log_tail(name: str, lines: int = 15) -> str:
    """Return the last lines of a program's output."""
    path = log_folder() / f"{name}.log"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no output)"


def shutdown() -> None:
    """Stop all programs in order, then supervisor itself; return when it is gone."""
    number = pid()
    if number is None:
        return
    process = psutil.Process(number)
    try:
        _stop_together((*PROGRAMS, LOG_SERVER))
        client().shutdown()
    except (OSError, xmlrpc.client.Error):  # the socket is gone, the process is not
        process.terminate()
    try:
        process.wait(STOP_SECONDS * 4)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def _stop_together(names: tuple[str, ...]) -> None:
    """Tell several programs to stop and wait for all: supervisor itself would do it one after the other."""
    running = [program.name for program in programs() if program.name in names and program.state in STOPPABLE]
    for name in running:
        client().stopProcess(name, False)  # noqa: FBT003 - XML-RPC knows no keywords
    deadline = time.monotonic() + STOP_SECONDS + 5
    while time.monotonic() < deadline:
        if not any(program.name in running and program.pid for program in programs()):
            return
        time.sleep(0.1)


def stack_processes() -> list[psutil.Process]:
    """Return every living process of this stack, ourselves not: by the mark in its environment, or by descent."""
    number = pid()
    return [*(psutil.Process(number).children(recursive=True) if number else []), *_marked()]


def _marked(program: str | None = None) -> list[psutil.Process]:
    """Return the processes, ourselves not, whose environment says that they are this stack's (or a program's)."""
    wanted = {STACK_MARK: str(settings.state_dir())} | ({PROGRAM_MARK: program} if program else {})
    us = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in us and wanted.items() <= process.environ().items():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def end_strays(program: str | None = None) -> int:
    """End what a killed program left behind while supervisor went on; return how many processes that were.

    Parameters
    ----------
    program
        The one that is about to be started anew: whatever of it still lives is of before. Default: what does not
        descend from supervisor.
    """
    number = pid()
    kept = {child.pid for child in psutil.Process(number).children(recursive=True)} if number and not program else set()
    strays = [process for process in _marked(program) if process.pid not in {*kept, number}]
    _end(strays, strays, STRAY_SECONDS)
    return len(strays)


def end_leftovers() -> int:
    """End what an unsupervised end of supervisor (kill -9) left behind; return how many processes that were.

    Only the heads of the process trees get a signal at first (PostgreSQL SIGINT, the others SIGTERM), since they
    stop their children better than we can; what is left after a while is killed.
    """
    leftovers = [process for process in stack_processes() if process.status() != psutil.STATUS_ZOMBIE]
    pids = {process.pid for process in leftovers}
    _end(leftovers, [process for process in leftovers if _parent(process) not in pids], STOP_SECONDS / 2)
    return len(leftovers)


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None


def _end(processes: list[psutil.Process], told: list[psutil.Process], patience: float) -> None:
    """Tell some processes to stop, and kill what of all is left after ``patience`` seconds."""
    for process in told:
        with contextlib.suppress(
            psutil.NoSuchProcess
        ):  # psutil knows a process by its start too, not by its number alone
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=patience)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=patience)
