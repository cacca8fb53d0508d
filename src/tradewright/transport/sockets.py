"""The one way out to the sockets of third parties: text messages in and out, sizes and times bounded, no redirects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp

from tradewright.errors import SourceFailed

LARGEST = 8_000_000  # bytes of one message
CONNECT_S = 15.0
PING_S = 20.0  # without a message for so long the other side is asked, and has half of it to answer


class Socket(Protocol):
    """A connection to a socket."""

    async def send(self, text: str) -> None: ...
    async def receive(self) -> str:
        """Return the next message. Raises SourceFailed when the connection ends."""
        ...


Connect = Callable[[str, Sequence[tuple[str, str]]], AbstractAsyncContextManager[Socket]]
"""Connects to an address with a query, as `connected` does."""


class _WebSocket:
    def __init__(self, inner: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self._inner = inner
        self._url = url

    async def send(self, text: str) -> None:
        try:
            await self._inner.send_str(text)
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            raise SourceFailed(f"{self._url} is gone: {error}") from error

    async def receive(self) -> str:
        message = await self._inner.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            try:
                return bytes(message.data).decode()
            except UnicodeDecodeError as error:
                raise SourceFailed(f"{self._url} sent bytes that are no text") from error
        if message.type is aiohttp.WSMsgType.ERROR:
            raise SourceFailed(f"{self._url} broke off: {message.data}")
        said = f" {message.extra}" if message.extra else ""
        raise SourceFailed(f"{self._url} closed the connection ({message.data}){said}")


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(_: object, __: object, redirect: aiohttp.TraceRequestRedirectParams) -> None:
        elsewhere = redirect.response.headers.get("Location", "nowhere").split("?")[0]
        raise SourceFailed(f"{str(redirect.url).split('?')[0]} points to {elsewhere}; redirects are not followed")

    traced = aiohttp.TraceConfig()
    traced.on_request_redirect.append(refuse)
    return traced


@asynccontextmanager
async def connected(url: str, query: Sequence[tuple[str, str]] = ()) -> AsyncIterator[Socket]:
    """Connect to a socket; it is closed with the block. Secrets stand in queries, which no message tells.

    Raises SourceFailed when nothing answers, or something that is no socket does.
    """
    shown = url.partition("?")[0]
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    session = aiohttp.ClientSession(
        timeout=timeout,
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "tradewright"},
        trace_configs=[_no_redirects()],
    )
    async with session:
        try:
            inner = await session.ws_connect(
                url,
                params=list(query),
                max_msg_size=LARGEST,
                heartbeat=PING_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            text = str(error).partition("?")[0] or type(error).__name__
            raise SourceFailed(f"{shown} cannot be connected to: {text}; check the network and the address") from error
        async with inner:
            yield _WebSocket(inner, shown)
