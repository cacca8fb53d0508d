"""A client that loads a server: keep-alive connections, no pipelining, at a fixed rate or as fast as answers come.

    python -m benchmarks.load PORT REQUESTS.json RATE SECONDS CONNECTIONS FIRST

RATE 0 is the closed loop: every connection sends its next request when it has the answer. At a fixed rate the latency
counts from the moment a request was due, so a server that falls behind cannot hide it. FIRST: where in the requests to
begin; after the last one the first follows. Good answers are 200 and 304. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path

GIVE_UP_S = 3.0  # after the last request was due
_GOOD = (b"200", b"304")
_WITHOUT_BODY = (b"204", b"304")


class Connection(asyncio.Protocol):
    """One connection, with one request on its way at most."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._left = -1
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._load.idle.append(self)

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at that moment."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            self._status = head[9:12]
            length = 0
            if self._status not in _WITHOUT_BODY:
                place = head.index(b"content-length:") + 15
                length = int(head[place:].split(b"\r\n", 1)[0])
            self._left = length - (len(self._buffer) - end - 4)
        else:
            self._left -= len(data)
        if self._left == 0:
            self._buffer, self._left = b"", -1
            self._load.answered(self, time.perf_counter() - self._due, self._status)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost += 1


class Load:
    """The requests of one run and what became of them."""

    def __init__(self, requests: list[bytes], rate: float, seconds: float, first: int = 0) -> None:
        self._requests = requests
        self._rate = rate
        self._seconds = seconds
        self._first = first
        self._next = first
        self.idle: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._all: list[Connection] = []
        self.latencies: list[float] = []
        self.failed = 0
        self.unchanged = 0
        self.lost = 0

    def close(self) -> None:
        """Close every connection."""
        for connection in self._all:
            connection.close()

    def answered(self, connection: Connection, latency: float, status: bytes) -> None:
        """Note an answer and give the connection its next request."""
        self.latencies.append(latency)
        self.failed += status not in _GOOD
        self.unchanged += status == b"304"
        if self._rate == 0:
            if time.perf_counter() < self._end:
                self._send(connection, time.perf_counter())
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self.idle.append(connection)

    def _send(self, connection: Connection, due: float) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        connection.send(request, due)

    async def run(self, port: int, connections: int) -> dict[str, float]:
        """Return what was measured."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, made = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._all.append(made)
        start = time.perf_counter()
        self._end = start + self._seconds
        if self._rate == 0:
            while self.idle:
                self._send(self.idle.popleft(), time.perf_counter())
            await asyncio.sleep(self._seconds)
        else:
            await self._at_a_rate(start)
        taken = min(time.perf_counter() - start, self._seconds) if self._rate == 0 else time.perf_counter() - start
        ordered = sorted(self.latencies)
        count = len(ordered)
        return {
            "sent": self._next - self._first,
            "answered": count,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "lost": self.lost,
            "rate": count / taken,
            "p50_ms": ordered[count // 2] * 1e3 if count else 0.0,
            "p99_ms": ordered[int(count * 0.99)] * 1e3 if count else 0.0,
        }

    async def _at_a_rate(self, start: float) -> None:
        total = int(self._rate * self._seconds)
        for number in range(total):
            due = start + number / self._rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self.idle:
                self._send(self.idle.popleft(), due)
            else:
                self._waiting.append(due)
        while len(self.latencies) < total and time.perf_counter() < self._end + GIVE_UP_S:
            await asyncio.sleep(0.01)


def main() -> None:
    """Load the server named on the command line."""
    port, path, rate, seconds, connections, first = sys.argv[1:7]
    requests = [text.encode("latin-1") for text in json.loads(Path(path).read_text())]
    load = Load(requests, float(rate), float(seconds), int(first))
    print(json.dumps(asyncio.run(load.run(int(port), int(connections)))))


if __name__ == "__main__":
    main()
