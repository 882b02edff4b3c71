"""Servers that encrypt, with certificates of an authority made up for the tests, and how connections ask for it."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pymongo
import pymysql
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import local.tools
from local.obtain import tidb as obtain
from local.process import free_port, give_to_account
from local.servers import MongoServer, PostgresServer, RedisServer, Server, TidbServer

PASSWORD: Final = "p@ss:/?#%[]"
NAMES: Final = ("127.0.0.1", "::1", "db.upkeep.test")
"""What the servers' certificates are for; ``localhost`` is another name."""
WANTED: Final[Mapping[str, Mapping[str, str]]] = {
    "postgres": {"sslmode": "verify-full"},
    "tidb": {"ssl": "true"},
    "mongo": {"tls": "true"},
    "redis": {"ssl": "true"},
}
AUTHORITY: Final = {
    "postgres": "sslrootcert",
    "tidb": "ssl_ca",
    "mongo": "tlsCAFile",
    "redis": "ssl_ca_certs",
}
CLIENT: Final = {
    "postgres": ("sslcert", "sslkey"),
    "tidb": ("ssl_cert", "ssl_key"),
    "mongo": ("tlsCertificateKeyFile",),
    "redis": ("ssl_certfile", "ssl_keyfile"),
}
SCHEMES: Final = {"postgres": "postgres", "tidb": "tidb", "mongo": "mongodb", "redis": "redis"}


def _ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6: Final = _ipv6()
"""Whether this machine has IPv6 at all; many a container has not."""


class Authority:
    """Issues certificates, and writes them into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._written(name, self._signed(self._key, self._name, [], timedelta(days=1), ca=True))

    def issue(self, name: str, hosts: tuple[str, ...] = (), lasts: timedelta = timedelta(days=1)) -> Path:
        """Issue a certificate and return its file, with its key beside it (``.key``), and both in one (``.pem``)."""
        key = ec.generate_private_key(ec.SECP256R1())
        called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        path = self._written(name, self._signed(key, called, [_host(host) for host in hosts], lasts))
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for file, content in ((path.with_suffix(".key"), text), (path.with_suffix(".pem"), text + path.read_bytes())):
            file.write_bytes(content)
            file.chmod(0o600)
        return path

    def _signed(
        self, key: ec.EllipticCurvePrivateKey, name: x509.Name, hosts: list[Any], lasts: timedelta, *, ca: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if hosts:
            made = made.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _written(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._folder / f"{name}.crt"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


ODD: Final = {"postgres": "o\"d'd\\ é", "tidb": "o\"d'd\\ é", "mongo": "o\"d'd\\ é%@", "redis": "odd-é"}
"""A user of each server whose name and password hold what is special (Redis takes no blanks in its rules)."""
ODD_SECRET: Final = {**dict.fromkeys(ODD, "@:/?#%[] \"'\\é€"), "redis": "@:/?#%[]\"'\\é€"}
ODD_DATABASE: Final = {"postgres": "a=b 'c\"\\é", "tidb": "a,b 'c\"é", "mongo": "a=b'c%é", "redis": "0"}


@dataclass
class Certificates:
    """All that the tests need, in one folder."""

    folder: Path
    own: Authority = field(init=False)
    other: Authority = field(init=False)

    def __post_init__(self) -> None:
        self.own, self.other = Authority(self.folder, "authority"), Authority(self.folder, "stranger")
        self.server = self.own.issue("server", NAMES)
        self.expired = self.own.issue("expired", NAMES, timedelta(days=-1))
        self.client = self.own.issue("client")

    def install(self, directory: Path, source: Path) -> None:
        """Put a server's certificate and key, and the authority's certificate, where the server finds them."""
        for suffix in (".crt", ".key", ".pem"):
            place = directory / f"server{suffix}"
            shutil.copy(source.with_suffix(suffix), place)
            give_to_account(place)
        shutil.copy(self.own.certificate, directory / "ca.crt")
        give_to_account(directory / "ca.crt")


class EncryptedPostgres(PostgresServer):
    """PostgreSQL; user ``stamped`` must show a certificate."""

    def prepare(self) -> None:
        super().prepare()
        hba = self.data / "pg_hba.conf"
        rule = "hostssl all stamped all scram-sha-256 clientcert=verify-ca\nhostnossl all stamped all reject\n"
        if rule not in hba.read_text():
            hba.write_text(rule + hba.read_text())


class EncryptedTidb(TidbServer):
    """TiDB; user ``stamped`` must show a certificate."""

    def prepare(self) -> None:
        super().prepare()
        files = {"ssl-ca": "ca.crt", "ssl-cert": "server.crt", "ssl-key": "server.key"}
        lines = [f'{option} = "{self.directory / name}"' for option, name in files.items()]
        with (self.directory / "tidb.toml").open("a") as conf:
            conf.write("[security]\n" + "\n".join(lines) + "\n")


class EncryptedMongo(MongoServer):
    """MongoDB; whoever comes by TLS must show a certificate."""

    def prepare(self) -> None:
        super().prepare()
        conf = self.directory / "mongod.conf"
        files = f"certificateKeyFile: {self.directory / 'server.pem'}, CAFile: {self.directory / 'ca.crt'}"
        sockets = f"unixDomainSocket: {{pathPrefix: {self.directory}}}, bindIp: '127.0.0.1{',::1' if IPV6 else ''}'"
        sockets += f", ipv6: {str(IPV6).lower()}"
        text = conf.read_text().replace("unixDomainSocket: {enabled: false}", f"tls: {{mode: preferTLS, {files}}}")
        conf.write_text(text.replace(f"bindIp: {self.host}", sockets))
        give_to_account(conf)


@dataclass
class Encrypted:
    """One engine's server that encrypts.

    Attributes
    ----------
    reload
        Has it take its certificate anew.
    port
        Where it encrypts.
    """

    engine: str
    server: Server
    certificates: Certificates
    reload: Callable[[], object]
    port: int

    def options(self, *, ca: Path | None = None, client: bool = False, **more: str) -> dict[str, str]:
        """Return the options of a connection that asks for TLS and verifies."""
        found = {**WANTED[self.engine], AUTHORITY[self.engine]: str(ca or self.certificates.own.certificate)}
        if client or self.engine == "mongo":
            found |= self.client()
        if self.engine == "mongo":
            found |= {"authSource": "admin", "replicaSet": "upkeep", "serverSelectionTimeoutMS": "900"}
        return {**found, **more}

    def client(self, certificate: Path | None = None) -> dict[str, str]:
        """Return the options that show our certificate, or another one."""
        path = certificate or self.certificates.client
        files = [path.with_suffix(".pem")] if self.engine == "mongo" else [path, path.with_suffix(".key")]
        return dict(zip(CLIENT[self.engine], map(str, files), strict=True))

    def connection(self, database: str, options: Mapping[str, str], **fields: Any) -> str:
        """Return a connection as Airflow's JSON."""
        return json.dumps(
            {
                "conn_type": SCHEMES[self.engine],
                "host": self.server.host,
                "port": self.port,
                "login": self.server.user,
                "password": self.server.password,
                "schema": database,
                "extra": options,
                **fields,
            }
        )

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Have Redis ask everybody for a certificate; the others do as it is, some of them a user alone."""
        if self.engine != "redis":
            yield
            return
        with redis.Redis(port=self.server.port, password=self.server.password) as client:
            client.config_set("tls-auth-clients", "yes")
            yield
            client.config_set("tls-auth-clients", "optional")

    def expire(self) -> None:
        """Have it show a certificate whose time is over."""
        if self.engine != "mongo":
            self.show(self.certificates.expired)
            return
        soon = time.monotonic() + 2  # it takes none that has expired already
        self.show(self.certificates.own.issue("soon", NAMES, timedelta(seconds=2)))
        time.sleep(max(soon - time.monotonic(), 0) + 0.1)

    def show(self, certificate: Path) -> None:
        """Have it show another certificate."""
        self.certificates.install(self.server.directory, certificate)
        self.reload()


def postgres(directory: Path, certificates: Certificates) -> Encrypted:
    """Start PostgreSQL."""
    names = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "ca.crt"}
    settings = {
        **{name: str(directory / file) for name, file in names.items()},
        "ssl": "on",
        "fsync": "off",
        "listen_addresses": "127.0.0.1,::1",
        "max_wal_senders": "2",
    }
    server = EncryptedPostgres(directory, port=free_port(), password=PASSWORD, settings=settings)
    certificates.install(directory, certificates.server)
    server.start()

    def reload() -> None:
        with psycopg.connect(server.uri(), autocommit=True) as db:
            loaded = db.execute("select pg_conf_load_time()").fetchone()
            db.execute("select pg_reload_conf()")
            while db.execute("select pg_conf_load_time()").fetchone() == loaded:
                time.sleep(0.02)

    with psycopg.connect(server.uri(), autocommit=True) as db:
        db.execute("create role stamped login superuser password 'x'")
        db.execute("create database shop")
    with psycopg.connect(server.uri("shop"), autocommit=True) as db:
        db.execute("create table three as select generate_series(1, 3) as n")
    return Encrypted("postgres", server, certificates, reload, server.port)


def tidb(directory: Path, certificates: Certificates) -> Encrypted:
    """Start TiDB."""
    if obtain.installed(obtain.DUMPLING) is None:  # an older one knows no sockets
        obtain.obtain(obtain.DUMPLING)
    local.tools.lay()
    server = EncryptedTidb(directory, port=free_port(), password=PASSWORD, status_port=free_port())
    certificates.install(directory, certificates.server)
    server.start()

    def execute(statement: str) -> None:
        password = server.password.encode()
        how = {"host": server.host, "port": server.port, "user": "root", "password": password, "autocommit": True}
        with pymysql.connect(**how) as db:
            db.cursor().execute(statement)

    execute("create user stamped identified by 'x' require x509")
    execute("grant all on *.* to stamped")
    execute("create database shop")
    execute("create table shop.three (n int primary key)")
    execute("insert into shop.three values (1), (2), (3)")
    return Encrypted("tidb", server, certificates, lambda: execute("alter instance reload tls"), server.port)


def mongo(directory: Path, certificates: Certificates) -> Encrypted:
    """Start MongoDB."""
    server = EncryptedMongo(directory, port=free_port(), password=PASSWORD)
    certificates.install(directory, certificates.server)
    server.start()

    def reload() -> None:
        with pymongo.MongoClient[Any](server.uri()) as client:
            client.admin.command("rotateCertificates")

    with pymongo.MongoClient[Any](server.uri()) as client:
        client["shop"]["three"].insert_many([{"n": n} for n in range(3)])
    return Encrypted("mongo", server, certificates, reload, server.port)


def redis_(directory: Path, certificates: Certificates) -> Encrypted:
    """Start Redis; TLS at a port of its own."""
    port = free_port()
    files = {"tls-cert-file": "server.crt", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.crt"}
    settings = {
        **{name: str(directory / file) for name, file in files.items()},
        "bind": "127.0.0.1 -::1",
        "tls-port": str(port),
        "repl-diskless-sync-delay": "0",
        "tls-auth-clients": "optional",
        "unixsocket": str(directory / "redis.sock"),
    }
    server = RedisServer(directory, port=free_port(), password=PASSWORD, settings=settings)
    certificates.install(directory, certificates.server)
    server.start()

    def reload() -> None:
        with redis.Redis(port=server.port, password=server.password) as client:
            client.config_set("tls-cert-file", str(directory / "server.crt"))

    with redis.Redis(port=server.port, password=server.password) as client:
        client.mset({"one": "1", "two": "2", "three": "3"})
    return Encrypted("redis", server, certificates, reload, port)


START: Final[Mapping[str, Callable[[Path, Certificates], Encrypted]]] = {
    "postgres": postgres,
    "tidb": tidb,
    "mongo": mongo,
    "redis": redis_,
}
