"""Paths find the operations declared on them, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tradewright.api.operations import PUBLIC, Operation
from tradewright.api.routes import all_operations
from tradewright.api.routing import Router


async def nothing(_: Any) -> None:
    return None


def operation(method: str, path: str) -> Operation:
    return Operation(method, path, f"{method} {path}", "", "", PUBLIC, nothing)


def found(router: Router, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    place = router.find(path)
    return None if place is None else (place[0].operations[method].path, place[1])


def test_a_path_finds_its_operation_and_its_parameters() -> None:
    router = Router([operation("GET", "/v1/a"), operation("GET", "/v1/a/{id}"), operation("POST", "/v1/a/{id}/stop")])
    assert found(router, "GET", "/v1/a") == ("/v1/a", {})
    assert found(router, "GET", "/v1/a/crypto:X") == ("/v1/a/{id}", {"id": "crypto:X"})
    assert found(router, "POST", "/v1/a/7/stop") == ("/v1/a/{id}/stop", {"id": "7"})


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/b", "/v1/a/7/go", "/v1/a/7/stop/now", "/v1/a//stop", "//v1/a", "/v1/a/"]
)
def test_a_path_nobody_declared_finds_nothing(path: str) -> None:
    router = Router([operation("GET", "/v1/a"), operation("GET", "/v1/a/{id}"), operation("POST", "/v1/a/{id}/stop")])
    assert router.find(path) is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_written_segment_goes_before_a_parameter(turned: bool) -> None:
    declared = [operation("GET", "/v1/a/{id}"), operation("GET", "/v1/a/board"), operation("GET", "/v1/a/board/{id}")]
    declared += [operation("GET", "/v1/a/{id}/{part}")]
    router = Router(reversed(declared) if turned else declared)
    assert found(router, "GET", "/v1/a/board") == ("/v1/a/board", {})
    assert found(router, "GET", "/v1/a/board/7") == ("/v1/a/board/{id}", {"id": "7"})
    assert found(router, "GET", "/v1/a/6/7") == ("/v1/a/{id}/{part}", {"id": "6", "part": "7"})


def test_what_answers_get_answers_head_and_says_so() -> None:
    router = Router([operation("GET", "/v1/a"), operation("POST", "/v1/b")])
    read, written = router.find("/v1/a"), router.find("/v1/b")
    assert read is not None
    assert written is not None
    assert read[0].operation("HEAD") is read[0].operation("GET") is not None
    assert written[0].operation("HEAD") is None
    assert (read[0].allow, written[0].allow) == ("GET, HEAD, OPTIONS", "OPTIONS, POST")


def test_head_cannot_be_declared_apart() -> None:
    with pytest.raises(ValueError, match="HEAD"):
        Router([operation("HEAD", "/v1/a")])


@pytest.mark.parametrize("path", ["/v1/a/{id}", "/v1/a/{name}"])
def test_what_is_declared_twice_is_refused_at_the_start(path: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        Router([operation("GET", "/v1/a/{id}"), operation("GET", path)])


def test_every_operation_of_the_api_is_found_on_its_own_path() -> None:
    operations = all_operations()
    router = Router(operations)
    for declared in operations:
        place = router.find(re.sub(r"{\w+}", "x", declared.path))
        assert place is not None
        assert place[0].operations[declared.method] is declared
