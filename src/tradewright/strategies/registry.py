"""The strategies that ship, by name, with what their parameters may be. The API names them and never takes code."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Hashable, Mapping
from dataclasses import fields
from functools import cache
from types import CodeType
from typing import Any, cast

from tradewright.errors import InvalidInput, UnknownName
from tradewright.strategies.contract import LARGEST, Strategy
from tradewright.strategies.fixed import FixedTargets
from tradewright.strategies.hold import BuyAndHold
from tradewright.strategies.moving_average import MovingAverageCross

STRATEGIES: Mapping[str, type[Any]] = {
    "moving_average_cross": MovingAverageCross,
    "buy_and_hold": BuyAndHold,
    "fixed_targets": FixedTargets,
}
"""Name to class. Strategies that need a model are made from a model schedule, not from here."""

_FIXED_SCHEMA: Mapping[str, Any] = {
    "targets": {
        "type": "array",
        "items": {"type": "array", "items": {"type": ["number", "null"], "minimum": -LARGEST, "maximum": LARGEST}},
    },
    "kind": {"type": "string", "enum": ["units", "weights"], "default": "units"},
}
_TYPES = {"int": "integer", "float": "number", "str": "string"}


def schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a strategy's parameters. Raises UnknownName, with the closest names."""
    kind = _class(name)
    summary = (kind.__doc__ or "").partition("\n")[0]
    if kind is FixedTargets:
        properties, required = dict(_FIXED_SCHEMA), ["targets"]
    else:
        properties = {f.name: {"type": _TYPES[str(f.type)], "default": f.default, **f.metadata} for f in fields(kind)}
        required = []
    described = {"type": "object", "description": summary, "properties": properties}
    return {**described, "required": required, "additionalProperties": False}


def make(name: str, params: Mapping[str, Any] | None = None) -> Strategy:
    """Return the strategy `name` with these parameters.

    Raises UnknownName for a name or parameter that does not exist (with the closest ones), InvalidInput for a value of
    the wrong type or out of its bounds.
    """
    kind = _class(name)
    known = schema(name)["properties"]
    given = dict(params or {})
    for key, value in given.items():
        if key not in known:
            raise UnknownName.of(f"parameter of {name}", key, known)
        given[key] = _checked(name, key, value, known[key]["type"])
    if kind is FixedTargets and "targets" not in given:
        raise InvalidInput("fixed_targets needs the parameter targets: a (T, N) array of numbers, null to leave alone")
    return cast(Strategy, kind(**given))


def _class(name: str) -> type[Any]:
    if name not in STRATEGIES:
        raise UnknownName.of("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def _checked(name: str, key: str, value: Any, kind: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer" and number and (isinstance(value, int) or value.is_integer()):
        return int(value)
    if kind == "number" and number:
        try:
            return float(value)
        except OverflowError:
            raise InvalidInput(f"{name}: {key} is larger than any float64; send a smaller number") from None
    if (kind == "string" and isinstance(value, str)) or kind == "array":
        return value
    raise InvalidInput(f"{name}: {key} must be a {kind}, got {repr(value)[:60]}")


def code_hash(strategy: object) -> str:
    """Return 32 hex characters that name the code of a strategy: its module's source where there is a file.

    A class of a notebook is named by its own source, or by its byte code when there is no source. Parameters are not
    part of it. What the code imports from other modules is not covered.
    """
    return _code_hash(cast(Hashable, type(strategy)))


@cache
def _code_hash(kind: Any) -> str:
    module = sys.modules.get(kind.__module__)
    try:
        text = inspect.getsource(module) if getattr(module, "__file__", None) and module else inspect.getsource(kind)
    except (OSError, TypeError):
        text = "\n".join(_code_text(f.__code__) for _, f in sorted(inspect.getmembers(kind, inspect.isfunction)))
    return hashlib.sha256(f"{kind.__qualname__}\n{text}".encode()).hexdigest()[:32]


def _code_text(code: CodeType) -> str:
    inner = [_code_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_name} {code.co_names} {code.co_code.hex()} {inner}"
