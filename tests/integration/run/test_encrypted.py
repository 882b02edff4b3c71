"""TLS to every engine: verified or refused, in the same words; a certificate of each kind on a real server."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.process import temporary_directory
from tests.harness import encrypted
from tests.harness.encrypted import Certificates, Encrypted
from upkeep import engines
from upkeep.connections import parse
from upkeep.errors import UnreachableError

pytestmark = pytest.mark.tidb
ENGINES = ("postgres", "tidb", "mongo", "redis")
DATABASE = {"postgres": "postgres", "tidb": "test", "mongo": "shop", "redis": "0"}
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
        self._stack.callback(self[engine].server.stop)
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
        assert session.protection == "TLS, the server's certificate and name are verified"

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
