"""Layers around the whole app, unrouted paths included: request id, last resort, body size, key. Pure ASGI."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tradewright import ids
from tradewright.accounts.authentication import Authenticator
from tradewright.api import problems
from tradewright.api.problems import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 1_048_576
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
_log = logging.getLogger("tradewright.api")


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first header of this name (lower case), b"" when there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")


class Outermost:
    """Gives every answer a request id, and every error that nothing else caught an answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else ids.new("req")
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
                message = {**message, "headers": [*headers, (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, with_id)
        except Exception as error:
            if problems.of(error).code == "internal_error":
                _log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if started:
                raise
            await answer_problem(error, scope, with_id)


class BodyLimit:
    """Refuses bodies above one mebibyte, counted as they arrive."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = header(scope, b"content-length")
        if declared.isdigit() and int(declared) > MAX_BODY:
            raise _too_large()
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:
                raise _too_large()
            return message

        await self._app(scope, counted, send)


class Keys:
    """Requires a valid key for everything under /v1, whether a route exists there or not."""

    def __init__(self, app: App, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/v1" or scope["path"].startswith("/v1/")):
            given = [value for key, value in scope["headers"] if key == b"authorization"]
            if len(given) > 1:
                raise Refused("malformed_header", "there is more than one Authorization header")
            word, _, text = (given[0] if given else b"").decode("latin-1").partition(" ")
            if word.lower() != "bearer" or not text:
                raise Refused("unauthenticated", "this needs an API key")
            scope["state"]["principal"] = await self._authenticator.principal(text.strip())
        await self._app(scope, receive, send)


async def answer_problem(error: Exception, scope: Scope, send: Send) -> None:
    """Send the problem that says what went wrong."""
    refused = problems.of(error)
    status, headers, body = problems.render(refused, scope["path"], scope["state"]["request_id"])
    await answer(send, status, headers, body)


async def answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    """Send a whole answer."""
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _too_large() -> Refused:
    return Refused("too_large", f"the body is larger than {MAX_BODY} bytes")
