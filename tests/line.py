"""A line between a client and a server, with the faults of lines."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_FATAL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
GOODBYE = b"E" + (len(_FATAL) + 4).to_bytes(4, "big") + _FATAL
"""What a PostgreSQL server says to a client before it hangs up."""


class Line:
    """Hands on what either says. It can say something of its own, stand still, and hang up."""

    def __init__(self, port: int) -> None:
        """port: of the server, on this machine."""
        self._server_port = port
        self._sockets: list[socket.socket] = []
        self._clients: list[socket.socket] = []
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def say(self, what: bytes) -> None:
        """To every client there is, without hanging up."""
        for client in self._clients:
            with suppress(OSError):  # it is gone
                client.sendall(what)

    def stand_still(self) -> None:
        """Take connections, and hand nothing on until `go_on`."""
        self._goes_on.clear()

    def go_on(self) -> None:
        """Hand on what was said meanwhile, and what is said from now on."""
        self._goes_on.set()

    def close(self) -> None:
        """Take no connection any more, and end those there are."""
        self._goes_on.set()
        self._listening.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listening.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._clients.append(client)
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._hand_on, args=(source, target), daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket) -> None:
        while True:
            try:
                said = source.recv(65_536)
                self._goes_on.wait()
                target.sendall(said)
            except OSError:
                said = b""
            if not said:
                for each in (source, target):
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                return
