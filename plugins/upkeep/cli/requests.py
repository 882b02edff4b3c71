"""A job's own parameters as options of `plan` and `run`: made of the fields of its request (`JobSpec.request`)."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from upkeep.errors import ConfigurationError
from upkeep.jobs import spec
from upkeep.model import Request

_SCALARS: Final[Mapping[Any, click.ParamType[Any]]] = {str: click.STRING, int: click.INT, float: click.FLOAT}


class JobName(click.ParamType[str]):
    """The name of a job: one of the table's rows, looked up when it is read."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no row is called."""
        return _jobs().convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """Return all names."""
        return _jobs().get_metavar(param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Complete a name."""
        return _jobs().shell_complete(ctx, param, incomplete)


def _jobs() -> click.Choice[str]:
    return click.Choice(tuple(spec.JOBS))


class JobCommand(click.Command):
    """A command about one job: it has the parameters of all jobs as options, and says whose they are."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, then those of the jobs."""
        return [*super().get_params(ctx), *_options()]


def _options() -> Iterator[click.Option]:
    """Yield an option for each parameter that a job has; one that several have is one option."""
    found: dict[str, tuple[FieldInfo, list[str]]] = {}
    for row in spec.JOBS.values():
        for name, field in row.request.model_fields.items():
            found.setdefault(name, (field, []))[1].append(row.name)
    for name, (field, jobs) in found.items():
        said = f"{field.description or ''} [{', '.join(jobs)}]".strip()
        yield click.Option([f"--{name.replace('_', '-')}", f"asked_{name}"], help=said, default=None, **_kind(field))


def _kind(field: FieldInfo) -> dict[str, Any]:
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not types.NoneType)
    if kind is bool:
        return {"is_flag": True, "flag_value": True}
    if get_origin(kind) in (list, tuple):
        return {"multiple": True, "type": click.STRING}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": click.Choice([str(one.value) for one in kind])}
    return {"type": _SCALARS[kind]}


def taken(job: str, options: Mapping[str, Any]) -> Request:
    """Return what was asked of a job by options; raises `ConfigurationError` for one that is another job's."""
    asked = {name.removeprefix("asked_"): value for name, value in options.items() if value not in (None, ())}
    row = spec.require(job)
    for name in asked.keys() - row.request.model_fields.keys():
        raise ConfigurationError(f"--{name.replace('_', '-')} is no option of {job}; see `upkeep plan --help`")
    return row.asks(asked)
