"""Where the scratch servers of these tests run: a folder of this process alone, so that what is left can be seen."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from upkeep.scratch import PREFIX

_MADE = pytest.StashKey[Path]()


def begin(config: pytest.Config) -> None:
    """Make the folder; its path is short (sockets lie in it), and the account of scratch servers may enter it."""
    folder = Path(tempfile.mkdtemp(prefix="upkeep-tests-"))
    folder.chmod(0o711)
    config.stash[_MADE] = folder
    os.environ["UPKEEP_SCRATCH"] = str(folder)


def end(config: pytest.Config) -> None:
    """Remove it."""
    shutil.rmtree(config.stash[_MADE], ignore_errors=True)


def places(engine: str) -> list[Path]:
    """Return the directories of scratch servers that are there now."""
    return sorted(Path(os.environ["UPKEEP_SCRATCH"]).glob(f"{PREFIX}{engine}-*"))


def mark(engine: str) -> str:
    """Return what the commands of such servers hold."""
    return f"{os.environ['UPKEEP_SCRATCH']}/{PREFIX}{engine}-"


def running(name: str, mark: str) -> list[psutil.Process]:
    """Return the programs of a name (any: of whatever name, and their guards) with a mark in their command."""
    seen = psutil.process_iter(["name", "cmdline"])
    return [
        p for p in seen if name in (p.info["name"], "any") and any(mark in word for word in p.info["cmdline"] or ())
    ]


def gone(mark: str) -> bool:
    """Return whether programs with a mark in their command have ended, or end soon."""
    until = time.monotonic() + 20
    while running("any", mark) and time.monotonic() < until:
        time.sleep(0.05)
    return not running("any", mark)
