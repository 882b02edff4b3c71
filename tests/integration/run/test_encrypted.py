"""TLS to every engine: verified or refused, in the same words; a certificate of each kind on a real server."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.name
import dns.resolver
import psycopg
import pytest
from psycopg import sql

from local.process import temporary_directory
from local.servers import PostgresServer
from tests.harness import encrypted
from tests.harness.copying import Copying
from tests.harness.encrypted import Certificates, Encrypted
from upkeep import engines, fleet
from upkeep.connections import parse
from upkeep.errors import LedgerError, UnreachableError
from upkeep.jobs.errors import ConnectionLostError
from upkeep.ledger import control
from upkeep.redis.backup.relay import relay
from upkeep.redis.connection import wanted
from upkeep.run.check import check_target

pytestmark = pytest.mark.tidb
ENGINES = ("postgres", "tidb", "mongo", "redis")
DATABASE = {"postgres": "shop", "tidb": "shop", "mongo": "shop", "redis": "0"}
ROWS = 3
PROTECTED = "TLS, the server's certificate and name are verified"
STAMPED = {engine: {"login": "stamped", "password": "x"} for engine in ("postgres", "tidb")}
"""Who may come with a certificate alone; the other two ask everybody for one, whom Redis is told to ask."""
SECRET = "p@ss"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Encrypted]]:
    """One server an engine, started when it is asked for first."""
    with ExitStack() as stack:
        yield Lazily(stack)


class Lazily(dict[str, Encrypted]):
    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self._stack = stack
        self._folder = temporary_directory()
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        (self._folder / "certificates").mkdir()
        self._certificates = Certificates(self._folder / "certificates")

    def __missing__(self, engine: str) -> Encrypted:
        self[engine] = encrypted.START[engine](self._folder / engine, self._certificates)
        self._stack.callback(self[engine].server.kill)  # nobody needs what is in it
        return self[engine]


def opened(server: Encrypted, options: dict[str, str], **fields: Any) -> Any:
    uri = server.connection(DATABASE[server.engine], options, **fields)
    return engines.engine(server.engine).open(parse("shop", uri), application="upkeep test")


def refused(server: Encrypted, options: dict[str, str], **fields: Any) -> str:
    with pytest.raises(UnreachableError) as caught, opened(server, options, **fields):
        pass
    said = str(caught.value)
    assert SECRET not in said
    assert "\n" not in said
    return said


def seen_by_the_server(engine: str, session: Any) -> str:
    """Return the server's own word for how this session came."""
    if engine == "postgres":
        (row,) = session.connection.execute(
            "select version from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid() and ssl"
        ).fetchall()
        return str(row["version"])
    if engine == "tidb":
        with session._connection.cursor() as cursor:
            cursor.execute("show status like 'Ssl_version'")
            return str(cursor.fetchone()["Value"])
    if engine == "mongo":
        before = session.client.admin.command("serverStatus")["transportSecurity"]
        return "TLSv1.3" if before["1.3"] else str(before)
    return f"port {session.client.client_info()['laddr'].rpartition(':')[2]}"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_encrypted_is_verified_or_refused(engine: str, servers: dict[str, Encrypted]) -> None:
    server = servers[engine]
    place = f"(127.0.0.1:{server.port})"
    with opened(server, server.options()) as session:
        assert seen_by_the_server(engine, session) in {"TLSv1.3", f"port {server.port}"}
        assert session.protection == PROTECTED

    uri = server.connection(DATABASE[engine], server.options())
    target = fleet.parse(f"version: 1\ntargets:\n  t: {{engine: {engine}, connection: shop}}\n").targets["t"]
    found = check_target(target, lambda _: parse("shop", uri)).findings
    assert [f.summary for f in found if f.check == "protection"] == [f"the connection: {PROTECTED}"]

    stranger = refused(server, server.options(ca=server.certificates.other.certificate))
    assert stranger.startswith(
        f"connection 'shop': the server's certificate is of an authority that is not trusted here {place}"
    )
    other = refused(server, server.options(), host="localhost")
    assert other.startswith("connection 'shop': the server's certificate is for another host name (localhost:")
    server.expire()
    try:
        expired = refused(server, server.options())
    finally:
        server.show(server.certificates.server)
    assert expired == f"connection 'shop': the server's certificate has expired {place}; have it renewed"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_backup_is_encrypted_as_the_session_is(engine: str, servers: dict[str, Encrypted], tmp_path: Path) -> None:
    server = servers[engine]
    uri = server.connection(DATABASE[engine], server.options(client=True), **STAMPED.get(engine, {}))
    found = Copying(engine, uri, tmp_path).take()
    assert sum(thing.rows or 0 for thing in found.manifest.objects) == ROWS


def test_a_tool_takes_no_other_server_than_the_session_did(servers: dict[str, Encrypted]) -> None:
    server = servers["redis"]
    address = parse("shop", server.connection("0", server.options(), host="localhost"))
    how = wanted(address)
    assert how is not None
    with pytest.raises(ConnectionLostError), relay(address, how):
        pass


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_may_want_a_certificate_of_ours(engine: str, servers: dict[str, Encrypted]) -> None:
    server, login = servers[engine], STAMPED.get(engine, {})
    shown = server.options(client=True)
    hidden = {key: value for key, value in shown.items() if key not in encrypted.CLIENT[engine]}
    stranger = server.certificates.other.issue("somebody")
    with server.asking():
        with opened(server, shown, **login) as session:
            assert session.now()
        missing = refused(server, hidden, **login)
        wrong = refused(server, {**shown, **server.client(stranger)}, **login)
    if engine == "tidb":  # its server says no more than to one who is not known
        assert "and whether the user is to show a client certificate (ssl_cert and ssl_key)" in missing
    else:
        assert missing.startswith("connection 'shop': the server wants a client certificate, and was shown none")
    assert wrong.startswith("connection 'shop': the server does not accept our client certificate"), wrong


@pytest.mark.parametrize("engine", ENGINES)
def test_without_tls_nothing_goes_in_plain(
    engine: str, servers: dict[str, Encrypted], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a server of the one kind waits for more of what is none of its words
    monkeypatch.setattr("upkeep.redis.session.CONNECT_SECONDS", 1.0)
    server, plain = servers[engine], request.getfixturevalue(f"{engine}_server")
    said = refused(server, server.options(), port=plain.port)
    assert said.startswith("connection 'shop': the server offers no TLS, ")
    assert f"(127.0.0.1:{plain.port}); switch" in said


def make_odd(engine: str, server: Encrypted) -> dict[str, Any]:
    """Make a user and a database with odd names, and something in it; return what leads there through a socket."""
    user, secret, database = (known[engine] for known in (encrypted.ODD, encrypted.ODD_SECRET, encrypted.ODD_DATABASE))
    directory = server.server.directory
    if engine == "postgres":
        with psycopg.connect(server.server.uri(), autocommit=True) as db:
            who, name = sql.Identifier(user), sql.Identifier(database)
            db.execute(sql.SQL("create role {} superuser login password {}").format(who, sql.Literal(secret)))
            db.execute(sql.SQL("create database {} template shop").format(name))
    elif engine == "tidb":
        with opened(server, server.options()) as session, session._connection.cursor() as cursor:
            cursor.execute("create user %s identified by %s", (user, secret))
            cursor.execute("grant all on *.* to %s", (user,))
            quoted = f"`{database.replace('`', '``')}`"
            cursor.execute(f"create database {quoted}")
            cursor.execute(f"create table {quoted}.three (n int primary key)")
            cursor.execute(f"insert into {quoted}.three select n from shop.three")
    elif engine == "mongo":
        with opened(server, server.options()) as session:
            session.client.admin.command("createUser", user, pwd=secret, roles=["root"])
            session.client[database]["three"].insert_many([{"n": n} for n in range(ROWS)])
    else:
        with opened(server, server.options()) as session:
            session.command("ACL", "SETUSER", user, "on", f">{secret}", "~*", "+@all")
    sockets = {
        "postgres": str(directory),
        "tidb": str(directory / "tidb.sock"),
        "mongo": str(directory / f"mongodb-{server.port}.sock"),
        "redis": str(directory / "redis.sock"),
    }
    port = server.port if engine == "postgres" else None  # it is part of the socket's name
    return {"host": sockets[engine], "port": port, "login": user, "password": secret, "schema": database}


@pytest.mark.parametrize("engine", ENGINES)
def test_odd_names_through_a_socket_for_the_session_and_for_the_tools(
    engine: str, servers: dict[str, Encrypted], tmp_path: Path
) -> None:
    server = servers[engine]
    there = make_odd(engine, server)
    options = {"directConnection": "true", "authSource": "admin"} if engine == "mongo" else {}
    with opened(server, options, **there) as session:
        assert session.protection == "a Unix socket of this machine"
    found = Copying(engine, server.connection(there["schema"], options, **there), tmp_path).take()
    assert sum(thing.rows or 0 for thing in found.manifest.objects) == ROWS


@pytest.mark.skipif(not encrypted.IPV6, reason="this machine has no IPv6")
@pytest.mark.parametrize("engine", ["postgres", "mongo", "redis"])
def test_ipv6_verified(engine: str, servers: dict[str, Encrypted]) -> None:
    server = servers[engine]
    options = server.options()
    options.pop("replicaSet", None)  # the set knows its member by the other address
    with opened(
        server, {**options, **({"directConnection": "true"} if engine == "mongo" else {})}, host="::1"
    ) as session:
        assert session.protection == PROTECTED


def test_of_several_hosts_the_one_that_takes_writes_is_taken_by_the_tools_too(
    servers: dict[str, Encrypted], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    first, second = servers["postgres"].server, postgres_server
    secret, name = "a,b=c 'd", f"several_{os.getpid()}"
    for server, settings in ((first, "set default_transaction_read_only = on"), (second, "connection limit -1")):
        with psycopg.connect(server.uri("postgres"), autocommit=True) as db:
            db.execute(
                sql.SQL("create role {} superuser login password {}").format(sql.Identifier(name), sql.Literal(secret))
            )
            db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            db.execute(sql.SQL("alter role {} " + settings).format(sql.Identifier(name)))
    try:
        with psycopg.connect(second.uri(name), autocommit=True) as db:
            db.execute("create table three as select generate_series(1, 3) as n")
        hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        fields = {"host": hosts, "port": None, "login": name, "password": secret}
        uri = servers["postgres"].connection(name, {"target_session_attrs": "read-write"}, **fields)
        with engines.engine("postgres").open(parse("shop", uri), application="upkeep test") as session:
            assert session.address.port == second.port
            assert session.protection.startswith("plain")
        found = Copying("postgres", uri, tmp_path).take()
        assert sum(thing.rows or 0 for thing in found.manifest.objects) == ROWS
    finally:
        with psycopg.connect(second.uri("postgres"), autocommit=True) as db:
            db.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
            db.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_mongodb_by_the_name_service(servers: dict[str, Encrypted], monkeypatch: pytest.MonkeyPatch) -> None:
    server, resolved = servers["mongo"], socket.getaddrinfo

    def records(name: str, kind: str, **_: Any) -> list[Any]:
        if (str(name), kind) != ("_mongodb._tcp.cluster.upkeep.test", "SRV"):
            raise dns.resolver.NXDOMAIN
        return [SimpleNamespace(target=dns.name.from_text("db.upkeep.test."), port=server.port)]

    def addresses(host: Any, *rest: Any, **more: Any) -> Any:
        return resolved("127.0.0.1" if host == "db.upkeep.test" else host, *rest, **more)

    monkeypatch.setattr(dns.resolver, "resolve", records)
    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    options = server.options()
    del options["tls"]  # such a name means it
    there = {"conn_type": "mongodb+srv", "host": "cluster.upkeep.test", "port": None}
    with opened(server, options, **there) as session:
        assert session.identity == identity_of(server)
        assert session.protection == PROTECTED
    assert "does not exist" in refused(server, options, **there | {"host": "nowhere.upkeep.test"})


def identity_of(server: Encrypted) -> str:
    with opened(server, server.options()) as session:
        return str(session.identity)


def test_to_verify_needs_an_authority(
    servers: dict[str, Encrypted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers["postgres"]
    monkeypatch.setenv("HOME", str(tmp_path))  # where libpq looks for one by itself
    said = refused(server, {"sslmode": "verify-full"})
    assert "the server is to be verified, and no authority is named" in said
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        said = refused(server, {"sslrootcert": "system"})
        assert "the server's certificate is of an authority that is not trusted here" in said


def test_the_ledger_is_verified_too(servers: dict[str, Encrypted]) -> None:
    server = servers["postgres"]
    address = parse("upkeep_control", server.connection("shop", server.options()))
    with control.connect(address, "upkeep test") as connection:
        assert connection.pgconn.ssl_in_use
    other = parse("upkeep_control", server.connection("shop", server.options(), host="localhost"))
    with pytest.raises(LedgerError, match="the server's certificate is for another host name"):
        control.connect(other, "upkeep test")
