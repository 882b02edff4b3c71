"""What travels in an archive lies unpacked in the cache: whole or not at all, however many ask for it at a time."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from local.process import exclusive, reachable_cache
from upkeep import settings


def once(kind: str, name: str, what: str, fetch: Callable[[Path, Path], None]) -> Path:
    """Return the folder of something unpacked, fetching it the first time.

    Parameters
    ----------
    kind, name
        The folder below the cache, and its own name.
    what
        What people are told is downloaded.
    fetch
        Downloads into its second folder, which is gone afterwards, and unpacks into its first.
    """
    root = reachable_cache(settings.cache_dir() / kind) / name
    with exclusive(root.parent / f".{root.name}.lock"):
        if not root.is_dir():
            print(f"  downloading {what}", file=sys.stderr, flush=True)
            fresh = root.with_name(root.name + ".partial")
            shutil.rmtree(fresh, ignore_errors=True)
            download = fresh / "download"
            download.mkdir(parents=True)
            fetch(fresh, download)
            shutil.rmtree(download)
            fresh.chmod(0o755)
            fresh.rename(root)
    return root
