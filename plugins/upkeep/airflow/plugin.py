"""The Airflow plugin: the page of the fleet and the list of runs in the navigation, the report as a tab on its run.

Airflow finds it by the entry point of the installed package, and only so: one that lay in its plugins folder too would
be registered twice, which it calls an error. Every Airflow process imports this file, so it imports nothing of its
own: the web application behind it is loaded at the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]

PREFIX = "/upkeep"
FLEET = "upkeep_fleet"
"""The page of the fleet is at ``<web>/plugin/upkeep_fleet``."""
_HERE = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX
"""Where a browser finds the pages: Airflow may live under a path of its own."""


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Hand an ASGI request to the web application, importing it only now."""
    from upkeep.web.app import app  # noqa: PLC0415 - see above

    await app(scope, receive, send)


_APPS: list[Any] = [{"app": application, "url_prefix": PREFIX, "name": "Upkeep"}]
_VIEWS: list[Any] = [
    {
        "name": "Upkeep",
        "href": f"{_HERE}/fleet",
        "destination": "nav",
        "nav_top_level": True,
        "url_route": FLEET,
    },
    {
        "name": "Upkeep",
        "href": f"{_HERE}/report/{{DAG_ID}}/{{RUN_ID}}",  # Airflow fills both in
        "destination": "dag_run",
        "url_route": "upkeep",
    },
    {
        "name": "Upkeep runs",
        "href": f"{_HERE}/runs",
        "destination": "nav",
        "category": "browse",
        "url_route": "upkeep_runs",
    },
]


class UpkeepPlugin(AirflowPlugin):
    """What Airflow is told."""

    name = "upkeep"
    fastapi_apps = _APPS
    external_views = _VIEWS
