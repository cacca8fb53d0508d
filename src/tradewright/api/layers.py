"""Layers around the whole app, unrouted paths included. Pure ASGI, outermost first:

    Outermost   request id, security headers, one answer for every error
    Sockets     WebSocket handshakes: the origin first, then whether there is anything to talk to
    Origins     CORS: preflights, and which pages may read answers
    Routes      which operation this is, if any
    BodyLimit   bytes and seconds of a body
    Floods      how much one address may ask                                       (doors.py)
    Doors       who this is: a key or a session; how much it may ask               (doors.py)

What a layer learns stands in `scope["state"]` for the next: request_id, headers, address, place, parameters, principal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from tradewright.accounts.limits import Policy, Taken
from tradewright.accounts.principal import NOBODY
from tradewright.api import problems
from tradewright.api.operations import BODY_BYTES, Operation
from tradewright.api.problems import Refused
from tradewright.api.routing import Router
from tradewright.errors import StorageFailed

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_TARGET = 8_192
BODY_S = 15.0
SAFE = ("GET", "HEAD", "OPTIONS")
_SINGLE = frozenset(
    (
        b"host", b"authorization", b"content-type", b"idempotency-key", b"if-match", b"if-none-match", b"origin",
        b"cookie", b"tradewright-organization", b"tradewright-environment", b"tradewright-csrf",
        b"tradewright-signature", b"tradewright-timestamp", b"tradewright-nonce",
    )
)  # fmt: skip
_LENGTH = re.compile("[0-9]{1,18}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_log = logging.getLogger("tradewright.api")

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), "
    "gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "x-frame-options": "deny",
    "x-permitted-cross-domain-policies": "none",
}
"""What every answer carries unless the handler set it. Source: OWASP Secure Headers Project, the list for responses."""
_SECURITY = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_WITHOUT_POLICY = [pair for pair in _SECURITY if pair[0] != b"content-security-policy"]


class Outermost:
    """Gives every answer a request id and the security headers, and every error that nothing else caught an answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        headers, wrong = _headers(scope)
        given = headers.get("x-request-id", "")
        request_id = given if given and _REQUEST_ID.fullmatch(given) else f"req_{os.urandom(12).hex()}"
        state.update(request_id=request_id, headers=headers, principal=NOBODY, added=[], taken=[])
        started = False

        async def completed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                set_before = message["headers"]
                policy = any(name == b"content-security-policy" for name, _ in set_before)
                message["headers"] = [
                    *set_before,
                    *(_WITHOUT_POLICY if policy else _SECURITY),
                    *state["added"],
                    *_limit_headers(state["taken"]),
                    (b"x-request-id", request_id.encode()),
                ]
            elif scope["method"] == "HEAD":
                message["body"] = b""  # what its GET would send is counted in content-length, and stays here
            await send(message)

        try:
            if wrong:
                raise Refused("malformed_header", wrong)
            await self._app(scope, receive, completed)
        except asyncio.CancelledError:  # this process ends, and has waited for it
            if started:
                raise
            await answer_problem(Refused("stopping", "it ended before this was answered"), scope, completed)
        except Exception as error:
            if problems.of(error).code == "internal_error":
                _log.exception("request %s failed: %r %r", request_id, scope["method"], scope["path"])
            elif isinstance(error, StorageFailed):  # the caller is not told its cause
                _log.error("request %s failed: %r %r: %s", request_id, scope["method"], scope["path"], error)
            if started:
                raise
            await answer_problem(error, scope, completed)


def _headers(scope: Scope) -> tuple[dict[str, str], str]:
    given: dict[str, str] = {}
    wrong = ""
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        if name in given:
            if raw in _SINGLE:
                wrong = f"there is more than one {name} header; send one"
            given[name] += ", " + value.decode("latin-1")
        else:
            given[name] = value.decode("latin-1")
        if b"\0" in value:
            wrong = f"the header {name} holds the character U+0000; leave it out"
    return given, wrong


class Sockets:
    """Refuses WebSocket handshakes from pages that are not ours, and of paths where there is no stream."""

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        origin = next((value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"origin"), None)
        if origin is not None and origin not in self._origins:
            _log.warning("a WebSocket handshake from the origin %r was refused", origin)
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the server answers 403


class Origins:
    """Answers CORS preflights, and lets pages of allowed origins read answers."""

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        origin = state["headers"].get("origin", "").lower()
        allowed = origin in self._origins
        if self._origins:
            state["added"].append((b"vary", b"origin"))
        if allowed:
            state["added"] += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        if scope["method"] == "OPTIONS" and "access-control-request-method" in state["headers"]:
            if not allowed:
                raise Refused("origin_refused", f"pages of {origin or 'no origin'} may not call this API")
            await answer(send, 204, _PREFLIGHT, b"")
            return
        await self._app(scope, receive, send)


_EXPOSED = b"x-request-id, etag, ratelimit, ratelimit-policy, retry-after, idempotency-replayed, link, data-verdict"
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, if-match, if-none-match, accept, "
    "tradewright-organization, tradewright-environment, tradewright-csrf, tradewright-timestamp, tradewright-nonce, "
    "tradewright-signature, x-request-id, traceparent",
    "access-control-max-age": "600",
}


class Routes:
    """Notes which operation a request is for; what it is not, is refused only after the doors. Refuses targets that are
    too long."""

    def __init__(self, app: App, router: Router) -> None:
        self._app = app
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = scope["state"]
            target = len(scope["path"]) + len(scope["query_string"])
            if target > MAX_TARGET:
                raise Refused("too_large", f"path and query are longer than {MAX_TARGET} bytes: {target}")
            hidden = b"%2f" in scope.get("raw_path", b"").lower()  # an encoded slash would be a second spelling
            found = None if hidden else self._router.find(scope["path"])
            state["place"], state["parameters"] = found if found is not None else (None, {})
            state["operation"] = None if found is None else found[0].operation(scope["method"])
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses bodies that are too long for their operation, counted as they arrive, and bodies that do not arrive."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        operation: Operation | None = scope["state"]["operation"]
        most = BODY_BYTES if operation is None else operation.body_bytes
        declared = scope["state"]["headers"].get("content-length", "")
        if declared and not _LENGTH.fullmatch(declared):
            raise Refused("malformed_header", f"Content-Length must be a number of bytes; got {declared[:40]!r}")
        if declared and int(declared) > most:
            raise _too_large(most, f"Content-Length says {int(declared)}")
        scope["state"]["may_have_body"] = _may_have_a_body(scope)
        if not scope["state"]["may_have_body"]:
            await self._app(scope, receive, send)
            return
        seen, complete, ends_at = 0, False, 0.0

        async def counted() -> Message:
            nonlocal seen, complete, ends_at
            if complete:
                return await receive()
            if not ends_at:  # not before somebody waits for it: who it is from may take its time to be known
                ends_at = asyncio.get_running_loop().time() + BODY_S
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                raise Refused("body_too_slow", f"the body was not whole after {BODY_S:.0f} seconds") from None
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > most:
                raise _too_large(most, f"{seen} have come")
            return message

        await self._app(scope, counted, send)


def _may_have_a_body(scope: Scope) -> bool:
    headers = scope["state"]["headers"]
    plain = scope["method"] in SAFE and scope.get("http_version") in ("1.0", "1.1")
    return not plain or "content-length" in headers or "transfer-encoding" in headers


def _limit_headers(taken: Sequence[Taken]) -> tuple[tuple[bytes, bytes], ...]:
    if not taken:
        return ()
    left = ", ".join([f'"{one.policy.name}";r={one.remaining};t={-(-one.reset_us // 1_000_000)}' for one in taken])
    return (
        (b"ratelimit-policy", _policies(tuple([one.policy for one in taken]))),
        (b"ratelimit", left.encode()),
    )


@lru_cache(64)
def _policies(policies: tuple[Policy, ...]) -> bytes:
    return ", ".join(f'"{policy.name}";q={policy.quota};w={policy.window_s}' for policy in policies).encode()


async def answer_problem(error: Exception, scope: Scope, send: Send) -> None:
    """Send the problem that says what went wrong."""
    refused = problems.of(error)
    status, headers, body = problems.render(refused, scope["path"], scope["state"]["request_id"])
    await answer(send, status, headers, body)


async def answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    """Send a whole answer."""
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    if status not in (204, 304):
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _too_large(most: int, seen: str) -> Refused:
    return Refused("too_large", f"the body is larger than {most} bytes: {seen}")
