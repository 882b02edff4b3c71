"""What may be declared for a target as a whole: the base of those policies, and how their modules are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Protocol, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from upkeep.fleet import policies
from upkeep.fleet.values import Strict
from upkeep.model import ENGINES


class TargetPolicy(Strict):
    """What the owner wants under one key of a target; ``false`` in its place: nothing of that here.

    Attributes
    ----------
    engines
        Where the key may stand.
    everywhere
        Whether it holds, with its defaults, on each target of those engines that does not mention it.
    """

    engines: ClassVar[frozenset[str]] = frozenset(ENGINES)
    everywhere: ClassVar[bool] = False

    @classmethod
    def of(cls, target: _Declares) -> Self | None:
        """Return what a target declares, or ``None``."""
        return next((policy for policy in target.policies.values() if isinstance(policy, cls)), None)

    @property
    def external(self) -> bool:
        """Whether others do what it names, so that it declares nothing for a job of ours."""
        return False

    def suits(self, engine: str) -> None:
        """Raise `ValueError` when what is written cannot be on such an engine."""

    def agrees(self, target: Any) -> None:
        """Raise `ValueError` when what else is declared for the target (a `upkeep.fleet.Target`) contradicts it."""

    @classmethod
    def denied(cls, target: Any) -> None:
        """Raise `ValueError` when what else is declared for the target needs this, and the file says ``false``."""


class _Declares(Protocol):
    @property
    def policies(self) -> Mapping[str, TargetPolicy]: ...


def found() -> dict[str, type[TargetPolicy]]:
    """Return the policy of each key that has a module, by key."""
    names = sorted(module.name for module in pkgutil.iter_modules(policies.__path__))
    return {name: importlib.import_module(f"{policies.__name__}.{name}").POLICY for name in names}


def as_field(key: str, policy: type[TargetPolicy]) -> tuple[Any, Any]:
    """Return the field of a target that a key becomes: its type, and its default."""

    def read(value: Any, info: ValidationInfo) -> Any:
        engine = info.data.get("engine")
        if engine is not None and engine not in policy.engines:
            able = " or ".join(name for name in ENGINES if name in policy.engines)
            raise ValueError(f"belongs to engine {able}, not {engine}; leave it out")
        if value is False:
            return None
        if value is None or value is True:  # the slips of YAML; what else is no mapping, a policy may have a word for
            raise ValueError("write what should be, {} for the defaults, or false for nothing of it")
        return value

    def default(data: Mapping[str, Any]) -> TargetPolicy | None:
        return policy() if policy.everywhere and data.get("engine") in policy.engines else None

    def suit(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, TargetPolicy) and "engine" in info.data:
            value.suits(info.data["engine"])
        return value

    type_: Any = policy
    return Annotated[type_ | None, BeforeValidator(read), AfterValidator(suit), _FALSE], Field(default_factory=default)


@dataclass(frozen=True, slots=True)
class _OrFalse:
    """Shows to editors that ``false`` is how a file says nothing."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        return {"anyOf": [{"const": False} if part == {"type": "null"} else part for part in shown["anyOf"]]}


_FALSE: Final = _OrFalse()
