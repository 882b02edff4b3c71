"""Every setting of the local Airflow, in one place.

They are environment variables, which win over any ``airflow.cfg`` and are the same for all of Airflow's programs.
"""

import os
import sys
from pathlib import Path
from urllib.parse import quote

from local.stack import building
from local.stack.state import State
from upkeep import settings

CLEANER = "cleaner"
"""Keeps Airflow's history small, once a day: its tasks may not use its database, so no DAG can do that."""
PROGRAMS = ("api-server", "scheduler", "dag-processor", "triggerer", CLEANER)
USERS = {"admin": "admin", "viewer": "viewer"}  # user → role of the simple auth manager
LOG_SERVER = "log-server"
"""Serves the logs of running tasks to the web interface. Airflow's own one listens on all interfaces, and stays behind
when the scheduler is killed."""
STACK_MARK = "UPKEEP_STACK"  # in the environment of every process of the stack: how leftovers are recognised
PROGRAM_MARK = "UPKEEP_PROGRAM"  # and which program's: the children of one that was killed


def airflow_home() -> Path:
    """Return Airflow's own folder: logs, passwords of the web interface."""
    return settings.state_dir() / "airflow"


def passwords_file() -> Path:
    """Return the file of the web interface's passwords, a JSON object user → password."""
    return airflow_home() / "passwords.json"


def web_url(state: State) -> str:
    """Return the address of the web interface."""
    return f"http://127.0.0.1:{state.ports['web']}"


def metadata_uri(state: State, driver: str = "+psycopg2") -> str:
    """Return the SQLAlchemy URI of Airflow's own database."""
    password = quote(state.secrets["airflow"], safe="")
    return f"postgresql{driver}://airflow:{password}@127.0.0.1:{state.ports['postgres']}/airflow"


def airflow_settings(state: State) -> dict[str, str]:
    """Return Airflow's settings, ``SECTION__KEY`` → value."""
    checkout, url = settings.checkout(), web_url(state)
    workers = max(2, min(4, os.cpu_count() or 2))
    return {
        "CORE__DAGS_FOLDER": str(checkout / "dags"),
        "CORE__PLUGINS_FOLDER": str(checkout / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__HOSTNAME_CALLABLE": "airflow_local_settings.loopback",  # where the logs of its tasks are asked for
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(workers),  # each worker holds Great Expectations in (mostly shared) memory
        "CORE__FERNET_KEY": state.fernet,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file()),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(state.ports["web"]),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "API__SECRET_KEY": state.secrets["session"],
        "API_AUTH__JWT_SECRET": state.secrets["jwt"],
        "DATABASE__SQL_ALCHEMY_CONN": metadata_uri(state),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",  # seconds until an edited DAG is seen
        "WORKERS__EXECUTION_API_TIMEOUT": "60",  # a busy machine: five seconds are short for the first answer
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",  # a chain of three tasks: 1.3 s; with the default 1 s: 4 s
        "LOGGING__BASE_LOG_FOLDER": str(airflow_home() / "logs"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(state.ports["logs"]),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(state.ports["logs"]),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def stack_environment() -> dict[str, str]:
    """Return what every process of the stack gets, servers included: where things are, and whose it is."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "PG"))}
    keep.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **keep,
        "UPKEEP_HOME": str(settings.checkout()),
        "UPKEEP_STATE_DIR": str(settings.state_dir()),
        "UPKEEP_CACHE_DIR": str(settings.cache_dir()),
        STACK_MARK: str(settings.state_dir()),
        "SPT_NOENV": "1",  # setproctitle (in Airflow) would write its title over the mark
    }


def airflow_command(name: str, state: State) -> list[str]:
    """Return the program and its arguments."""
    folder = Path(sys.executable).parent
    if name == LOG_SERVER:
        where = ["--host", "127.0.0.1", "--port", str(state.ports["logs"]), "--no-access-log"]
        return [str(folder / "uvicorn"), "--factory", "airflow.utils.serve_logs.log_server:get_app", *where]
    if name == CLEANER:
        return [sys.executable, "-m", "upkeep.airflow.cleaning", "--daily"]
    quiet = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
    return [str(folder / "airflow"), name, *quiet]


def airflow_environment(state: State) -> dict[str, str]:
    """Return the whole environment of Airflow's programs."""
    checkout = settings.checkout()
    local_hosts = "127.0.0.1,localhost"
    proxies = ",".join(filter(None, (os.environ.get("NO_PROXY"), local_hosts)))
    return {
        **stack_environment(),
        **{f"AIRFLOW__{key}": value for key, value in airflow_settings(state).items()},
        "AIRFLOW_HOME": str(airflow_home()),
        # airflow_local_settings.py lies there; Airflow imports it at the start of every process.
        "PYTHONPATH": str(checkout / "local" / "airflow_config"),
        "UPKEEP_CONNECTIONS_FILE": str(settings.connections_file()),
        "UPKEEP_LOOK_POOL": "upkeep_look",  # both of airflow_settings.yaml
        "UPKEEP_VERIFY_POOL": "upkeep_verify",
        **building.environment(),
        "NO_PROXY": proxies,  # tasks speak to the API server on this machine
        "no_proxy": proxies,
        "OPENBLAS_NUM_THREADS": "1",  # threads before a fork are a hazard; see airflow_local_settings.py
        "GX_ANALYTICS_ENABLED": "False",
        "PATH": f"{checkout / '.venv' / 'bin'}:{os.environ.get('PATH', '')}",
    }
