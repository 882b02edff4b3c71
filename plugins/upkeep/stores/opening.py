"""Opening a location: a local directory, or whatever fsspec reaches."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TypeAlias, cast

from fsspec import AbstractFileSystem

from upkeep.errors import ConfigurationError, UpkeepError
from upkeep.fleet.location import connection_of, problem
from upkeep.stores.draft import StoreError, say
from upkeep.stores.local import LocalStore
from upkeep.stores.store import Store

Opener: TypeAlias = "Callable[[str], tuple[AbstractFileSystem, str]]"
"""Opens a URL: the file system, and the path in it."""


def _by_fsspec(url: str) -> tuple[AbstractFileSystem, str]:
    import fsspec  # noqa: PLC0415 - only locations need it

    if connection_of(url):
        raise ConfigurationError(
            f"{url}: Airflow connections of object stores are known inside Airflow only; run it there, or write the "
            "URL without the connection and give its credentials as the store's own environment variables"
        )
    return cast("tuple[AbstractFileSystem, str]", fsspec.core.url_to_fs(url))


opener: ContextVar[Opener] = ContextVar("opener", default=_by_fsspec)
"""How URLs are opened; inside Airflow `upkeep.airflow.stores` puts one here that knows its connections."""


def open_store(location: str) -> Store:
    """Open a location.

    Raises
    ------
    ConfigurationError
        It may not be written so, or its kind of store is not installed.
    StoreError
        It cannot be reached.
    """
    wrong = problem(location)
    if wrong:
        raise ConfigurationError(wrong)
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigurationError(f"{location}: archives as files need Arrow: pip install 'upkeep[archives]'")
    if location.startswith(("/", "file:///")):
        return LocalStore(location, Path(location.removeprefix("file://")))
    try:
        return Store(location, *opener.get()(location))
    except UpkeepError:
        raise
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"{location}: cannot be opened: {error}") from error
    except Exception as error:  # noqa: BLE001 - every store has exceptions of its own
        raise StoreError(f"{location}: cannot be opened: {say(error)}") from None
