"""Values that stand for a schema in the document and on its page: made from the examples of its parts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewright.api import sample_values

_TEXTS = {"date-time": sample_values.TIME}
_DEEPEST = 8


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], required_only: bool = False) -> Any:
    """Return a value that fits the schema. schemas: the named ones. required_only: without what may be left out."""
    return _value(schema, schemas, required_only, ("", ""), 0)


def resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a reference leads to."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _value(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], required_only: bool, place: tuple[str, str], depth: int
) -> Any:
    schema = resolved(schema, schemas)
    if schema.get("type") == "string" and "enum" not in schema:  # an id is known by its place, whatever its type says
        known_id = sample_values.reference(*place)
        if known_id is not None and "format" not in schema:
            return known_id
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], schemas, required_only, place, depth)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, schemas, required_only, depth)
    if kind == "array":
        if "items" not in schema or depth > _DEEPEST:
            return []
        return [_value(schema["items"], schemas, required_only, place, depth + 1)]
    return _plain(schema, str(kind), place)


def _object(schema: Mapping[str, Any], schemas: Mapping[str, Any], required_only: bool, depth: int) -> dict[str, Any]:
    needed = schema.get("required", [])
    chosen = {
        name: part
        for name, part in schema.get("properties", {}).items()
        if name in needed or (not required_only and "default" not in part)
    }
    title = str(schema.get("title", ""))
    return {name: _value(part, schemas, required_only, (title, name), depth + 1) for name, part in chosen.items()}


def _plain(schema: Mapping[str, Any], kind: str, place: tuple[str, str]) -> Any:
    if kind == "string":
        text = _TEXTS.get(schema.get("format", "")) or sample_values.text(*place)
        return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")
    if kind == "integer":
        return schema.get("minimum", 1)
    plain: dict[str, Any] = {"number": schema.get("minimum", 0.5), "boolean": True, "null": None}
    return plain.get(kind, {})
