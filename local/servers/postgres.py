"""PostgreSQL: the newest version that apt offers, or one by name, unpacked into the cache, run in the foreground."""

import os
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psycopg

from local.errors import LocalError
from local.obtain import debs, versions
from local.process import as_account, free_port, give_to_account, run
from local.servers.base import Server

# What every server of ours gets; callers override single settings.
BASE_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "jit": "off",  # its library is not unpacked
    "shared_buffers": "128MB",
    "max_connections": "200",
}


@cache
def postgres_bin() -> Path:
    """Return the folder of PostgreSQL's programs, fetching them the first time.

    ``UPKEEP_POSTGRES_BIN`` names another one, ``UPKEEP_POSTGRES_VERSION`` another version to fetch.

    Raises
    ------
    LocalError
        When nothing can be fetched and nothing is installed.
    """
    override = os.environ.get("UPKEEP_POSTGRES_BIN")
    if override:
        folder = Path(override)
        if not (folder / "initdb").is_file():
            message = f"UPKEEP_POSTGRES_BIN={override} holds no initdb: name the bin folder of a PostgreSQL server"
            raise LocalError(message)
        return folder
    if version := versions.wanted("postgres"):
        return versions.postgres(version)
    unpacked = _unpacked()
    if unpacked is not None:
        return next(iter(unpacked.root.glob("usr/lib/postgresql/*/bin")))
    installed = _installed()
    if installed is None:
        message = "no PostgreSQL server found: install one (14 to 18) and set UPKEEP_POSTGRES_BIN to its bin folder"
        raise LocalError(message)
    return installed


@cache
def _unpacked() -> debs.Unpacked | None:
    if not debs.available():
        return None
    current = debs.current("postgres")
    if current is not None:
        return current
    try:
        apt = debs.Apt()
        major = apt.newest_postgres()
    except LocalError:
        if _installed() is None:
            raise
        return None
    wanted = [f"postgresql-{major}", f"postgresql-client-{major}"]
    # pg_partman is what the benchmarks compare with; archives without it serve everything else.
    wanted += [extra for extra in (f"postgresql-{major}-partman",) if apt.offers(extra)]
    return debs.obtain("postgres", wanted)


def _installed() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        initdb = shutil.which("initdb")
        return Path(initdb).resolve().parent if initdb else None
    return max(found, key=lambda folder: float(folder.parent.name))


def unpacked_postgres() -> debs.Unpacked | None:
    """Return the packages that PostgreSQL lies in; None: it is the system's, or somebody named it."""
    named = os.environ.get("UPKEEP_POSTGRES_BIN") or versions.wanted("postgres")
    return None if named else _unpacked()


def postgres_environment() -> dict[str, str]:
    """Return the environment that PostgreSQL's programs need (unpacked shared libraries, no PG* of the caller's)."""
    unpacked = unpacked_postgres()
    base = unpacked.environment() if unpacked else dict(os.environ)
    return {key: value for key, value in base.items() if not key.startswith("PG")}


class PostgresServer(Server):
    """One PostgreSQL server; see `start_postgres`."""

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": disconnect everybody, then a clean shutdown

    def __init__(self, directory: Path, *, port: int, password: str, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, port=port, password=password)
        self.settings = dict(settings or {})
        self.login = "postgres"

    @property
    def user(self) -> str:
        """The superuser; of a new cluster the first one, `login` may name another since."""
        return self.login

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    def uri(self, database: str = "postgres") -> str:
        """Return a libpq URI of ``database``, password included."""
        return f"postgresql://{self.user}:{quote(self.password, safe='')}@{self.host}:{self.port}/{quote(database)}"

    def prepare(self) -> None:
        """Create the cluster with scram passwords for every connection, and write its configuration."""
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        values = {
            **BASE_SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            **self.settings,
        }
        lines = [f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in values.items()]
        conf = self.data / "upkeep.conf"
        conf.write_text("# Written at every start by Upkeep's local stack.\n" + "\n".join(lines) + "\n")
        conf.chmod(0o644)

    def _initdb(self) -> None:
        # A half-made cluster of an interrupted start has no PG_VERSION: initdb wants it gone.
        shutil.rmtree(self.data, ignore_errors=True)
        secret = self.directory / ".password"
        secret.write_text(self.password)
        give_to_account(secret)
        command: list[str | Path] = [
            *(postgres_bin() / "initdb", "--pgdata", self.data, "--username", self.user, "--pwfile", secret),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
        ]
        try:
            run(as_account(command, tied=False), env=postgres_environment(), cwd=self.directory)
        finally:
            secret.unlink()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("include 'upkeep.conf'\n")

    def command(self) -> Sequence[str | Path]:
        """Return the server in the foreground."""
        return [postgres_bin() / "postgres", "-D", self.data]

    def environment(self) -> dict[str, str]:
        """Return the environment with the unpacked shared libraries."""
        return postgres_environment()

    def probe(self) -> None:
        """Log in and out."""
        psycopg.connect(self.uri(), connect_timeout=5).close()


def start_postgres(directory: Path, *, settings: Mapping[str, str] | None = None) -> PostgresServer:
    """Start a PostgreSQL server on a free port and return it.

    Parameters
    ----------
    directory
        Where everything of it lives; a fresh one, since the password is made up here.
    settings
        Configuration parameters on top of `BASE_SETTINGS`, as strings.

    Returns
    -------
    PostgresServer
        Running; use it as a context manager or call ``stop()``.

    Raises
    ------
    LocalError
        When it cannot be obtained or does not start.
    """
    server = PostgresServer(directory, port=free_port(), password=secrets.token_urlsafe(18), settings=settings)
    server.start()
    return server
