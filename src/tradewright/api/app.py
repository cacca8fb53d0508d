"""The ASGI application: operations become routes, layers go around all of it."""

from __future__ import annotations

from tradewright.api import dispatch
from tradewright.api.layers import App, BodyLimit, Keys, Outermost, Receive, Scope, Send, answer
from tradewright.api.problems import Refused
from tradewright.api.routes import all_operations
from tradewright.api.routing import Router
from tradewright.api.services import Services


def build(services: Services) -> App:
    """Return the application: every declared operation, and the layers around it."""
    return Outermost(BodyLimit(Keys(_Operations(services), services.authenticator)))


_SINGLE = ("content-type", "idempotency-key")


class _Operations:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._router = Router(all_operations())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"there is no {scope['type']} here")
        hidden = b"%2f" in scope.get("raw_path", b"").lower()  # an encoded slash would be a second spelling
        found = None if hidden else self._router.find(scope["path"])
        if found is None:
            raise Refused("no_such_path", f"there is nothing at {scope['path']}")
        place, parameters = found
        method = scope["method"]
        operation = place.operations.get(method)
        if operation is None and method == "OPTIONS":
            await answer(send, 204, {"allow": place.allow}, b"")
            return
        if operation is None:
            raise Refused("method_not_allowed", f"{method} does not exist here", headers={"Allow": place.allow})
        body = await _body(receive)
        if body is None:
            return
        state = scope["state"]
        read = operation.body is not None or operation.idempotent
        given = _headers(scope) if read else {}
        raw = await dispatch.run(
            operation,
            self._services,
            state.get("principal"),
            parameters,
            scope["query_string"],
            given,
            body,
            state["request_id"],
            scope["path"],
        )
        headers = {"content-type": raw.media_type, "cache-control": "no-store", **raw.headers}
        await answer(send, raw.status, headers, raw.body)


def _headers(scope: Scope) -> dict[str, str]:
    given: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        if name in given and name in _SINGLE:
            raise Refused("malformed_header", f"there is more than one {name} header; send one")
        given[name] = value.decode("latin-1")
    return given


async def _body(receive: Receive) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None  # the client has gone: there is nobody to answer
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
