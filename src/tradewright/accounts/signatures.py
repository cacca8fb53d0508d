"""Signed requests: proof that whoever holds the signing key sent exactly this, just now, once.

Signed is this text, its six parts joined by newlines: method, path as it is sent, pairs of the query sorted and joined
by `&`, timestamp, nonce, SHA-256 of the body in hexadecimal. A request carries

    Tradewright-Timestamp   milliseconds since 1970
    Tradewright-Nonce       16 to 64 visible characters, another one each time
    Tradewright-Signature   hmac-sha256=<base64>, with the secret as it was shown, or ed25519=<base64>

Everything but `Signatures` is pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tradewright.accounts.keys import place_of
from tradewright.accounts.principal import Principal
from tradewright.accounts.public_keys import refuse_weak
from tradewright.clock import Clock, format_us
from tradewright.errors import InvalidInput, Unauthenticated
from tradewright.storage import nonces
from tradewright.storage.database import Database
from tradewright.storage.vault import Vault

PAST_US = 5_000_000
FUTURE_US = 1_000_000
HMAC, ED25519 = "hmac-sha256", "ed25519"
ALGORITHMS = (HMAC, ED25519)
HEADERS = ("tradewright-timestamp", "tradewright-nonce", "tradewright-signature")
_SHOWN = "Tradewright-Timestamp, Tradewright-Nonce and Tradewright-Signature"
_NONCE = re.compile(r"[\x21-\x7e]{16,64}")
_TIMESTAMP = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Message:
    """What a signature is about. path, query: as they are sent, without the question mark."""

    method: str
    path: str
    query: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """What the headers say."""

    timestamp_ms: int
    nonce: str
    algorithm: str
    value: bytes


def text_to_sign(message: Message, timestamp_ms: int, nonce: str) -> bytes:
    """Return the bytes that are signed."""
    query = "&".join(sorted(part for part in message.query.split("&") if part))
    digest = hashlib.sha256(message.body).hexdigest()
    return "\n".join((message.method, message.path, query, str(timestamp_ms), nonce, digest)).encode()


def read(headers: Mapping[str, str], now_us: int) -> Signature | None:
    """Return what the headers say, None when there are none of them. Raises Unauthenticated for what cannot be valid.

    headers: by lower-case name.
    """
    timestamp, nonce, signature = (headers.get(name) for name in HEADERS)
    if timestamp is None and nonce is None and signature is None:
        return None
    if timestamp is None or nonce is None or signature is None:
        given = [name for name in HEADERS if name in headers]
        raise Unauthenticated(
            f"a signed request carries {_SHOWN}; this one has only {', '.join(given)}; send all three, or none"
        )
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Unauthenticated("Tradewright-Timestamp must be milliseconds since 1970, in digits")
    if not _NONCE.fullmatch(nonce):
        raise Unauthenticated("Tradewright-Nonce must be 16 to 64 visible ASCII characters")
    sent_us = int(timestamp) * 1_000
    if not now_us - PAST_US <= sent_us <= now_us + FUTURE_US:
        raise Unauthenticated(
            f"Tradewright-Timestamp lies more than {PAST_US // 1_000_000} s in the past or {FUTURE_US // 1_000_000} s "
            f"in the future: it says {format_us(sent_us) if sent_us < 2**52 else timestamp}, and here it is "
            f"{format_us(now_us)}; set your clock"
        )
    algorithm, _, encoded = signature.partition("=")
    if algorithm not in ALGORITHMS:
        raise Unauthenticated(f"Tradewright-Signature must be {HMAC}=<base64> or {ED25519}=<base64>")
    try:
        value = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise Unauthenticated(f"what follows {algorithm}= in Tradewright-Signature is not base64") from None
    return Signature(int(timestamp), nonce, algorithm, value)


def verify(message: Message, signature: Signature, key: bytes) -> bool:
    """Return whether the signature is right. key: the shared secret, or the raw public key."""
    text = text_to_sign(message, signature.timestamp_ms, signature.nonce)
    if signature.algorithm == HMAC:
        return hmac.compare_digest(hmac.new(key, text, hashlib.sha256).digest(), signature.value)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature.value, text)
    except InvalidSignature:
        return False
    return True


def public_key(text: str) -> str:
    """Return a public key as it is stored. Raises InvalidInput for what is no raw Ed25519 key in base64."""
    try:
        raw = base64.b64decode(text, validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise InvalidInput("must be the base64 of the 32 raw bytes of an Ed25519 public key") from None
    refuse_weak(key)
    return base64.b64encode(raw).decode()


class Signatures:
    """Checks the signature of a request, and that its nonce is new."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    def concerns(self, principal: Principal, headers: Mapping[str, str]) -> bool:
        """Return whether there is anything to check: most requests are not signed and need not be."""
        return principal.key is not None and (principal.signing is not None or any(name in headers for name in HEADERS))

    async def check(self, principal: Principal, message: Message, headers: Mapping[str, str]) -> None:
        """Return when the request is signed rightly, or need not be and is not. Raises Unauthenticated."""
        assert principal.key is not None
        now_us = self._clock.now_us()
        signature = read(headers, now_us)
        signing = principal.signing
        if signature is None:
            if signing is not None and signing.required:
                raise Unauthenticated(
                    f"requests with this key must be signed ({signing.algorithm}): send {_SHOWN}; see /docs"
                )
            return
        if signing is None:
            raise Unauthenticated("this key has no signing key; leave the signature out, or make a key with `signing`")
        if signature.algorithm != signing.algorithm:
            raise Unauthenticated(
                f"this key signs with {signing.algorithm}; the signature is {signature.algorithm}; sign with the "
                "algorithm of the key"
            )
        if not verify(message, signature, self._key(principal)):
            raise Unauthenticated(
                "the signature does not fit the request; sign method, path, sorted query, timestamp, nonce and the "
                "SHA-256 of the body, joined by newlines"
            )
        expires_at = signature.timestamp_ms * 1_000 + PAST_US + FUTURE_US
        if not await self._database.write_async(nonces.take, principal.key, signature.nonce, expires_at):
            raise Unauthenticated("this Tradewright-Nonce was used before; make a new one for every request")

    def _key(self, principal: Principal) -> bytes:
        signing, key = principal.signing, principal.key
        assert signing is not None
        assert key is not None
        if signing.public_key is not None:
            return base64.b64decode(signing.public_key)
        assert signing.secret is not None
        return self._vault.open(signing.secret, place_of(key))
