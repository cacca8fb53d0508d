"""Signed requests: what is signed, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tradewright.accounts import signatures
from tradewright.accounts.signatures import Message, Signature
from tradewright.errors import InvalidInput, Unauthenticated

NOW = 1_700_000_000_000_000
NONCE = "n" * 16
MESSAGE = Message("POST", "/v1/api-keys", "b=2&a=1&a=0", b'{"name":"k"}')
GIVEN = {
    "tradewright-timestamp": str(NOW // 1000),
    "tradewright-nonce": NONCE,
    "tradewright-signature": "hmac-sha256=" + base64.b64encode(b"x" * 32).decode(),
}


def test_the_text_that_is_signed_is_the_one_documented() -> None:
    body = hashlib.sha256(b'{"name":"k"}').hexdigest()
    text = f"POST\n/v1/api-keys\na=0&a=1&b=2\n1700000000000\n{NONCE}\n{body}"
    assert signatures.text_to_sign(MESSAGE, 1_700_000_000_000, NONCE) == text.encode()


def test_a_signature_of_a_known_request_is_pinned() -> None:
    text = signatures.text_to_sign(Message("GET", "/v1/limits", "", b""), 1_700_000_000_000, NONCE)
    assert hmac.new(b"tws_secret", text, hashlib.sha256).hexdigest() == (
        "848c6516068e765a1701c68ef337831cf9bf6050b97e121c07f025258e7ea9eb"
    )


@given(st.sampled_from(["method", "path", "query", "body", "timestamp", "nonce"]))
def test_nothing_that_is_signed_can_be_changed(part: str) -> None:
    key = b"tws_" + b"k" * 43
    value = hmac.new(key, signatures.text_to_sign(MESSAGE, 1, NONCE), hashlib.sha256).digest()
    assert signatures.verify(MESSAGE, Signature(1, NONCE, "hmac-sha256", value), key)
    changed = {"method": MESSAGE.method, "path": MESSAGE.path, "query": MESSAGE.query, "body": MESSAGE.body}
    other = {"method": "PUT", "path": "/v1/api-keyz", "query": "a=1&b=2", "body": b'{"name":"j"}'}
    message = Message(**{**changed, **({part: other[part]} if part in other else {})})  # type: ignore[arg-type]
    signature = Signature(2 if part == "timestamp" else 1, "m" * 16 if part == "nonce" else NONCE, "hmac-sha256", value)
    assert not signatures.verify(message, signature, key)


@given(st.binary(max_size=80))
def test_any_other_bytes_are_no_signature(value: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(b"p" * 32)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    right = private.sign(signatures.text_to_sign(MESSAGE, 1, NONCE))
    assert signatures.verify(MESSAGE, Signature(1, NONCE, "ed25519", right), public)
    if value != right:
        assert not signatures.verify(MESSAGE, Signature(1, NONCE, "ed25519", value), public)
        assert not signatures.verify(MESSAGE, Signature(1, NONCE, "hmac-sha256", value), public)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_no_two_messages_have_the_same_text(one: str, two: str) -> None:
    def text(path: str) -> bytes:
        return signatures.text_to_sign(Message("GET", path, "", b""), 1, NONCE)

    if one != two:
        assert text(one) != text(two)


def test_without_signature_headers_there_is_nothing_to_read() -> None:
    assert signatures.read({"user-agent": "curl"}, NOW) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tradewright-nonce": None}, "has only tradewright-timestamp, tradewright-signature"),
        ({"tradewright-timestamp": "yesterday"}, "milliseconds since 1970"),
        ({"tradewright-timestamp": "-1700000000000"}, "milliseconds since 1970"),
        ({"tradewright-timestamp": "999999999999999"}, "in the future"),
        ({"tradewright-timestamp": str(NOW // 1000 - 5001)}, "here it is 2023-11-14T22:13:20Z"),
        ({"tradewright-timestamp": str(NOW // 1000 + 1001)}, "in the future"),
        ({"tradewright-nonce": "short"}, "16 to 64 visible"),
        ({"tradewright-nonce": "n" * 65}, "16 to 64 visible"),
        ({"tradewright-nonce": "n" * 16 + " "}, "16 to 64 visible"),
        ({"tradewright-signature": "none=AAAA"}, "hmac-sha256=<base64>"),
        ({"tradewright-signature": "ed25519=!!"}, "not base64"),
    ],
)
def test_headers_that_cannot_be_valid_are_refused_with_the_reason(change: dict[str, str | None], said: str) -> None:
    headers = {name: value for name, value in {**GIVEN, **change}.items() if value is not None}
    with pytest.raises(Unauthenticated, match=said):
        signatures.read(headers, NOW)


@pytest.mark.parametrize("offset_ms", [-5000, 0, 1000])
def test_the_window_is_five_seconds_back_and_one_ahead(offset_ms: int) -> None:
    headers = {**GIVEN, "tradewright-timestamp": str(NOW // 1000 + offset_ms)}
    found = signatures.read(headers, NOW)
    assert found is not None
    assert (found.nonce, found.algorithm, found.value) == (NONCE, "hmac-sha256", b"x" * 32)


@pytest.mark.parametrize("text", ["", "AAAA", "!", base64.b64encode(b"x" * 33).decode()])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="32 raw bytes"):
        signatures.public_key(text)


def test_the_example_of_the_documentation_signs_rightly() -> None:
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    sent = names["signed"]("tws_secret", MESSAGE.method, MESSAGE.path, MESSAGE.query, MESSAGE.body)
    read = signatures.read({name.lower(): value for name, value in sent.items()}, time.time_ns() // 1000)
    assert read is not None
    assert signatures.verify(MESSAGE, read, b"tws_secret")
