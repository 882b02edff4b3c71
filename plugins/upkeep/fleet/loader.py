"""Reading a fleet file: every mistake with file, line, key and remedy, all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from upkeep.errors import ConfigurationError
from upkeep.fleet import keys
from upkeep.fleet.levels import FORMS
from upkeep.fleet.outside import SECRET
from upkeep.fleet.target import Fleet, Target

RESERVED = ("cache", "quality", "pause", "pools")
"""Keys that later jobs will read; until there is a module for them, a fleet file that uses them is told so."""


def load(path: Path) -> Fleet:
    """Read and validate a fleet file.

    Raises
    ------
    ConfigurationError
        The file is missing, is not YAML, or says something impossible; one line for each mistake:
        ``file:line: key: what is wrong; remedy``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{path}: cannot read the fleet file: {error.strerror}; give one with --fleet or UPKEEP_FLEET"
        if isinstance(error, FileNotFoundError):
            message += "; a first one is written by: upkeep --fleet FILE init --from CONNECTION"
        raise ConfigurationError(message) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = f"{path}:{line}: not UTF-8; save the file as UTF-8 text"
        raise ConfigurationError(message) from None
    except ValueError as error:
        raise ConfigurationError(f"{str(path)!r} is no path ({error}); give one with --fleet") from None
    return parse(text, str(path), folder=path.parent)


def parse(text: str, name: str = "fleet.yaml", *, folder: Path | None = None) -> Fleet:
    """Validate the text of a fleet file; raises as `load` does.

    Parameters
    ----------
    name
        What errors call it.
    folder
        Where it lies: files that it names are looked for there first (`files.find`).
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[tuple[str, ...], int] = {}
        duplicates = _index(node, (), lines) if node is not None else []
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        message = f"{where}: not YAML: {getattr(error, 'problem', None) or error}; check indentation and quotes"
        raise ConfigurationError(message) from error
    except RecursionError:
        raise ConfigurationError(
            f"{name}: nested too deeply for a fleet file; check brackets and indentation"
        ) from None
    except ValueError as error:  # 2026-13-45 looks like a date
        message = f"{name}: a value cannot be read: {error}; write it in quotes"
        raise ConfigurationError(message) from None
    if duplicates:
        raise ConfigurationError(
            "\n".join(f"{name}:{line}: {key}: written twice; keep one" for key, line in duplicates)
        )
    if not isinstance(data, dict):
        message = f"{name}:1: a fleet file is a mapping that starts with 'version: 1' and 'targets:'"
        raise ConfigurationError(message)
    try:
        context = {"folder": folder, "engines": _engines(data)}
        return model().model_validate(data, context=context)
    except ValidationError as error:
        # a default that waits for what is wrong elsewhere is no mistake of its own
        wrong = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
        problems = [_describe(e, lines, name) for e in wrong]
        raise ConfigurationError("\n".join(dict.fromkeys(problems))) from None


def _engines(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the engine of each target, for policies that name another one; what is wrong there is told there."""
    targets = data.get("targets")
    found = targets.items() if isinstance(targets, dict) else ()
    return {str(name): str(target.get("engine")) for name, target in found if isinstance(target, dict)}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the fleet file, for editors."""
    return model().model_json_schema(by_alias=True)


def model() -> type[Fleet]:
    """Return what a fleet file is validated by: `Fleet`, whose targets know the keys that have modules too."""
    return _model(tuple(keys.found().items()))


@cache
def _model(found: tuple[tuple[str, type[keys.TargetPolicy]], ...]) -> type[Fleet]:
    if not found:
        return Fleet
    fields: dict[str, Any] = {key: keys.as_field(key, policy) for key, policy in found}
    target = create_model("Target", __base__=Target, __doc__=Target.__doc__, **fields)
    targets: Any = (dict[str, target], ...)  # type: ignore[valid-type]
    return create_model("Fleet", __base__=Fleet, __doc__=Fleet.__doc__, targets=targets)


def _index(node: yaml.Node, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> list[tuple[str, int]]:
    duplicates: list[tuple[str, int]] = []
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                duplicates.append((".".join(inner), key.start_mark.line + 1))
            lines[inner] = key.start_mark.line + 1
            duplicates += _index(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            duplicates += _index(value, (*path, str(number)), lines)
    return duplicates


def _describe(error: Any, lines: Mapping[tuple[str, ...], int], name: str) -> str:
    location = tuple(str(part) for part in error["loc"] if part not in FORMS.values())
    known = location
    while known and known not in lines:
        known = known[:-1]
    key = ".".join(known) or "the file"
    line = lines.get(known, 1)
    return f"{name}:{line}: {key}: {_say(error, location)}"


def _say(error: Any, location: tuple[str, ...]) -> str:
    kind, last = error["type"], location[-1] if location else ""
    if kind == "extra_forbidden":
        if last in Fleet.model_fields and len(location) > 1:
            return f"'{last}' is a key of the whole file; write it at its top, beside version:"
        if last in keys.found():
            return f"'{last}' is a key of a target; write it beside engine: and connection:, or leave it out"
        if last in RESERVED:
            return f"'{last}' is reserved for a later job and not available yet; leave it out"
        return f"unknown key '{last}'; check its spelling against the documentation"
    if kind == "missing":
        return f"'{last}' is missing; add it"
    if kind == "literal_error":
        return f"{error['input']!r} is not possible; write {error['ctx']['expected']}"
    if kind == "model_type":
        return f"write its keys below it (got {error['input']!r})"
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind == SECRET:
        return message
    return (
        message if "input" not in error or isinstance(error["input"], dict) else f"{message} (got {error['input']!r})"
    )
