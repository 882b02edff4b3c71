"""Object stores through Airflow's connections: ``s3://connection_id@bucket/path``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.fleet.location import connection_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def open_url(url: str) -> tuple[AbstractFileSystem, str]:
    """Open a URL as `upkeep.stores.opening.Opener` does, with the credentials of the connection that it names."""
    if connection_of(url) is None:
        import fsspec  # noqa: PLC0415 - only locations need it

        files, path = fsspec.core.url_to_fs(url)
        return files, str(path)
    from airflow.sdk import ObjectStoragePath  # noqa: PLC0415 - in a task only

    found: Any = ObjectStoragePath(url)
    return found.fs, str(found.path)
