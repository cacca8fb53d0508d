"""The OpenAPI document is whole: every example fits its schema, and every answer is described."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tradewright.accounts.keys import parse, shown_prefix
from tradewright.api.documents import document_bytes
from tradewright.api.operations import PUBLIC
from tradewright.api.outcomes import codes_of
from tradewright.api.problems import CATALOGUE
from tradewright.api.routes import all_operations
from tradewright.api.sample_values import PASSKEY
from tradewright.app.rights_page import page
from tradewright.clock import parse_us

DOCUMENT: dict[str, Any] = json.loads(document_bytes("0"))
OPERATIONS = {operation.id: operation for operation in all_operations()}
DESCRIBED = {o["operationId"]: o for methods in DOCUMENT["paths"].values() for o in methods.values()}


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        _, kind, name = part["$ref"].removeprefix("#/").split("/")
        part = DOCUMENT["components"][kind][name]
    return part


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for response in operation["responses"].values():
        yield from resolved(response).get("content", {}).values()
    yield from operation.get("requestBody", {}).get("content", {}).values()


def check(schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)


@pytest.mark.parametrize("name", list(DESCRIBED))
def test_every_example_fits_its_schema(name: str) -> None:
    seen = 0
    for content in contents(DESCRIBED[name]):
        examples = [resolved(each)["value"] for each in content.get("examples", {}).values()]
        for value in [*examples, *([content["example"]] if "example" in content else [])]:
            check(content["schema"], value)
            seen += 1
        assert "json" not in json.dumps(list(content)) or examples or "example" in content
    assert seen >= 3
    for parameter in map(resolved, DESCRIBED[name]["parameters"]):
        if "example" in parameter:
            check(parameter["schema"], parameter["example"])


def texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value, with the name of the property that it stands under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, name)
    elif isinstance(value, str):
        yield name, value


SPELLED_LIKE_THEIR_NAME = {"credentials", "description", "instance", "kinds", "licence", "notes", "offers", "opt_in"}
"""Texts of sources and of prose, for which the name says as much as an example would."""
OTHER_IDS = {"equity:AAPL", PASSKEY["id"]}


def test_examples_of_answers_look_like_what_is_answered() -> None:
    seen: dict[str, set[str]] = {}
    for described in DESCRIBED.values():
        for content in contents(described):
            for name, value in texts(content.get("example")):
                seen.setdefault(name, set()).add(value)
    assert {name for name, values in seen.items() if name in values} <= SPELLED_LIKE_THEIR_NAME | {
        "base_url",
        "summary",
    }
    for name, values in seen.items():
        if name == "time" or name.endswith(("_at", "_time", "_until")):
            assert all(parse_us(value) for value in values), name
    (key,) = seen["key"]
    assert parse(key) is not None, "its checksum is right"
    assert all(value.startswith(f"{shown_prefix('paper', 'EXAMPLE0')}") for value in (*seen["public_id"], key))
    (secret,) = seen["signing_secret"]
    assert (len(secret), len(*seen["token"]), len(*seen["csrf_token"])) == (47, 43, 64)
    assert all(re.fullmatch(r"[a-z]{3}_[0-9a-z]{26}(-\d)?", value) for value in seen["id"] - OTHER_IDS)


def test_an_example_that_does_not_fit_would_be_found() -> None:
    schema = DESCRIBED["get_order"]["responses"]["200"]["content"]["application/json"]["schema"]
    with pytest.raises(jsonschema_rs.ValidationError):
        check(schema, {"id": 5})


@pytest.mark.parametrize("name", list(DESCRIBED))
def test_every_operation_is_described_with_its_rights_and_outcomes(name: str) -> None:
    operation, described = OPERATIONS[name], DESCRIBED[name]
    assert described["summary"]
    assert described["description"]
    assert described["x-scope"] == operation.scope
    assert described["x-cost"] == operation.cost
    assert bool(described["security"]) == (operation.scope != PUBLIC)
    wanted = {str(CATALOGUE[code].status) for code in codes_of(operation)} | {str(operation.status)}
    assert set(described["responses"]) == wanted | ({"304"} if operation.cacheable else set())
    names = {parameter["name"] for parameter in map(resolved, described["parameters"])}
    assert ("Idempotency-Key" in names) == operation.idempotent
    assert ("If-None-Match" in names) == operation.cacheable
    assert ("If-Match" in names) == (operation.method == "PATCH")
    assert all(parameter["description"] for parameter in map(resolved, described["parameters"]))
    for response in map(resolved, described["responses"].values()):
        assert {"X-Request-Id", "RateLimit"} <= set(response["headers"])


def test_every_reference_and_link_of_the_document_leads_somewhere() -> None:
    def walk(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            yield part
            for inner in part.values():
                yield from walk(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from walk(inner)

    linked = 0
    for part in walk(DOCUMENT):
        if "$ref" in part:
            assert resolved(part)
        for link in part.get("links", {}).values() if "responses" not in part else ():
            target = DESCRIBED[link["operationId"]]
            known = {parameter["name"] for parameter in map(resolved, target["parameters"])}
            assert set(link.get("parameters", {})) <= known
            linked += 1
    assert linked > 40


def test_what_is_made_by_a_post_leads_to_everything_that_takes_its_id() -> None:
    made = DESCRIBED["create_backtest"]["responses"]["202"]["links"]
    assert {"get_backtest", "cancel_backtest", "get_backtest_report", "delete_backtest"} <= set(made)
    assert made["get_backtest"]["parameters"] == {"id": "$response.body#/id"}


def test_the_table_of_rights_is_fresh() -> None:
    stored = (Path(__file__).parents[2] / "docs" / "rights.md").read_text(encoding="utf-8")
    assert stored == page(), "write it anew: python -m tradewright.app.rights_page > docs/rights.md"
    assert all(f"| `{name}` |" in stored for name in OPERATIONS)
