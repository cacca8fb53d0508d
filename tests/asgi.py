"""An HTTP client for an ASGI application in the same process."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tradewright.accounts.sessions import COOKIE, csrf_token


@dataclass
class Reply:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Person:
    """Somebody with a session, in an organization and environment."""

    token: str
    organization: str = "org_a"
    environment: str = "paper"

    @property
    def headers(self) -> dict[str, str]:
        """What a page of ours sends."""
        return {
            "cookie": f"{COOKIE}={self.token}",
            "tradewright-organization": self.organization,
            "tradewright-environment": self.environment,
            "tradewright-csrf": csrf_token(self.token),
        }


@dataclass
class Client:
    """Sends requests to `app`, with `key` unless told otherwise. address: where they seem to come from."""

    app: Any
    key: str | None = None
    address: str = "127.0.0.1"

    async def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        key: str | None = "",
        person: Person | None = None,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> Reply:
        """target: path and query as they go over the wire. body: bytes as they are, anything else as JSON. person: a
        session, instead of the key. meanwhile: what happens between the headers and the body."""
        path, _, query = target.partition("?")
        sent = {} if person is None else dict(person.headers)
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        chosen = None if person is not None else self.key if key == "" else key
        if chosen is not None:
            sent.setdefault("authorization", f"Bearer {chosen}")
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
            sent.setdefault("content-length", str(len(data)))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in sent.items()],
            "client": (self.address, 1),
            "server": ("127.0.0.1", 80),
        }
        messages: list[Any] = []
        given = iter([{"type": "http.request", "body": data, "more_body": False}])

        async def receive() -> Any:
            nonlocal meanwhile
            if meanwhile is not None:
                happens, meanwhile = meanwhile, None
                await happens()
            return next(given, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        answered = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in start["headers"]}
        return Reply(start["status"], answered, b"".join(m.get("body", b"") for m in messages[1:]))

    async def get(self, target: str, **rest: Any) -> Reply:
        return await self.send("GET", target, **rest)

    async def post(self, target: str, body: Any, **rest: Any) -> Reply:
        return await self.send("POST", target, body, **rest)
