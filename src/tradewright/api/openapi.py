"""The OpenAPI 3.1 document, built from the same declarations that are served. Pure."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import msgspec

from tradewright.api.operations import PUBLIC, Operation
from tradewright.api.problems import CATALOGUE, Problem, example

ALWAYS = ("unauthenticated", "forbidden", "invalid_input", "internal_error")
_BYTES = {"type": "string"}
_REF = "#/components/schemas/{name}"


def document(operations: list[Operation], version: str) -> dict[str, Any]:
    """Return the document as plain values."""
    types = _types(operations)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip((repr(t) for t in types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradewright",
            "version": version,
            "description": "Checked market data, honest back-tests, signals and paper trading. Times are RFC 3339 "
            "UTC; amounts that a person owns or orders are decimal strings; market data and statistics are numbers.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "tw_<environment>_..."}},
        },
    }


def _types(operations: list[Operation]) -> list[Any]:
    found: dict[str, Any] = {repr(Problem): Problem}
    for operation in operations:
        for kind in (operation.answer, operation.body, *(hint for _, hint, _ in _fields(operation))):
            if kind is not None:
                found[repr(kind)] = kind
    return list(found.values())


def _fields(operation: Operation) -> list[tuple[str, Any, Any]]:
    hints = get_type_hints(operation.query, include_extras=True)
    return [(f.encode_name, hints[f.name], f) for f in msgspec.structs.fields(operation.query)]


def _operation(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation, schema_of),
        "responses": _responses(operation, schema_of),
    }
    if operation.description:
        result["description"] = operation.description
    if operation.scope != PUBLIC:
        result["security"] = [{"key": []}]
        result["x-scope"] = operation.scope
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of[repr(operation.body)]}}
        result["requestBody"] = {"required": True, "content": content}
    return result


def _parameters(operation: Operation, schema_of: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    for name, hint, field in _fields(operation):
        schema = schema_of[repr(hint)]
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": bool(field.required),
                "schema": schema if field.required or field.default is None else {**schema, "default": field.default},
                **({"description": schema["description"]} if "description" in schema else {}),
            }
        )
    if operation.idempotent:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Sending the same request again with the same key answers with the first answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    return parameters


def _responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    schema = _BYTES if operation.answer is None else schema_of[repr(operation.answer)]
    done: dict[str, Any] = {"description": "Done."}
    if operation.status != 204:
        done["content"] = {
            kind: {"schema": schema if kind == "application/json" else _BYTES} for kind in operation.media_types
        }
    responses: dict[str, Any] = {str(operation.status): done}
    codes = [*operation.errors, *(ALWAYS if operation.scope != PUBLIC else ("invalid_input", "internal_error"))]
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    for status, names in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "; ".join(CATALOGUE[name].title for name in names) + ".",
            "content": {
                "application/problem+json": {
                    "schema": schema_of[repr(Problem)],
                    "examples": {name: {"value": example(name)} for name in names},
                }
            },
        }
    return responses
