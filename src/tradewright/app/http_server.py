"""Granian: where it may listen, and itself within a process that does more than answering."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from tradewright.errors import SettingsInvalid, TradewrightError

if TYPE_CHECKING:
    from tradewright.api.layers import App, Receive, Scope, Send

CONNECTIONS = 1024
"""How many a process has at once; Granian lets more wait, until one of them ends or has said nothing for 30 seconds."""
_START_S = 60.0
_LAST_ANSWERS_S = 5.0  # for answers that are under way at the end
_LAST_WORDS_S = 1.0  # for telling those who still wait that they are not answered
_LOGGING = {"loggers": {"_granian": {"propagate": True}}}  # with everything else of this process, not to stdout


def usable(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address and the port that Granian, which tells neither, can take for these; 0 is a free port.

    Raises SettingsInvalid where one cannot listen there.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            taken = probe.getsockname()
    except OSError as error:
        raise SettingsInvalid(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another address with --host or --port"
        ) from error
    return str(taken[0]), int(taken[1])


def shown(address: str, port: int) -> str:
    """Return the URL of an address."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def listens(address: str, port: int, stop: threading.Event | None = None) -> bool:
    """Wait until somebody listens there; return False where nobody did in time, or `stop` was set."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and not (stop is not None and stop.is_set()):
        try:
            socket.create_connection((address, port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


class Embedded:
    """An HTTP server in this process, in the thread that runs it."""

    def __init__(self, app: App, address: str, port: int) -> None:
        from granian.constants import HTTPModes, Interfaces
        from granian.log import LogLevels
        from granian.server.embed import Server

        self._app = app
        self._answering: set[asyncio.Task[Any]] = set()
        self._server: Any = Server(
            self._answer,
            address=address,
            port=port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            backlog=CONNECTIONS,
            log_access=False,
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
        )
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Serve until `stop`, and until what was under way then is answered. Raises TradewrightError when it ends by
        itself."""
        import uvloop

        uvloop.run(self._serve())

    def stop(self) -> None:
        """End. From any thread; before `run` too."""
        self._stop.set()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._stop.is_set():
            return
        self._server.workers_kill_timeout = _LAST_ANSWERS_S + _LAST_WORDS_S
        try:
            await self._server.serve()
        except TimeoutError:
            pass  # somebody reads slowly, or keeps a stream
        finally:
            self._loop = None
        if not self._stop.is_set():
            raise TradewrightError("the HTTP server ended by itself; the log says why")

    def _end(self) -> None:
        self._server.stop()
        assert self._loop is not None
        self._loop.call_later(_LAST_ANSWERS_S, self._hurry)

    def _hurry(self) -> None:
        for task in self._answering:
            task.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        if scope["type"] == "http":
            self._answering.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            self._answering.discard(task)
