"""Values that stand for a schema in the document and on its page: made from the examples of its parts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS = {"date-time": "2024-03-28T20:00:00Z"}
_DEEPEST = 8


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], required_only: bool = False) -> Any:
    """Return a value that fits the schema. schemas: the named ones. required_only: without what may be left out."""
    return _value(schema, schemas, required_only, "", 0)


def resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a reference leads to."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _value(schema: Mapping[str, Any], schemas: Mapping[str, Any], required_only: bool, name: str, depth: int) -> Any:
    schema = resolved(schema, schemas)
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], schemas, required_only, name, depth)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, schemas, required_only, depth)
    if kind == "array":
        if "items" not in schema or depth > _DEEPEST:
            return []
        return [_value(schema["items"], schemas, required_only, name, depth + 1)]
    return _plain(schema, str(kind), name)


def _object(schema: Mapping[str, Any], schemas: Mapping[str, Any], required_only: bool, depth: int) -> dict[str, Any]:
    needed = schema.get("required", [])
    chosen = {
        name: part
        for name, part in schema.get("properties", {}).items()
        if name in needed or (not required_only and "default" not in part)
    }
    return {name: _value(part, schemas, required_only, name, depth + 1) for name, part in chosen.items()}


def _plain(schema: Mapping[str, Any], kind: str, name: str) -> Any:
    if kind == "string":
        text = _TEXTS.get(schema.get("format", ""), _ids().get(name, name or "text"))
        return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")
    if kind == "integer":
        return schema.get("minimum", 1)
    plain: dict[str, Any] = {"number": schema.get("minimum", 0.5), "boolean": True, "null": None}
    return plain.get(kind, {})


def _ids() -> Mapping[str, str]:
    return {
        "id": "abc_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "portfolio": "prt_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "broker_account": "bra_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "order": "ord_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "run": "run_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "feed_session": "fds_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "model": "mdl_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "organization": "org_01k3v9h2m4qzt6x8b0c2d4e6f8",
        "environment": "paper",
        "currency": "USD",
        "source": "binance",
    }
