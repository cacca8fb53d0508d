"""Headers that no reader should have to understand are refused, before anything else reads them."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from asgi import Client


@pytest.mark.parametrize("value", ["9" * 5_000, "\xb2", "-1", "+5", "1_0", "0x5", "five"])
def test_a_length_that_is_no_number_of_bytes_is_refused(served: Any, value: str) -> None:
    async def work(client: Client) -> None:
        answer = await client.get("/v1/instruments", headers={"Content-Length": value})
        assert (answer.status, answer.json["code"]) == (400, "malformed_header")
        assert (await client.get("/v1/instruments", headers={"Content-Length": "0"})).status == 200

    served.run(work)


@pytest.mark.parametrize("name", ["user-agent", "tradewright-organization", "accept", "x-request-id"])
def test_a_header_with_a_character_that_no_text_holds_is_refused(served: Any, name: str) -> None:
    async def work(client: Client) -> None:
        body = {"broker": "paper", "name": "second"}
        answer = await client.post("/v1/broker-accounts", body, headers={name: "a\0b"})
        assert (answer.status, answer.json["code"]) == (400, "malformed_header")
        assert name in answer.json["detail"]
        assert (await client.post("/v1/broker-accounts", body)).status == 201

    served.run(work)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x-unknown"])
def test_a_body_that_is_packed_is_refused_by_the_name_of_its_coding(served: Any, coding: str) -> None:
    async def work(client: Client) -> None:
        for body in (gzip.compress(b'{"name": "x", "scopes": ["market:read"]}'), b"{}"):
            answer = await client.post("/v1/api-keys", body, headers={"Content-Encoding": coding})
            assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")
            assert coding in answer.json["detail"]
            assert "without Content-Encoding" in answer.json["detail"]

    served.run(work)


def test_a_body_that_says_it_is_not_packed_is_read(served: Any) -> None:
    async def work(client: Client) -> None:
        body = {"name": "x", "scopes": ["market:read"]}
        answer = await client.post("/v1/api-keys", body, headers={"Content-Encoding": "identity"})
        assert answer.status == 201

    served.run(work)
