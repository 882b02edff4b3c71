"""Errors that say what is wrong and how to mend it; and secrets that none of them, nor the ledger, ever shows.

(issue 3, "Robust"; DESIGN 5.8, 5.9.)
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from local.process import as_account, free_port, run
from local.servers import PostgresServer, temporary_directory
from local.servers.postgres import postgres_bin, postgres_environment
from tests.harness import commands as help_
from tests.harness import least
from tests.harness.cases import AT, CASES, ROWS, prepare
from tests.harness.commands import Bed, Db, Done
from upkeep.postgres import session

SECRET: Final = "Correct-Horse_99/@:%"
URL_SECRET: Final = "Correct-Horse_99%2F%40%3A%25"
_numbers = itertools.count(1)
CREATE = CASES["create"]
RETAINED: Final = "retain: {by: at, for: 5 days, requires: nothing, then: delete}"
DELETES = CASES["delete rows"]


@pytest.fixture
def db(bed: Bed) -> Iterator[Db]:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        connection.execute("set client_min_messages = 'error'")
        yield connection


@pytest.fixture
def keeper(bed: Bed, db: Db) -> Iterator[str]:
    """A role without any right of its own; the target's address logs in with it and `SECRET`."""
    role = f"keeper_{os.getpid()}_{next(_numbers)}"
    db.execute(f"create role {role} login password '{SECRET}'")
    known = conninfo_to_dict(bed.target)
    bed.addresses["shop"] = f"postgresql://{role}:{URL_SECRET}@127.0.0.1:{known['port']}/{known['dbname']}"
    control = bed.control
    yield role
    with psycopg.connect(least.whole(control), autocommit=True) as other:
        other.execute(f"drop owned by {role} cascade")
    db.execute(f"drop owned by {role} cascade; drop role {role}")


def address(uri: str, **other: str) -> str:
    """Return a URI with some parts replaced."""
    known = {**conninfo_to_dict(uri), **other}
    return f"postgresql://{known['user']}:{known['password']}@{known['host']}:{known['port']}/{known['dbname']}"


def says(done: Done, *texts: str) -> None:
    flat = " ".join(done.said.replace("│", " ").split())
    for text in texts:
        assert text in flat, (text, done.said)
    assert "Traceback" not in done.said, done.said
    for secret in (SECRET, URL_SECRET):
        assert secret not in done.said


# -- addresses ----------------------------------------------------------------------------------------

WRONG: Final = {
    "password": ({"password": URL_SECRET}, "check user and password"),
    "user": ({"user": "nobody_here", "password": URL_SECRET}, "check user and password"),
    "database": ({"dbname": "no_such_database"}, "check the name of the database"),
    "port": ({"port": "1"}, "check host and port"),
    "host": ({"host": "no-such-host.invalid"}, "check host and port"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_address_of_a_target(bed: Bed, what: str) -> None:
    change, remedy = WRONG[what]
    bed.declare({"app.logs": CREATE.policy})
    bed.addresses["shop"] = address(bed.target, **change)
    for command in (("run", "partition_creation"), ("check",)):
        done = bed.upkeep(*command)
        assert done.status == 3, done.said
        says(done, "connection 'shop_db'", remedy, *(v for k, v in change.items() if k != "password"))


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_address_of_the_ledger(bed: Bed, what: str) -> None:
    change, _ = WRONG[what]
    bed.declare({"app.logs": CREATE.policy})
    bed.control = address(bed.control, **change)
    done = bed.upkeep("run", "partition_creation")
    assert done.status == 3, done.said
    says(done, "the control database (connection 'upkeep_control'", "without the ledger nothing is changed")
    says(done, *(v for k, v in change.items() if k != "password"))


@pytest.mark.parametrize(
    ("variables", "texts"),
    [
        ({"AIRFLOW_CONN_SHOP_DB": ""}, ["connection 'shop_db' is not defined", "set AIRFLOW_CONN_SHOP_DB="]),
        ({"AIRFLOW_CONN_SHOP_DB": "not a uri"}, ["connection 'shop_db' cannot be read", "write scheme://user"]),
        ({"AIRFLOW_CONN_SHOP_DB": f"postgresql://u:{SECRET}@h:port/d"}, ["connection 'shop_db' cannot be read"]),
        ({"AIRFLOW_CONN_SHOP_DB": f"mysql://u:{URL_SECRET}@h:1/d"}, ["of type 'mysql'", "use a connection of type"]),
        ({"AIRFLOW_CONN_UPKEEP_CONTROL": ""}, ["connection 'upkeep_control' is not defined"]),
        ({"AIRFLOW_CONN_UPKEEP_CONTROL": "[]"}, ["connection 'upkeep_control' cannot be read"]),
    ],
)
def test_a_connection_that_is_missing_or_malformed(bed: Bed, variables: dict[str, str], texts: list[str]) -> None:
    bed.declare({"app.logs": CREATE.policy})

    def before() -> None:
        os.environ.update(variables, UPKEEP_STATE_DIR=str(bed.folder / "none"))

    done = bed.upkeep("run", "partition_creation", before=before)
    assert done.status in (1, 2), done.said
    says(done, *texts)


@pytest.mark.parametrize("content", ["{", "[]", "null", '"text"', None])
def test_a_connections_file_that_cannot_be_read(bed: Bed, content: str | None) -> None:
    bed.declare({"app.logs": CREATE.policy})
    file = bed.folder / "connections.json"
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)

    def before() -> None:
        os.environ.pop("AIRFLOW_CONN_UPKEEP_CONTROL")
        os.environ["UPKEEP_CONNECTIONS_FILE"] = str(file)

    done = bed.upkeep("runs", before=before)
    assert done.status == 2, done.said
    says(done, str(file), "make run")


# -- the fleet file -----------------------------------------------------------------------------------

GOOD: Final = "version: 1\ntargets:\n  shop:\n    engine: postgres\n    connection: shop_db\n    tables:\n"


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (None, ["fleet.yaml"]),
        (b"", ["fleet.yaml"]),
        (b"\xff\xfe\x00", ["fleet.yaml"]),
        (b"version: 1\n\ttargets: {}\n", ["fleet.yaml:2"]),
        (b"version: 1\ntargets: [a\n", ["fleet.yaml:"]),
        (b"version: 7\ntargets: {}\n", ["fleet.yaml:1", "version"]),
        (b"- a\n- b\n", ["fleet.yaml"]),
        (b"version: 1\ntargets: []\n", ["fleet.yaml:2", "targets"]),
        (
            f"{GOOD}      app.logs: {{partition: {{by: at, every: 1 fortnight, ahead: 1}}}}\n",
            ["fleet.yaml:7", "fortnight"],
        ),
        (f"{GOOD}      app.logs: {{partition: {{by: at, evry: 1 day, ahead: 1}}}}\n", ["fleet.yaml:7", "evry"]),
        (f"{GOOD}      app.logs: {{retain: {{by: at, for: 1 day, then: archive}}}}\n", ["fleet.yaml:7", "into"]),
        (f"{GOOD}      app.logs: {{partition: {{by: at, every: 1 day, ahead: -1}}}}\n", ["fleet.yaml:7", "ahead"]),
    ],
)
def test_a_bad_fleet_file(bed: Bed, content: bytes | str | None, texts: list[str]) -> None:
    if content is not None:
        bed.fleet.write_bytes(content.encode() if isinstance(content, str) else content)
    done = bed.upkeep("run", "partition_creation")
    assert done.status == 2, done.said
    says(done, *texts)


def test_a_name_that_is_none_stops_its_own_table_only(bed: Bed, db: Db) -> None:
    case = CASES["archive rows"]
    prepare(db, case)
    for statement in CREATE.make:
        db.execute(statement.replace("app.logs", "app.parts"))
    into = case.policy.replace("app.kept", "'app.kept; drop'")
    bed.declare({"app.parts": CREATE.policy, "app.logs": case.policy, "a.b.c": CREATE.policy, "app.l*": into})
    created = bed.upkeep("run", "partition_creation", *AT)
    assert (created.status, created.target["status"]) == (1, "partial"), created.story
    assert created.outcomes() == {"app.parts": ["done"]}, created.story
    says(created, "'a.b.c' is not a table's name: write schema.table")
    bed.declare({"app.logs": into, "a.b.c": DELETES.policy, "app.parts": RETAINED})
    gone = bed.upkeep("run", "data_retention", *AT)
    assert (gone.status, gone.target["status"]) == (1, "partial"), gone.story
    says(gone, "'a.b.c' is not a table's name", "app.kept; drop")
    checked = bed.upkeep("check")
    assert checked.status == 1
    says(checked, "'a.b.c' is not a table's name")


def test_a_first_fleet_file_that_cannot_be_written(bed: Bed, db: Db) -> None:
    prepare(db, CREATE)
    bed.addresses["shop"] = bed.target
    (bed.folder / "file").write_text("")
    for place in (bed.folder / "no" / "such" / "fleet.yaml", bed.folder / "file" / "fleet.yaml"):
        done = bed.upkeep("init", "--from", "shop_db", fleet=place)
        assert done.status == 2, done.said
        says(done, str(place), "--fleet")


# -- privileges ---------------------------------------------------------------------------------------


def test_without_ownership_of_one_table_the_other_is_done(bed: Bed, db: Db, keeper: str) -> None:
    prepare(db, CREATE)
    for statement in CREATE.make:
        db.execute(statement.replace("app.logs", "app.mine"))
    db.execute(f"grant usage, create on schema app to {keeper}")
    for table in ("mine", "mine_2", "mine_3"):
        db.execute(f"alter table app.{table} owner to {keeper}")
    bed.declare({"app.logs": CREATE.policy, "app.mine": CREATE.policy})
    done = bed.upkeep("run", "partition_creation", *AT)
    assert (done.status, done.target["status"]) == (1, "partial"), done.story
    assert done.outcomes() == {"app.logs": ["gate_failed"], "app.mine": ["done"]}, done.story
    says(done, "grant")
    checked = bed.upkeep("check")
    assert checked.status == 1
    says(checked, f"'{keeper}' has not the rights of its owner 'app_owner'", f"grant app_owner to {keeper}")


def test_without_create_on_the_schema(bed: Bed, db: Db, keeper: str) -> None:
    prepare(db, CREATE)
    db.execute(f"grant usage on schema app to {keeper}; alter table app.logs owner to {keeper}")
    bed.declare({"app.logs": CREATE.policy})
    done = bed.upkeep("run", "partition_creation", *AT)
    assert done.status == 1, done.story
    assert done.outcomes() == {"app.logs": ["gate_failed"]}, done.story
    checked = bed.upkeep("check")
    says(checked, "may not create tables in its schema", f"grant create on schema app to {keeper}")


@pytest.mark.parametrize("grant", ["", "grant select on app.logs to {}", "grant select, delete on app.logs to {}"])
def test_rows_that_may_not_be_read_or_deleted(bed: Bed, db: Db, keeper: str, grant: str) -> None:
    prepare(db, DELETES)
    db.execute("create table app.other (like app.logs including all); insert into app.other select * from app.logs")
    db.execute(f"grant usage on schema app to {keeper}; grant all on app.other to {keeper}; analyze app.other")
    if grant:
        db.execute(grant.format(keeper))
    bed.declare({"app.logs": DELETES.policy, "app.other": DELETES.policy})
    done = bed.upkeep("run", "data_retention", *AT)
    assert set(done.outcomes()["app.other"]) == {"done"}, done.story
    if "delete" in grant:
        assert (done.status, done.target["status"]) == (0, "ok"), done.story
    else:
        assert (done.status, done.target["status"]) == (1, "partial"), done.story
        says(done, "grant select, delete on app.logs")
    bed.declare({"app.logs": DELETES.policy}, more="mode: observe")
    looked = bed.upkeep("run", "data_retention", *AT)
    # what may not be deleted is for later; what may not even be read was not looked at
    how = {"": (3, "partial"), "grant select on app.logs to {}": (0, "observed")}.get(grant, (0, "nothing_to_do"))
    assert (looked.status, looked.target["status"]) == how, looked.story
    assert ("not_available" in [f["status"] for f in looked.target["findings"] if f["check"] == "privileges"]) != bool(
        grant
    )


def test_a_database_that_does_not_let_the_role_in(bed: Bed, db: Db, keeper: str) -> None:
    database = conninfo_to_dict(bed.target)["dbname"]
    db.execute(f'revoke connect on database "{database}" from public')
    bed.declare({"app.logs": CREATE.policy})
    done = bed.upkeep("run", "partition_creation")
    assert done.status == 3, done.said
    says(done, "permission denied for database", f"grant connect on database {database} to {keeper}")


def test_a_ledger_that_may_not_be_created(bed: Bed, db: Db, keeper: str, empty_control_database: str) -> None:
    bed.declare({"app.logs": CREATE.policy})
    known = conninfo_to_dict(empty_control_database)
    bed.control = f"postgresql://{keeper}:{URL_SECRET}@127.0.0.1:{known['port']}/{known['dbname']}"
    done = bed.upkeep("init")
    assert done.status == 3, done.said
    says(done, "permission denied", f"grant create on database {known['dbname']} to {keeper}")


def test_a_missing_archive_and_a_missing_table(bed: Bed, db: Db) -> None:
    case = CASES["archive rows"]
    prepare(db, case)
    db.execute("drop table app.kept")
    bed.declare({"app.logs": case.policy, "app.none": DELETES.policy})
    done = bed.upkeep("run", "data_retention", *AT)
    assert done.status == 1, done.story
    says(done, "app.none", "create table app.kept (like app.logs including defaults)")
    assert db.execute("select count(*) from app.logs").fetchone() == (ROWS,)


# -- servers ------------------------------------------------------------------------------------------


@pytest.fixture
def replica(own_postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A streaming replica of the test's own server."""
    primary = own_postgres_server
    directory = temporary_directory()
    server = PostgresServer(directory, port=free_port(), password=primary.password, settings=primary.settings)
    server.login = primary.login
    try:
        backup = [postgres_bin() / "pg_basebackup", "--pgdata", server.data, "--write-recovery-conf"]
        where = ["--checkpoint", "fast", "--dbname", primary.uri()]
        run(as_account([*backup, *where], tied=False), env=postgres_environment(), cwd=directory)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def test_a_replica_is_refused(bed: Bed, own_postgres_server: PostgresServer, replica: PostgresServer) -> None:
    with psycopg.connect(own_postgres_server.uri(), autocommit=True) as primary:
        prepare(primary, DELETES)
        for statement in CREATE.make:
            primary.execute(statement.replace("app.logs", "app.parts"))
        wanted = help_.picture(primary)
        bed.target = replica.uri()
        bed.declare({"app.logs": DELETES.policy, "app.parts": CREATE.policy})
        with psycopg.connect(replica.uri(), autocommit=True) as connection:
            help_.until(lambda: connection.execute("select to_regclass('app.parts_3')").fetchone() != (None,))
        for job in ("partition_creation", "data_retention"):
            done = bed.upkeep("run", job, *AT)
            assert (done.status, done.target["status"]) == (1, "failed"), done.story
            assert {r for reasons in done.outcomes().values() for r in reasons} == {"gate_failed"}, done.story
            says(done, "a primary, not a replica", "point the connection at the primary")
        assert help_.picture(primary) == wanted
    checked = bed.upkeep("check")
    assert checked.status == 1
    says(checked, "the server is a replica", "give the address of the primary")


def test_an_untested_version_is_only_observed(bed: Bed, db: Db) -> None:
    prepare(db, CREATE)

    def before() -> None:
        session.TESTED_VERSIONS = ("99",)  # type: ignore[misc]

    bed.declare({"app.logs": CREATE.policy})
    done = bed.upkeep("run", "partition_creation", *AT, before=before)
    assert (done.status, done.outcomes()) == (0, {"app.logs": ["observe_only"]}), done.story
    says(done, "allow_untested: true")
    says(bed.upkeep("check", before=before), "observe only", "allow_untested: true")
    bed.declare({"app.logs": CREATE.policy}, more="allow_untested: true")
    done = bed.upkeep("run", "partition_creation", *AT, before=before)
    assert (done.status, done.outcomes()) == (0, {"app.logs": ["done"]}), done.story


# -- secrets ------------------------------------------------------------------------------------------

VALUE: Final = "value-that-nobody-may-read"


def test_secrets_and_values_are_nowhere(bed: Bed, db: Db, keeper: str, empty_control_database: str) -> None:
    case = CASES["archive rows"]
    prepare(db, case)
    db.execute("alter table app.logs add note text; alter table app.kept add note text unique")
    db.execute(
        f"update app.logs set note = '{VALUE}' where id = 3; insert into app.kept values (999, now(), '{VALUE}')"
    )
    db.execute(f"update app.logs set note = '{VALUE}' || id where id <> 3")
    db.execute(f"grant usage, create on schema app to {keeper}; grant all on all tables in schema app to {keeper}")
    control = conninfo_to_dict(empty_control_database)
    db.execute(f'grant create on database "{control["dbname"]}" to {keeper}')
    bed.control = f"postgresql://{keeper}:{URL_SECRET}@127.0.0.1:{control['port']}/{control['dbname']}"
    other = bed.addresses["shop"].replace("127.0.0.1", "localhost") + "?application_name=x"
    bed.declare({"app.logs": case.policy, "app.none": CREATE.policy}, names=["shop", "lost", "wrong"])
    bed.addresses |= {"lost": other.replace(f":{control['port']}/", ":1/"), "wrong": other.replace("99%2F", "98%2F")}
    fresh = bed.folder / "fresh.yaml"
    jobs = ("partition_creation", "data_retention")
    reading = [
        ("check",),
        ("check", "--json"),
        ("runs",),
        ("pending",),
        *(("plan", job, "--statements") for job in jobs),
    ]
    running = [("run", job, *more) for job in jobs for more in ((), ("--approve",), ("--approve", "--json"))]
    commands: list[tuple[str, ...]] = [("init",), *reading, *running, *reading]
    said = [(command, bed.upkeep(*command).said) for command in commands]
    said.append((("init",), bed.upkeep("init", "--from", "shop_db", fleet=fresh).said + fresh.read_text()))
    run_id = bed.upkeep("runs", "--limit", "1").out.split()[0]
    said.append((("show",), bed.upkeep("show", run_id, "--statements").said))
    assert any("a row is in the archive already" in text for _, text in said), said
    superuser = conninfo_to_dict(bed.target)
    with psycopg.connect(address(bed.control, user="postgres", password=str(superuser["password"]))) as ledger:
        said.append((("the ledger",), help_.ledger_text(ledger)))
    for secret in (SECRET, URL_SECRET, SECRET.replace("99", "98"), URL_SECRET.replace("99", "98"), VALUE):
        assert [command for command, text in said if secret in text] == [], secret
