"""The OpenAPI 3.1 document, built from the same declarations that are served. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from tradewright.accounts.sessions import COOKIE
from tradewright.api import access, links
from tradewright.api.dispatch import ETAGS
from tradewright.api.examples import example_of
from tradewright.api.operations import PERSON, PUBLIC, Operation
from tradewright.api.outcomes import codes_of
from tradewright.api.parsing import QUERY_TEXT
from tradewright.api.problems import CATALOGUE, MEDIA_TYPE, Problem, example
from tradewright.api.routing import ID_PATTERN
from tradewright.ids import ENVIRONMENTS

_REF = "#/components/schemas/{name}"
_JSON = "application/json"
_TEXT = {"type": "string"}
_BINARY = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_ALWAYS = ("X-Request-Id", "RateLimit", "RateLimit-Policy")
_DESCRIPTION = (
    "Checked market data, honest back-tests, signals and paper trading. Times are RFC 3339 UTC; amounts that a "
    "person owns or orders are decimal strings; market data and statistics are numbers. Clients ignore fields, enum "
    "values and error codes that they do not know."
)


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """Return the document as plain values."""
    types = _types(operations)
    schemas, components = _portable(msgspec.json.schema_components(types, ref_template=_REF))
    schema_of = dict(zip((repr(t) for t in types), schemas, strict=True))
    for operation in operations:
        if operation.body is not None:  # answers may gain fields, what is sent may not have unknown ones
            components[schema_of[repr(operation.body)]["$ref"].rpartition("/")[2]]["additionalProperties"] = False
    paths: dict[str, Any] = {}
    problems = _Problems(schema_of[repr(Problem)])
    for operation in operations:
        described = _Described(operation, schema_of, components, problems)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described.value()
    for path, method, status, found in links.of(operations):
        paths[path][method]["responses"][status]["links"] = found
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradewright",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "headers": _HEADERS,
            "responses": problems.responses,
            "examples": {code: {"summary": CATALOGUE[code].title, "value": example(code)} for code in CATALOGUE},
            "parameters": _PARAMETERS,
            "securitySchemes": _SECURITY,
        },
    }


def _portable(value: Any) -> Any:
    # the end of a text is `\Z` to Python and `$` to JSON Schema
    if isinstance(value, dict):
        return {
            name: item.replace(r"\Z", "$") if name == "pattern" and isinstance(item, str) else _portable(item)
            for name, item in value.items()
        }
    return [_portable(item) for item in value] if isinstance(value, list | tuple) else value


def _types(operations: Sequence[Operation]) -> list[Any]:
    found: dict[str, Any] = {repr(Problem): Problem}
    for operation in operations:
        for kind in (operation.answer, operation.body, *(hint for _, hint, _ in _fields(operation))):
            if kind is not None:
                found[repr(kind)] = kind
    return list(found.values())


def _fields(operation: Operation) -> list[tuple[str, Any, Any]]:
    hints = get_type_hints(operation.query, include_extras=True)
    return [(f.encode_name, hints[f.name], f) for f in msgspec.structs.fields(operation.query)]


class _Described:
    """One operation of the document."""

    def __init__(
        self, operation: Operation, schema_of: dict[str, Any], schemas: dict[str, Any], problems: _Problems
    ) -> None:
        self._operation = operation
        self._problems = problems
        self._schema_of = schema_of
        self._schemas = schemas

    def value(self) -> dict[str, Any]:
        operation = self._operation
        result: dict[str, Any] = {
            "operationId": operation.id,
            "summary": operation.summary,
            "description": operation.description or f"{operation.summary}.",
            "tags": [operation.tag],
            "parameters": self._parameters(),
            "responses": self._responses(),
            "security": _security(operation),
            "x-scope": operation.scope,
            "x-cost": operation.cost,
        }
        roles = access.allowed_roles(operation)
        if roles:
            result["x-roles"] = list(roles)
        if operation.step_up:
            result["x-step-up"] = operation.step_up
        if operation.body is not None:
            schema = self._schema_of[repr(operation.body)]
            example = operation.example or example_of(schema, self._schemas, required_only=True)
            content = {"schema": schema, "example": example}
            result["requestBody"] = {
                "required": True,
                "description": f"At most {operation.body_bytes:,} bytes.",
                "content": dict.fromkeys(operation.body_types, content),
            }
        return result

    def _parameters(self) -> list[dict[str, Any]]:
        operation = self._operation
        parameters = [links.path_parameter(operation.path, name) for name in re.findall(r"{(\w+)}", operation.path)]
        for parameter in parameters:
            parameter["schema"] = {"type": "string", "pattern": f"^{ID_PATTERN}$"}
        parameters += [self._query_parameter(*each) for each in _fields(operation)]
        names = []
        if operation.idempotent:
            names.append("Idempotency-Key")
        if operation.method == "PATCH":
            names.append("If-Match")
        if operation.cacheable:
            names.append("If-None-Match")
        if operation.scope not in (PUBLIC, PERSON):
            names += ["Tradewright-Organization", "Tradewright-Environment"]
        return parameters + [{"$ref": f"#/components/parameters/{name}"} for name in names]

    def _query_parameter(self, name: str, hint: Any, field: Any) -> dict[str, Any]:
        schema = _of_text(self._schema_of[repr(hint)])
        parts = [schema, *schema.get("anyOf", [])]
        said = next((part["description"] for part in parts if "description" in part), _SAID.get(name, ""))
        return {
            "name": name,
            "in": "query",
            "required": bool(field.required),
            "description": said or f"Only those of this {name.replace('_', ' ')}.",
            "schema": schema if field.required or field.default is None else {**schema, "default": field.default},
        }

    def _responses(self) -> dict[str, Any]:
        operation = self._operation
        done: dict[str, Any] = {"description": f"{operation.summary}.", "headers": _headers(self._headers_of_success())}
        if operation.status != 204:
            done["content"] = {kind: self._content(kind) for kind in operation.media_types}
        responses: dict[str, Any] = {str(operation.status): done}
        if operation.cacheable:
            told = "It has not changed: the ETag is the one of If-None-Match."
            responses["304"] = {"description": told, "headers": _headers(("ETag",))}
        by_status: dict[int, list[str]] = {}
        for code in codes_of(operation):
            by_status.setdefault(CATALOGUE[code].status, []).append(code)
        for status, codes in sorted(by_status.items()):
            responses[str(status)] = {"$ref": self._problems.reference(status, codes)}
        return responses

    def _headers_of_success(self) -> list[str]:
        operation = self._operation
        names = ["ETag"] if operation.cacheable else []
        names += ["Idempotency-Replayed"] if operation.idempotent else []
        names += ["Link", "Data-Verdict"] if len(operation.media_types) > 1 else []
        return names

    def _content(self, kind: str) -> dict[str, Any]:
        if kind != _JSON:
            return {"schema": _TEXT if kind.startswith("text/") else _BINARY}
        schema = self._schema_of[repr(self._operation.answer)]
        return {"schema": schema, "example": example_of(schema, self._schemas)}


class _Problems:
    """The refusals of all operations: one for each status and set of codes, named by status and number."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self.responses: dict[str, Any] = {}

    def reference(self, status: int, codes: list[str]) -> str:
        """Return where the response stands."""
        response = self._response(status, codes)
        same = [name for name, known in self.responses.items() if known == response]
        name = same[0] if same else f"{status}_{sum(known.startswith(f'{status}_') for known in self.responses) + 1}"
        self.responses[name] = response
        return f"#/components/responses/{name}"

    def _response(self, status: int, codes: list[str]) -> dict[str, Any]:
        examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
        return {
            "description": "; ".join(CATALOGUE[code].title for code in codes) + ".",
            "headers": _headers(("Retry-After",) if status in (429, 503) else ()),
            "content": {MEDIA_TYPE: {"schema": self._schema, "examples": examples}},
        }


def _of_text(schema: dict[str, Any]) -> dict[str, Any]:
    # what the parser asks of every value of a query, where its type asks nothing narrower
    if "anyOf" in schema:
        return {**schema, "anyOf": [_of_text(part) for part in schema["anyOf"]]}
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "format", "enum"}:
        return {**schema, "pattern": f"^{QUERY_TEXT}$"}
    return schema


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *names)}


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.scope == PUBLIC:
        return []
    session: dict[str, list[str]] = {"session": []}
    if operation.method != "GET":
        session["csrf"] = []
    return [session] if operation.sessions_only or operation.roles else [{"key": []}, session]


def _header(description: str, schema: dict[str, Any], sample: Any, required: bool = False) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema, "example": sample}


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_SAID = {
    "limit": "Rows on a page.",
    "cursor": "`next_cursor` of the page before, with the same filters.",
    "order": "Ascending or descending.",
}
_HEADERS = {
    "X-Request-Id": _header(
        "Names this request: the one sent, or a new one.", _TEXT, "req_01k3v9h2m4qzt6x8b0c2d4e6f8", True
    ),
    "RateLimit": _header("What is left of each limit: r units, all back in t seconds.", _TEXT, '"key";r=2999;t=1'),
    "RateLimit-Policy": _header("Each limit: q units in w seconds.", _TEXT, '"key";q=3000;w=60'),
    "Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 0}, 5),
    "ETag": _header("Names this state; send it in If-None-Match.", _TEXT, '"8f14e45fceea167a5a36dedd"', True),
    "Idempotency-Replayed": _header("`true` when this is the answer of the first request.", _TEXT, "true"),
    "Data-Verdict": _header(
        "The series of CSV and Arrow answers by verdict, as a dictionary of RFC 9651. pre_adjusted: the source adjusts "
        "its prices.",
        _TEXT,
        'clean=("crypto:AAA-USD"), usable=("equity:AAPL";pre_adjusted)',
    ),
    "Link": _header("The next page, of CSV and Arrow answers.", _TEXT, '</v1/bars?cursor=...>; rel="next"'),
}
_PARAMETERS = {
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "The same request with the same key is answered with the first answer, for 24 hours.",
        {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
    ),
    "If-Match": _parameter(
        "If-Match", "Only if this is still its ETag; else 412.", {"type": "string", "pattern": f"^({ETAGS})$"}
    ),
    "If-None-Match": _parameter("If-None-Match", "An ETag of before: 304 when it is the same.", {"type": "string"}),
    "Tradewright-Organization": _parameter(
        "Tradewright-Organization", "With a session: the organization. A key has its own.", {"type": "string"}
    ),
    "Tradewright-Environment": _parameter(
        "Tradewright-Environment",
        "With a session: the environment. A key has its own.",
        {"type": "string", "enum": list(ENVIRONMENTS)},
    ),
}
_SECURITY = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tw_<environment>_...",
        "description": "An API key, of one organization and environment.",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set by POST /v1/auth/login."},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "Tradewright-CSRF",
        "description": "`csrf_token` of the login, with every request of a session that changes something.",
    },
}
