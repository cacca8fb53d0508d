"""What stands around the routes of the API's twin: limits, keys, headers, and the cache of encoded pages.

One pure ASGI layer around FastAPI, which is the quick way there: its own middleware classes and nested dependencies
take longer. The rules are those of the API beside it: three buckets (address, key, organization) of the generic cell
rate algorithm, the same headers on every answer, keys remembered for two seconds, pages kept up to 64 MiB.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple

from fastapi import HTTPException

FRESH_S = 2.0
KEPT_BYTES, OVERHEAD, KEPT_BUCKETS = 64 * 1_048_576, 512, 200_000
MAX_TARGET, MAX_BODY = 8_192, 1_048_576
WINDOW_S = 60
QUOTA = int(os.environ["TWIN_QUOTA"])
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECURITY = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        (
            b"accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), gyroscope=(), "
            b"magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
        ),
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-dns-prefetch-control", b"off"),
    (b"x-frame-options", b"deny"),
    (b"x-permitted-cross-domain-policies", b"none"),
]


class Principal(NamedTuple):
    """Who asks."""

    key: str
    organization: str
    environment: str
    scopes: frozenset[str]


class Page(NamedTuple):
    """An encoded answer, up to its feed where it has one."""

    body: bytes
    etag: str


def etag_of(body: bytes) -> str:
    """Return the ETag of these bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


class Pages:
    """Encoded answers, those asked for last."""

    def __init__(self) -> None:
        self._bytes = 0
        self._pages: OrderedDict[Hashable, tuple[Any, Page]] = OrderedDict()

    def get(self, key: Hashable, good: Callable[[Any], bool]) -> Page | None:
        """Return what is kept under the key when its version is good."""
        held = self._pages.get(key)
        if held is None or not good(held[0]):
            return None
        self._pages.move_to_end(key)
        return held[1]

    def put(self, key: Hashable, version: Any, body: bytes) -> Page:
        """Keep an answer and return it."""
        page = Page(body, etag_of(body))
        before = self._pages.pop(key, None)
        if before is not None:
            self._bytes -= len(before[1].body) + OVERHEAD
        self._pages[key] = (version, page)
        self._bytes += len(body) + OVERHEAD
        while self._bytes > KEPT_BYTES:
            _, (_, dropped) = self._pages.popitem(last=False)
            self._bytes -= len(dropped.body) + OVERHEAD
        return page


class Guards:
    """The layer: limits and headers for everything, a key for what is under /v1.

    find: returns the stored key of a public id, None when there is none.
    """

    def __init__(self, app: Any, find: Callable[[str], Awaitable[Any]]) -> None:
        self._app = app
        self._find = find
        self._keys: dict[str, tuple[float, bytes, Principal]] = {}
        self._arrivals: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._interval = WINDOW_S * 1_000_000 // QUOTA

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id") or b"req_" + os.urandom(12).hex().encode()
        taken: list[tuple[str, int, int]] = []

        async def completed(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                message["headers"] = [*given, *SECURITY, *_limits(taken), (b"x-request-id", request_id)]
                if not any(name == b"etag" for name, _ in given):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        try:
            await self._admit(scope, headers, taken)
        except HTTPException as error:
            body = json.dumps({"status": error.status_code, "detail": error.detail}).encode()
            length = (b"content-length", str(len(body)).encode())
            given = [length, (b"content-type", b"application/problem+json")]
            await completed({"type": "http.response.start", "status": error.status_code, "headers": given})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, completed)

    async def _admit(self, scope: Any, headers: dict[bytes, bytes], taken: list[tuple[str, int, int]]) -> None:
        if len(scope["path"]) + len(scope["query_string"]) > MAX_TARGET:
            raise HTTPException(413, "path and query are too long")
        if int(headers.get(b"content-length", b"0")) > MAX_BODY:
            raise HTTPException(413, "the body is too large")
        now_us = time.time_ns() // 1_000
        client = scope.get("client")
        self._take([("address", client[0] if client else "unknown")], now_us, taken)
        if scope["path"].startswith("/v1/"):
            who = await self._principal(headers.get(b"authorization", b"").decode("latin-1"))
            scope.setdefault("state", {})["who"] = who
            self._take([("key", who.key), ("organization", who.organization)], now_us, taken)

    def _take(self, places: list[tuple[str, str]], now_us: int, taken: list[tuple[str, int, int]]) -> None:
        after = []
        for place in places:
            ahead = max(self._arrivals.get(place, now_us), now_us) + self._interval
            if ahead - now_us > QUOTA * self._interval:
                raise HTTPException(429, f"the limit for each {place[0]} is used up")
            after.append((place, ahead))
        for place, ahead in after:
            self._arrivals[place] = ahead
            self._arrivals.move_to_end(place)
            left = ahead - now_us
            taken.append((place[0], QUOTA - -(-left // self._interval), -(-left // 1_000_000)))
        while len(self._arrivals) > KEPT_BUCKETS:
            self._arrivals.popitem(last=False)

    async def _principal(self, header: str) -> Principal:
        word, _, text = header.partition(" ")
        parts = text.split("_")
        if word.lower() != "bearer" or len(parts) != 3 or len(parts[2]) != 57:
            raise HTTPException(401, "this needs an API key")
        check = _base62(zlib.crc32(text[:-6].encode())).rjust(6, "0")
        if not hmac.compare_digest(check, text[-6:]):
            raise HTTPException(401, "this is not an API key")
        public_id, secret = parts[2][:8], parts[2][8:-6]
        now = time.monotonic()
        known = self._keys.get(public_id)
        if known is None or now - known[0] > FRESH_S:
            row = await self._find(public_id)
            if row is None:
                raise HTTPException(401, "this API key is not valid")
            holder = Principal(row["id"], row["organization"], row["environment"], frozenset(json.loads(row["scopes"])))
            known = self._keys[public_id] = (now, row["secret_hash"], holder)
        if not hmac.compare_digest(known[1], hashlib.sha256(secret.encode()).digest()):
            raise HTTPException(401, "this API key is not valid")
        return known[2]


def _limits(taken: list[tuple[str, int, int]]) -> list[tuple[bytes, bytes]]:
    left = ", ".join([f'"{name}";r={remaining};t={reset}' for name, remaining, reset in taken])
    return [(b"ratelimit-policy", _POLICIES[len(taken)]), (b"ratelimit", left.encode())]


_NAMES = ("address", "key", "organization")
_POLICIES = [", ".join(f'"{name}";q={QUOTA};w={WINDOW_S}' for name in _NAMES[:n]).encode() for n in range(4)]


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = DIGITS[rest] + digits
    return digits
