"""What a value should have been, in words for a person. Pure.

The parser says which rule a value broke in the words of types; here they become those of the document.
"""

from __future__ import annotations

import json
import re
import types
from typing import Any, Literal, Union, get_args, get_origin

_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a time like 2024-03-28T20:00:00Z",
    "null": "null",
}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above"}
_SHOWN = 80


def plainly(message: str, kind: Any) -> str:
    """Return what the value must be. message: of the parser. kind: the declared type of the field."""
    if found := re.fullmatch(r"Expected `(.+)`, got `(.+)`", message):
        return f"must be {_kinds(found[1])}, not {_kinds(found[2])}"
    if found := re.fullmatch(r"Expected `(\w+)` of length (<=|>=) (\d+)", message):
        counted = "characters" if found[1] == "str" else "entries"
        return f"must have {_BOUNDS[found[2]]} {found[3]} {counted if found[3] != '1' else _one(counted)}"
    if found := re.fullmatch(r"Expected `\w+` (<=|>=|<|>) (\S+)", message):
        return f"must be {_BOUNDS[found[1]]} {found[2].removesuffix('.0')}"
    if message.startswith("Expected `str` matching regex"):
        like = f"like {' or '.join(str(text) for text in _told(kind, 'examples'))}"
        return f"must be {', '.join([*(extra['words'] for extra in _told(kind, 'extra') if 'words' in extra), like])}"
    if message.startswith("Invalid enum value"):
        choices = _choices(kind)
        return f"must be one of {', '.join(choices)}" if choices else "is none of the values that there are"
    if message == "Invalid RFC3339 encoded datetime":
        return "must be a time like 2024-03-28T20:00:00Z"
    if message == "Expected `datetime` with a timezone component":
        return "must name its time zone, like 2024-03-28T20:00:00Z"
    return message[0].lower() + message[1:]


def seen(value: Any) -> str:
    """Return a value as it stood in the request, cut to what a message can hold."""
    return cut(json.dumps(value, ensure_ascii=False, default=str))


def cut(text: str) -> str:
    """Return a text, cut to what a message can hold."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _kinds(text: str) -> str:
    return " or ".join(_KINDS.get(part, part) for part in text.split(" | "))


def _one(counted: str) -> str:
    return "character" if counted == "characters" else "entry"


def _told(kind: Any, what: str) -> list[Any]:
    given = [getattr(meta, what, None) for meta in getattr(kind, "__metadata__", ())]
    found = [each for one in given if one for each in (one if isinstance(one, list) else [one])]
    return found or [each for part in get_args(kind) for each in _told(part, what)]


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    if get_origin(kind) in (Union, types.UnionType) or hasattr(kind, "__metadata__"):
        return [choice for part in get_args(kind) for choice in _choices(part)]
    return []
