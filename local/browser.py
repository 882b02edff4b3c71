"""The browser of the browser test and of the screenshots: the system's Chromium, driven by playwright."""

import os
import shutil
from pathlib import Path

from local.errors import LocalError
from local.process import run

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")  # root has no sandbox; containers have a tiny /dev/shm


def chromium() -> Path:
    """Return a Chromium; root gets Debian's installed when there is none (``UPKEEP_CHROMIUM`` names another).

    Raises
    ------
    LocalError
        When there is none and this user may not install one; the message is the remedy (and a reason to skip).
    """
    override = os.environ.get("UPKEEP_CHROMIUM")
    found = override or next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return Path(found)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        message = "no Chromium here: as root, apt-get install chromium, or name one: UPKEEP_CHROMIUM=/path/to/chrome"
        raise LocalError(message)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=environment)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], env=environment)
    return Path("/usr/bin/chromium")
