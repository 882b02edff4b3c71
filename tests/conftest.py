"""Real servers for every test that wants one: started at first use, stopped at the end of the session."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

# What is read from a screen does not depend on whose screen it is: consoles ask for these where they are made.
os.environ.pop("COLUMNS", None)
os.environ.pop("FORCE_COLOR", None)
os.environ.pop("TTY_COMPATIBLE", None)

import local.tools
from local.obtain.versions import wanted
from local.servers import (
    MongoServer,
    PostgresServer,
    RedisServer,
    TidbServer,
    start_mongo,
    start_redis,
    start_tidb,
    temporary_directory,
)
from tests.harness import groups, least, scratching, servers, timing
from tests.harness.servers import fresh_database, ledger_template
from tests.harness.stack import Stack, run_local, start_stack
from tests.harness.stepping import Stepping
from upkeep import settings
from upkeep.model import ENGINES


def pytest_addoption(parser: pytest.Parser) -> None:
    timing.add_options(parser)
    parser.addoption(
        "--every-statement", action="store_true", help="kill jobs at every step of every case, not at distinct ones"
    )


def pytest_configure(config: pytest.Config) -> None:
    scratching.begin(config)
    least.lower()


def pytest_unconfigure(config: pytest.Config) -> None:
    scratching.end(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> groups.ByGroup:
    return groups.ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("since"):
            servers.leave_out(item, mark.kwargs)
    if hasattr(config, "workerinput"):  # a process of several
        groups.longest_first(items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    timing.record(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    timing.summarise(terminalreporter, config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    timing.finish(session)


@pytest.fixture(scope="session", autouse=True)
def tools(request: pytest.FixtureRequest) -> None:
    """The programs that backups run, where Upkeep finds them (``upkeep.settings.tools_dir``)."""
    names = (name for item in request.session.items for name in getattr(item, "fixturenames", ()))
    if any(map(wanted, ENGINES)) or any(name.endswith("server") for name in names):
        folder = local.tools.lay()
        if folder != settings.tools_dir():  # those of another version (``UPKEEP_POSTGRES_VERSION`` and the like)
            os.environ["UPKEEP_TOOLS"] = str(folder)


@pytest.fixture(scope="session")
def stepping(pytestconfig: pytest.Config) -> Stepping:
    """What says at which steps a killing test kills."""
    return Stepping(every=pytestconfig.getoption("--every-statement"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the session (wal_level=logical, max_connections=200)."""
    with servers.alone(servers.start_postgres) as server:
        yield server


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this test alone, for tests that kill or reconfigure it."""
    with servers.alone(servers.start_postgres) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """URI of a fresh database, the target of the test."""
    with fresh_database(postgres_server, "target") as uri:
        yield uri


@pytest.fixture(scope="session")
def migrated_ledger(postgres_server: PostgresServer) -> Iterator[str]:
    """Name of a database with an empty ledger, migrated once for the session."""
    with ledger_template(postgres_server) as name:
        yield name


@pytest.fixture
def control_database(postgres_server: PostgresServer, migrated_ledger: str) -> Iterator[str]:
    """URI of a fresh database with an empty ledger."""
    with fresh_database(postgres_server, "control", template=migrated_ledger, owner=least.LEDGER) as uri:
        yield uri


@pytest.fixture
def empty_control_database(postgres_server: PostgresServer) -> Iterator[str]:
    """URI of a fresh database in which no ledger was made yet."""
    with fresh_database(postgres_server, "control", owner=least.LEDGER) as uri:
        yield uri


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis server for the session."""
    with servers.alone(start_redis) as server:
        yield server


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A Redis server for this test alone, for tests that kill or reconfigure it."""
    with servers.alone(start_redis) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[MongoServer]:
    """One MongoDB server, primary of a replica set of one, for the session."""
    with servers.alone(start_mongo) as server:
        yield server


@pytest.fixture(scope="session")
def tidb_server() -> Iterator[TidbServer]:
    """One TiDB server for the session; built first if it is not there, which takes 8 to 12 minutes."""
    with servers.alone(start_tidb) as server:
        yield server


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole local stack with the sample fleet, on ports of its own; takes about a minute to start."""
    directory = temporary_directory()
    try:
        yield start_stack(directory)
    finally:
        run_local(directory, "down", "--remove")
