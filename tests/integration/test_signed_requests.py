"""Signed requests over HTTP: once, in time, unchanged; also shared by processes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from asgi import Client, Reply
from tradewright.accounts import keys
from tradewright.accounts.keys import Issued, Terms
from tradewright.accounts.limits import Policy
from tradewright.accounts.principal import Signing
from tradewright.api.app import build
from tradewright.storage import nonces
from tradewright.storage.database import Database
from tradewright.storage.tables import metadata

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"p" * 32)
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
NONCES = (f"nonce-{n:012}" for n in itertools.count())
Sign = Callable[[bytes], bytes]


def issue(served: Any, signing: Signing | None) -> Issued:
    terms = Terms("signs", ("market:read", "organization:admin"), signing=signing)
    made: Issued = served.database.write(
        keys.issue, served.services.vault, "org_a", "paper", terms, served.clock.now_us()
    )
    return made


def headers(
    served: Any, algorithm: str, sign: Sign, method: str, target: str, body: bytes = b"", **change: str
) -> dict[str, str]:
    """What a client sends, written from the documentation."""
    path, _, query = target.partition("?")
    timestamp = change.get("timestamp", str(served.clock.now_us() // 1000))
    nonce = change.get("nonce") or next(NONCES)
    ordered = "&".join(sorted(query.split("&"))) if query else ""
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join([method, path, ordered, timestamp, nonce, digest]).encode()
    return {
        "Tradewright-Timestamp": timestamp,
        "Tradewright-Nonce": nonce,
        "Tradewright-Signature": f"{algorithm}={base64.b64encode(sign(text)).decode()}",
    }


def by_hmac(secret: str | None) -> Sign:
    assert secret is not None
    return lambda text: hmac.new(secret.encode(), text, hashlib.sha256).digest()


def refused(reply: Reply, said: str) -> bool:
    return (reply.status, reply.json["code"]) == (401, "unauthenticated") and said in reply.json["detail"]


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "ed25519"])
def test_a_signed_request_passes_once(served: Any, algorithm: str) -> None:
    key = issue(served, Signing(algorithm, True, PUBLIC if algorithm == "ed25519" else None))
    sign = PRIVATE.sign if algorithm == "ed25519" else by_hmac(key.signing_secret)

    async def work(client: Client) -> None:
        target = "/v1/api-keys?order=asc&limit=3"
        signed = headers(served, algorithm, sign, "GET", target)
        assert (await client.get(target, key=key.text, headers=signed)).status == 200
        assert refused(await client.get(target, key=key.text, headers=signed), "was used before")
        body = b'{"name":"made","scopes":["market:read"],"signing":{"algorithm":"hmac-sha256","required":true}}'
        signed = headers(served, algorithm, sign, "POST", "/v1/api-keys", body)
        made = await client.post("/v1/api-keys", body, key=key.text, headers=signed)
        assert made.status == 201, made.body

    served.run(work)


def test_a_key_that_requires_signatures_says_which_headers_are_missing(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))

    async def work(client: Client) -> None:
        reply = await client.get("/v1/instruments", key=key.text)
        assert refused(reply, "send Tradewright-Timestamp, Tradewright-Nonce and Tradewright-Signature")
        plain = {"name": "k", "scopes": ["market:read"]}
        signed = headers(
            served, "hmac-sha256", by_hmac(key.signing_secret), "POST", "/v1/api-keys", json.dumps(plain).encode()
        )
        made = await client.post("/v1/api-keys", json.dumps(plain).encode(), key=key.text, headers=signed)
        assert made.status == 403
        assert "must be signed" in made.json["detail"]

    served.run(work)


def test_a_signature_that_is_sent_is_checked_though_it_is_not_required(served: Any) -> None:
    key, plain = issue(served, Signing("hmac-sha256", False)), issue(served, None)
    sign = by_hmac(key.signing_secret)

    async def work(client: Client) -> None:
        assert (await client.get("/v1/instruments", key=key.text)).status == 200
        other = headers(served, "hmac-sha256", sign, "GET", "/v1/verdicts")
        assert refused(await client.get("/v1/instruments", key=key.text, headers=other), "does not fit")
        right = headers(served, "hmac-sha256", sign, "GET", "/v1/instruments")
        assert refused(await client.get("/v1/instruments", key=plain.text, headers=right), "has no signing key")
        wrong = headers(served, "ed25519", PRIVATE.sign, "GET", "/v1/instruments")
        assert refused(await client.get("/v1/instruments", key=key.text, headers=wrong), "signs with hmac-sha256")
        assert (await client.get("/v1/instruments", key=key.text, headers=right)).status == 200

    served.run(work)


def test_a_use_is_noted_only_when_the_signature_is_right(served: Any) -> None:
    key, plain = issue(served, Signing("hmac-sha256", True)), issue(served, None)
    sign, target = by_hmac(key.signing_secret), "/v1/instruments"
    uses = served.services.authenticator.take_uses

    async def work(client: Client) -> None:
        wrong = [{}, headers(served, "hmac-sha256", sign, "GET", "/v1/verdicts")]
        for sent in wrong:
            assert (await client.get(target, key=key.text, headers=sent)).status == 401
        assert (await client.get("/v1/nothing", key=key.text)).status == 404
        right = headers(served, "hmac-sha256", sign, "GET", target)
        assert (await client.get(target, key=plain.text, headers=right)).status == 401
        client.address = "203.0.113.9"
        assert uses() == []
        assert (await client.get(target, key=key.text, headers=right | {"User-Agent": "a"})).status == 200
        assert (await client.get(target, key=plain.text, headers={"User-Agent": "b"})).status == 200
        now_us = served.clock.now_us()
        assert uses() == [(key.id, now_us, client.address, "a"), (plain.id, now_us, client.address, "b")]

    served.run(work)


def test_a_request_of_another_time_is_refused_with_the_time_here(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))
    sign = by_hmac(key.signing_secret)

    async def work(client: Client) -> None:
        late = headers(served, "hmac-sha256", sign, "GET", "/v1/instruments")
        served.clock.advance(5.001)
        reply = await client.get("/v1/instruments", key=key.text, headers=late)
        assert refused(reply, "here it is 2023-11-14T22:13:25.001000Z")

    served.run(work)


def test_a_wrong_signature_uses_no_nonce_up(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))
    nonce = next(NONCES)

    async def work(client: Client) -> None:
        forged = headers(served, "hmac-sha256", lambda _: b"x" * 32, "GET", "/v1/instruments", nonce=nonce)
        assert refused(await client.get("/v1/instruments", key=key.text, headers=forged), "does not fit")
        right = headers(served, "hmac-sha256", by_hmac(key.signing_secret), "GET", "/v1/instruments", nonce=nonce)
        assert (await client.get("/v1/instruments", key=key.text, headers=right)).status == 200

    served.run(work)


def test_of_many_replays_at_once_one_passes(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))

    async def work(client: Client) -> None:
        signed = headers(served, "hmac-sha256", by_hmac(key.signing_secret), "GET", "/v1/instruments")
        replies = await asyncio.gather(
            *(client.get("/v1/instruments", key=key.text, headers=signed) for _ in range(20))
        )
        assert sorted(reply.status for reply in replies) == [200] + [401] * 19

    served.run(work)


def test_a_nonce_counts_once_over_all_processes_and_for_each_key(migrated_url: str, database: Database) -> None:
    with Database(migrated_url) as other:
        assert database.write(nonces.take, "key_1", "n" * 16, 1)
        assert not other.write(nonces.take, "key_1", "n" * 16, 1)
        assert other.write(nonces.take, "key_2", "n" * 16, 1)


def test_a_key_that_must_sign_changes_no_key_that_need_not(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))
    sign = by_hmac(key.signing_secret)
    give = {"scopes": ["market:read"]}

    async def work(client: Client) -> None:
        async def signed(method: str, target: str, change: dict[str, Any]) -> Reply:
            body = json.dumps(change).encode()
            sent = headers(served, "hmac-sha256", sign, method, target, body)
            return await client.send(method, target, body, key=key.text, headers=sent)

        made = (await client.post("/v1/api-keys", {"name": "k", **give, "addresses": ["203.0.113.0/24"]})).json
        target = f"/v1/api-keys/{made['id']}"
        for change in ({"addresses": []}, {"expires_at": None}, {"addresses": [], "expires_at": None}):
            answer = await signed("PATCH", target, change)
            assert (answer.status, answer.json["code"]) == (403, "forbidden")
            assert "must be signed" in answer.json["detail"]
        assert (await signed("POST", f"{target}/roll", {})).status == 403
        assert (await client.get(target)).json["addresses"] == ["203.0.113.0/24"]
        assert (await signed("PATCH", target, {"name": "renamed"})).json["name"] == "renamed"
        signing = {"signing": {"algorithm": "hmac-sha256", "required": True}}
        like = (await client.post("/v1/api-keys", {"name": "k", **give, **signing})).json["id"]
        answer = await signed("PATCH", f"/v1/api-keys/{like}", {"addresses": ["203.0.113.0/24"]})
        assert answer.json["addresses"] == ["203.0.113.0/24"]

    served.run(work)


def test_who_cannot_sign_uses_up_no_units_of_the_key(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))
    sign = by_hmac(key.signing_secret)

    async def left(client: Client) -> dict[str, int]:
        signed = headers(served, "hmac-sha256", sign, "GET", "/v1/limits")
        rates = (await client.get("/v1/limits", key=key.text, headers=signed)).json["rates"]
        return {rate["name"]: rate["remaining"] for rate in rates}

    async def work(client: Client) -> None:
        before = await left(client)
        wrong = headers(served, "hmac-sha256", by_hmac("another"), "GET", "/v1/instruments")
        for sent in ({}, wrong, {"Tradewright-Nonce": "x"}):
            for _ in range(5):
                assert (await client.get("/v1/instruments", key=key.text, headers=sent)).status == 401
        after = await left(client)
        assert (after["key"], after["organization"]) == (before["key"], before["organization"])
        assert after["address"] <= before["address"] - 15
        right = headers(served, "hmac-sha256", sign, "GET", "/v1/instruments")
        answer = await client.get("/v1/instruments", key=key.text, headers=right)
        assert '"key";r=' in answer.headers["ratelimit"]
        spent = await left(client)
        assert (spent["key"], spent["organization"]) == (before["key"] - 1, before["organization"] - 1)

    served.run(work)


def test_who_is_above_the_limit_writes_no_nonce(served: Any) -> None:
    key = issue(served, Signing("hmac-sha256", True))
    sign = by_hmac(key.signing_secret)
    services = replace(served.services, rules=replace(served.services.rules, key=Policy("key", 3, 60)))

    async def work(client: Client) -> list[Reply]:
        sent = [headers(served, "hmac-sha256", sign, "GET", "/v1/instruments") for _ in range(8)]
        return [await client.get("/v1/instruments", key=key.text, headers=one) for one in sent]

    answers = asyncio.run(work(Client(build(services))))
    assert [answer.status for answer in answers] == [200] * 3 + [429] * 5
    assert (answers[3].headers["retry-after"], answers[3].headers["ratelimit"].split(", ")[1]) == (
        "20",
        '"key";r=0;t=60',
    )
    assert served.database.read(lambda tx: len(tx.execute(metadata.tables["nonces"].select()).all())) == 3
