"""The ASGI application: operations become routes, layers go around all of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from typing import Any
from urllib.parse import quote

from tradewright.accounts.signatures import Message
from tradewright.api import dispatch
from tradewright.api.doors import Doors, Floods, must_be_signed, refuse_used_up, take_of_signed
from tradewright.api.layers import (
    App,
    BodyLimit,
    Origins,
    Outermost,
    Receive,
    Routes,
    Scope,
    Send,
    Sockets,
    answer,
)
from tradewright.api.operations import Operation, Raw
from tradewright.api.problems import Refused
from tradewright.api.routes import all_operations
from tradewright.api.routing import Router
from tradewright.api.services import Services

READ_S = 30.0
_log = logging.getLogger("tradewright.limits")


def build(services: Services, at_end: Callable[[], None] = lambda: None) -> App:
    """Return the application: every declared operation, and the layers around it. at_end: called when the server has
    answered everything and ends."""
    rules, operations = services.rules, all_operations()
    _warn_of_small_limits(services, operations)
    inner = Floods(Doors(_Operations(services, at_end), services), services)
    outer = Origins(Routes(BodyLimit(inner), Router(operations)), rules.origins)
    return Outermost(Sockets(outer, rules.browser_origins))


def _warn_of_small_limits(services: Services, operations: list[Operation]) -> None:
    rules = services.rules
    shared = services.limiter is not services.floods  # else an address is only counted by requests
    for policy in (rules.key, rules.organization, *((rules.address,) if shared else ())):
        dearer = [one for one in operations if one.cost > policy.quota]
        if dearer:
            _log.warning(
                "%s_limit is %s: nobody can ever ask for %s; raise it to at least %s",
                policy.name,
                policy.quota,
                ", ".join(f"{one.id} ({one.cost})" for one in dearer),
                max(one.cost for one in dearer),
            )


class _Operations:
    def __init__(self, services: Services, at_end: Callable[[], None]) -> None:
        self._services = services
        self._at_end = at_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._at_end)
            return
        if scope["type"] != "http":
            raise ValueError(f"there is no {scope['type']} here")
        state, method = scope["state"], scope["method"]
        place, operation = state["place"], state["operation"]
        if place is None:
            raise Refused("no_such_path", f"there is nothing at {scope['path']}")
        if operation is None and method == "OPTIONS":
            await answer(send, 204, {"allow": place.allow}, b"")
            return
        if operation is None:
            why = f"{method} does not exist here; this path has {place.allow}"
            raise Refused("method_not_allowed", why, headers={"Allow": place.allow})
        body = await _body(receive)
        await self._check_signature(scope, body)
        raw = await self._answered(scope, body)
        headers = {"content-type": raw.media_type, "cache-control": "no-store"}
        headers.update((name.lower(), value) for name, value in raw.headers.items())
        if raw.status in (204, 304):
            del headers["content-type"]
        await answer(send, raw.status, headers, raw.body)

    async def _check_signature(self, scope: Scope, body: bytes) -> None:
        state = scope["state"]
        signatures = self._services.signatures
        if not signatures.concerns(state["principal"], state["headers"]):
            return
        sent = scope.get("raw_path") or quote(scope["path"], safe="/:@!$&'()*+,;=~").encode()
        message = Message(
            scope["method"],
            sent.partition(b"?")[0].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            body,
        )
        if must_be_signed(state["principal"]):
            await refuse_used_up(self._services, scope)
        await signatures.check(state["principal"], message, state["headers"])
        agent = state["headers"].get("user-agent", "")
        self._services.authenticator.note_use(state["principal"], state["address"], agent)
        if must_be_signed(state["principal"]):
            await take_of_signed(self._services, scope)

    async def _answered(self, scope: Scope, body: bytes) -> Raw:
        answered = dispatch.run(self._services, scope["state"], scope["path"], scope["query_string"], body)
        if scope["state"]["operation"].method != "GET":  # an effect runs to its end, whoever waits for it
            return await answered
        try:
            waits_for = answered.send(None)  # most reads end here, from a cache or a short read: nothing to wait for
        except StopIteration as done:
            found: Raw = done.value
            return found
        try:
            async with asyncio.timeout(READ_S):
                return await _Begun(answered, waits_for)
        except TimeoutError:
            raise Refused("took_too_long", f"this was not answered within {READ_S:.0f} seconds") from None


class _Begun:
    """A coroutine that has run up to its first wait, to be awaited from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Raw], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Raw]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - a cancellation, say: it is the coroutine's
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as done:
            found: Raw = done.value
            return found


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(  # the client has gone, and hears nothing; or what it sends is no body
                "malformed_header",
                f"the body broke off after {len(body)} bytes; send as much as Content-Length says, or chunks that end",
            )
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _lifespan(receive: Receive, send: Send, at_end: Callable[[], None]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await asyncio.to_thread(at_end)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
