"""Where an archive lies, as a fleet file says it: an absolute directory, or the URL of an object store. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

LOST: Final = frozenset({"memory"})
"""Kinds of store that forget everything with the process: rows archived there would be gone."""

_FORMS: Final = "an absolute directory (/srv/archive) or a URL (s3://connection_id@bucket/path)"


def is_location(into: str | None) -> bool:
    """Return whether ``into`` names a directory or an object store, not a table."""
    return into is not None and "/" in into


def is_table_name(into: str | None) -> bool:
    """Return whether ``into`` names a table, not a directory or an object store."""
    return into is not None and not is_location(into)


def problem(into: str) -> str | None:
    """Return what is wrong with a location, with the remedy; ``None`` when nothing is.

    A relative directory would be another one for each process; what stands in a URL stands in plans, logs and
    the ledger, so that it may name a connection, never carry a secret.
    """
    if "://" not in into:
        if not into.startswith("/"):
            return f"'{into}' is a relative directory: write {_FORMS}"
        return None
    try:
        parts = urlsplit(into)
        user, _, rest = parts.netloc.rpartition("@")
    except ValueError:
        return f"this is no URL: write {_FORMS}"
    if ":" in user or "@" in user:
        return "a URL must not carry a password or key: put it into an Airflow connection and write its id before the @"
    if parts.query or parts.fragment:
        return "a URL must not carry options (they may hold keys): put them into an Airflow connection"
    if parts.scheme == "file" and (user or rest or not parts.path.startswith("/")):
        return "write file:///absolute/directory, or the directory alone"
    if parts.scheme in LOST:
        return f"{parts.scheme}:// keeps nothing beyond the process: every archived row would be lost; write {_FORMS}"
    if parts.scheme != "file" and not rest:
        return f"the URL names no bucket or host: write {_FORMS}"
    return None


def connection_of(url: str) -> str | None:
    """Return the Airflow connection id that a URL names."""
    user, _, _ = urlsplit(url).netloc.rpartition("@") if "://" in url else ("", "", "")
    return user or None


def folder(*names: str) -> str:
    """Return the relative folder of a table (its schema and name as the catalog has them), safe on every store.

    Everything but ASCII letters, digits, ``_`` and ``-`` is percent-encoded, dots too: no name can lead elsewhere.
    """
    return "/".join(quote(name, safe="").replace(".", "%2E").replace("~", "%7E") for name in names)
