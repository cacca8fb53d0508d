"""The HTTP server of every command that serves: uvicorn on uvloop, with request heads bounded in bytes and seconds."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tradewright.api import problems
from tradewright.api.layers import SECURITY_HEADERS, App
from tradewright.api.problems import Refused
from tradewright.errors import SettingsInvalid

MAX_HEAD = 65_536
HEAD_S = 15.0
READ_S = 30.0  # in which a client must take something of its answer
KEEP_ALIVE_S = 120  # longer than a gateway keeps an idle connection: it is the gateway that closes first
GRACE_S = 5
_COLLECT_AFTER = 10_000


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; port 0 takes a free one. Raises SettingsInvalid where that cannot be."""
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsInvalid(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another address with --host or --port"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL under which a socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Serves an application on a socket until `should_exit` is set; signals are left to the command around it."""

    def __init__(self, application: App, log_level: str, started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=BoundedHttp,
                ws="websockets-sansio",
                lifespan="on",
                log_level=log_level,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # which forwarding headers count is decided by a layer of the application
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._tell_started()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals as they are."""
        return nullcontext()


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 of one connection. A request line with its headers has 64 KiB and 15 seconds; what is more, slower or
    cannot be read is refused, and the connection closed. So is one whose client takes nothing of its answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._in_head = True
        self._head_size = 0
        self._refusal = Refused("malformed_request", "this is no HTTP/1.1 request")
        self._patience: asyncio.TimerHandle | None = self.loop.call_later(HEAD_S, self._lost_patience)
        self._answering: RequestResponseCycle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more, and answer nobody who has gone."""
        self._stop_waiting()
        self._read_on()
        self.pipeline.clear()
        if self._answering is not None:  # the parent knows the request that came last, not the one being answered
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._read_on()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._in_head:
            self._head_size += len(data)
        super().data_received(data)
        if self._in_head and self._head_size > 0 and not self.transport.is_closing():
            if self._head_size > MAX_HEAD:
                self._refuse(_too_large())
            elif self._patience is None:
                self._patience = self.loop.call_later(HEAD_S, self._lost_patience)

    def on_headers_complete(self) -> None:
        """Begin the request, unless its head is too large."""
        self._in_head = False
        self._stop_waiting()
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("another version")
        if self._head_size > MAX_HEAD:  # part of which may be the body
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                self._refusal = _too_large()
                raise ValueError("the head is too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the next byte begins another request."""
        super().on_message_complete()
        self._in_head, self._head_size = True, 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, or what was found too large in it."""
        self._refuse(self._refusal)

    def _lost_patience(self) -> None:
        self._patience = None
        if self._head_size:
            self._refuse(Refused("body_too_slow", f"the headers were not whole after {HEAD_S:.0f} seconds"))
        else:
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _wait_for_reader(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look_again() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._wait_for_reader()
            else:
                self.transport.abort()

        self._unread = self.loop.call_later(READ_S, look_again)

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _refuse(self, refused: Refused) -> None:
        self._stop_waiting()
        if self.cycle is None or self.cycle.response_complete:  # else another answer is on its way
            self.transport.write(_closing(refused))
        self.transport.close()


def settle() -> None:
    """Tell the collector that what was loaded so far stays, and to look at the rest less often: a page of answers is
    some hundred objects without cycles. A full collection then takes less than a millisecond."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)


def _too_large() -> Refused:
    return Refused("too_large", f"request line and headers are longer than {MAX_HEAD} bytes")


def _closing(refused: Refused) -> bytes:
    request_id = f"req_{os.urandom(12).hex()}"
    status, headers, body = problems.render(refused, "", request_id)
    headers = {
        **headers,
        **SECURITY_HEADERS,
        "x-request-id": request_id,
        "content-length": str(len(body)),
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
