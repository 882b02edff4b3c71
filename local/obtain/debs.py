"""Debian and Ubuntu packages, downloaded and unpacked into the cache: nothing is installed on the system.

Installing ``postgresql`` would start a cluster, add accounts and need root. Unpacking gives root and ordinary
users the same programs at a path of their own, because PostgreSQL finds its files relative to its binary.
Shared libraries that the system lacks are unpacked beside it and found through ``LD_LIBRARY_PATH``.
"""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.process import exclusive, reachable_cache, run, with_libraries
from upkeep import settings

LISTS_MAX_AGE = 24 * 3600  # seconds; older package lists may name files that the mirror has replaced
# Optional for a local server and large (the JIT compiler alone is 100 MB).
SKIPPED_LIBRARIES = re.compile(r"^lib(llvm|perl|python|tcl|z3)")


@dataclass(frozen=True)
class Unpacked:
    """Packages that lie unpacked below ``root``."""

    root: Path
    versions: dict[str, str]

    def libraries(self) -> str:
        """Return the folders of the unpacked shared libraries, as the loader wants them."""
        found = sorted([*self.root.glob("usr/lib/*-linux-gnu*"), *self.root.glob("lib/*-linux-gnu*")])
        return ":".join(str(folder) for folder in found if folder.is_dir())

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the unpacked shared libraries findable."""
        return with_libraries(self.libraries())


def available() -> bool:
    """Say whether this machine has the package tools."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def obtain(name: str, packages: Sequence[str]) -> Unpacked:
    """Return ``packages`` unpacked, downloading them the first time.

    Parameters
    ----------
    name
        A short name for the folder in the cache.
    packages
        Names of packages; what they depend on comes along where the system lacks it.

    Raises
    ------
    LocalError
        When there is no apt, no network, or no such package.
    """
    home = reachable_cache(settings.cache_dir() / "debs" / name)
    pointer = home / "current.json"
    with exclusive(home / ".lock"):
        found = _read_pointer(pointer, packages)
        if found is None:
            found = _fetch(home, packages)
            pointer.write_text(json.dumps({"root": found.root.name, "versions": found.versions}))
    return found


def _read_pointer(pointer: Path, packages: Sequence[str]) -> Unpacked | None:
    if not pointer.exists():
        return None
    data = json.loads(pointer.read_text())
    root = pointer.parent / data["root"]
    if not root.is_dir() or not set(packages) <= set(data["versions"]):
        return None
    return Unpacked(root, data["versions"])


def _fetch(home: Path, packages: Sequence[str]) -> Unpacked:
    apt = Apt()
    versions = {package: apt.candidate(package) for package in packages}
    print(f"  downloading {', '.join(packages)} ({versions[packages[0]]})", file=sys.stderr, flush=True)
    label = versions[packages[0]].replace(":", "_").replace("/", "_")
    root, fresh = home / label, home / f"{label}.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "debs").mkdir(parents=True)
    apt.download([*packages, *apt.missing_libraries(packages)], fresh / "debs")
    for deb in sorted((fresh / "debs").glob("*.deb")):
        run(["dpkg", "-x", deb, fresh])
    shutil.rmtree(fresh / "debs")
    fresh.chmod(0o755)
    shutil.rmtree(root, ignore_errors=True)
    fresh.rename(root)
    return Unpacked(root, versions)


class Apt:
    """apt with state and cache of its own: no lock of the system's apt, no root, no stale list.

    Raises
    ------
    LocalError
        When this is no Debian-like system, or its package lists cannot be fetched.
    """

    def __init__(self) -> None:
        if not available():
            message = "this machine has no apt-get: install the servers yourself and put them on PATH (see README)"
            raise LocalError(message)
        self._home = reachable_cache(settings.cache_dir() / "apt")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self._home / folder).mkdir(parents=True, exist_ok=True)
        with exclusive(self._home / ".lock"):
            self._update()

    @property
    def _options(self) -> list[str]:
        values = {
            "Dir::State": self._home / "state",
            "Dir::State::lists": self._home / "state" / "lists",
            "Dir::State::status": "/var/lib/dpkg/status",  # what the system has already need not be fetched
            "Dir::Cache": self._home / "cache",
            "APT::Sandbox::User": "root",  # else root's apt wants to write as an account that may not enter here
            "Debug::NoLocking": "true",
            "quiet": "2",
        }
        return [word for key, value in values.items() for word in ("-o", f"{key}={value}")]

    def _update(self) -> None:
        stamp = self._home / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_MAX_AGE:
            return
        try:
            run(["apt-get", *self._options, "update"])
        except LocalError as error:
            message = (
                f"the package lists cannot be fetched: {error}\nIs this machine online? Installed servers are used"
                " instead when named: UPKEEP_POSTGRES_BIN=/usr/lib/postgresql/15/bin, redis-server on PATH"
            )
            raise LocalError(message) from error
        stamp.touch()

    def candidate(self, package: str) -> str:
        """Return the version that apt would install; LocalError when it knows no such package."""
        output = run(["apt-cache", *self._options, "policy", package], env={**os.environ, "LC_ALL": "C"})
        found = re.search(r"Candidate: (\S+)", output)
        if found is None or found[1] == "(none)":
            message = f"apt offers no package {package}: add Debian's or Ubuntu's main archive to the apt sources"
            raise LocalError(message)
        return found[1]

    def newest_postgres(self) -> int:
        """Return the newest major version of PostgreSQL between 14 and 18 that apt offers."""
        names = run(["apt-cache", *self._options, "pkgnames", "postgresql-"]).split()
        majors = [int(found[1]) for name in names if (found := re.fullmatch(r"postgresql-(1[4-8])", name))]
        for major in sorted(majors, reverse=True):
            try:
                self.candidate(f"postgresql-{major}")
            except LocalError:  # a name without a version: another package merely mentions it
                continue
            return major
        message = "apt offers no PostgreSQL from 14 to 18: set UPKEEP_POSTGRES_BIN to the bin folder of one"
        raise LocalError(message)

    def offers(self, package: str) -> bool:
        """Say whether apt can download ``package``."""
        try:
            self.candidate(package)
        except LocalError:
            return False
        return True

    def missing_libraries(self, packages: Sequence[str]) -> list[str]:
        """Return the libraries among the dependencies of ``packages`` that the system does not have."""
        command = ["apt-get", *self._options, "install", "--print-uris", "--no-install-recommends", "-y", *packages]
        names = re.findall(r"^'\S+' ([a-z0-9.+-]+)_", run(command), flags=re.MULTILINE)
        return sorted(
            {name for name in names if name.startswith("lib") and not SKIPPED_LIBRARIES.match(name)} - set(packages)
        )

    def download(self, packages: Sequence[str], folder: Path) -> None:
        """Put the .deb files of ``packages`` into ``folder``."""
        run(["apt-get", *self._options, "download", *packages], cwd=folder)


def current(name: str) -> Unpacked | None:
    """Return what an earlier `obtain` left in the cache under ``name``, without asking apt."""
    return _read_pointer(settings.cache_dir() / "debs" / name / "current.json", [])
