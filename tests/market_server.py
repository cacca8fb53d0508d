"""A venue on this machine that speaks like Coinbase: candles over HTTP, trades over a socket, and faults on demand.

It has a market of its own: one trade every `every_s` seconds, so that what a stream hands on can be held against all
that happened. Its clock may run faster than ours, so that minutes pass in seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from aiohttp import WSMsgType, web

from tradewright.clock import Clock

PRODUCT = "BTC-USD"


class FastClock:
    """A clock that began at a full minute and runs `speed` times as fast."""

    def __init__(self, speed: float = 60.0, from_us: int = 1_700_000_040_000_000) -> None:
        self._speed, self._began = speed, time.monotonic()
        self._from = from_us

    def now_us(self) -> int:
        return self._from + round((time.monotonic() - self._began) * self._speed * 1e6)


@dataclass
class Market:
    """What happened, and what the server does to its clients.

    silent: hearts beat, trades do not come. leave_out: so many of the next trades are not sent. twice: each is sent
    twice. shuffled: pairs of them are sent the wrong way round. history_fails: so many questions get a 500.
    numbered: heartbeats say the number of the last trade. refusing: no socket is opened. history_lag_us: so long after
    its end a bar has no place in the history yet. counted_from: what is taken off every number that is said.
    change: fields of the next trade as they are said. misnumber: so much too high is the next one. beat_ahead: so much
    too high is what the next heartbeat says. past: bars of a minute before it began, by start in seconds.
    """

    clock: Clock = field(default_factory=FastClock)
    every_s: float = 0.02
    trades: list[tuple[int, int, float, float]] = field(default_factory=list)  # number, time_us, price, size
    silent: bool = False
    leave_out: int = 0
    twice: bool = False
    shuffled: bool = False
    connections: int = 0
    numbered: bool = False
    refusing: bool = False
    history_lag_us: int = 0
    counted_from: int = 0
    misnumber: int = 0
    change: dict[str, str] = field(default_factory=dict)
    beat_ahead: int = 0
    subscriptions: list[dict[str, object]] = field(default_factory=list)
    asked: int = 0
    history_fails: int = 0
    past: dict[int, tuple[float, float, float, float, float]] = field(default_factory=dict)
    path: ClassVar[str] = "/products/{product}/candles"
    _sockets: set[web.WebSocketResponse] = field(default_factory=set)
    _draw: random.Random = field(default_factory=lambda: random.Random(8))

    def remember(self, minutes: int) -> None:
        """Have a past: bars of so many minutes, up to the one that is running."""
        price, now_s = 100.0, self.clock.now_us() // 1_000_000
        begin = now_s - now_s % 60 - minutes * 60
        for start in range(begin, begin + minutes * 60, 60):
            close = round(price * (1 + self._draw.gauss(0, 1e-3)), 6)
            self.past[start] = (price, max(price, close), min(price, close), close, 1 + round(self._draw.random(), 6))
            price = close

    async def run(self) -> None:
        """Trade until cancelled."""
        price, number, held = self.past[max(self.past)][3] if self.past else 100.0, 1_000, None
        while True:
            price *= 1 + self._draw.gauss(0, 1e-4)
            number += 1
            trade = (number, self.clock.now_us(), round(price, 6), round(self._draw.random(), 6))
            self.trades.append(trade)
            if self.leave_out > 0:
                self.leave_out -= 1
            elif self.shuffled and held is None:
                held = trade
            else:
                for each in (trade, held) if held is not None else (trade,):
                    for _ in range(2 if self.twice else 1):
                        await self._send(self._said(each))
                held = None
            await asyncio.sleep(self.every_s)

    async def beat(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            await asyncio.sleep(0.1)
            if self.trades and self.numbered:
                number = self.trades[-1][0] - self.counted_from + self.beat_ahead
                self.beat_ahead = 0
                await self._send({"type": "heartbeat", "product_id": PRODUCT, "last_trade_id": number}, True)
            else:
                await self._send({"type": "heartbeat", "product_id": PRODUCT}, True)

    async def stamp_ahead(self, by_us: int) -> None:
        """Send one trade that says it happened so much later than now."""
        await self._send(self._said((self.trades[-1][0] + 10**6, self.clock.now_us() + by_us, 9e6, 9e6)))

    async def hang_up(self) -> None:
        """End every connection without a word."""
        for socket in list(self._sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def _send(self, message: dict[str, object], heart: bool = False) -> None:
        if self.silent and not heart:
            return
        for socket in list(self._sockets):
            with suppress(ConnectionError, RuntimeError):
                await socket.send_str(json.dumps(message))

    def _said(self, trade: tuple[int, int, float, float]) -> dict[str, object]:
        number, time_us, price, size = trade
        number += self.misnumber - self.counted_from
        self.misnumber = 0
        changed, self.change = self.change, {}
        at = datetime.fromtimestamp(time_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
        return {
            "type": "match", "trade_id": number, "sequence": number * 7, "product_id": PRODUCT, "price": str(price),
            "size": str(size), "side": "buy", "time": at, **changed,
        }  # fmt: skip

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """The socket."""
        if self.refusing:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                asked = json.loads(message.data)
                self.subscriptions.append(asked)
                channels = [{"name": "matches", "product_ids": asked["product_ids"]}]
                await socket.send_str(json.dumps({"type": "subscriptions", "channels": channels}))
                self._sockets.add(socket)
        finally:
            self._sockets.discard(socket)
        return socket

    async def candles(self, request: web.Request) -> web.StreamResponse:
        """The history, from every trade that happened."""
        self.asked += 1
        if self.history_fails > 0:
            self.history_fails -= 1
            return web.json_response({"message": "internal"}, status=500)
        step = int(request.query["granularity"])
        start, end = (_seconds(request.query[name]) for name in ("start", "end"))
        known = {**(self.past if step == 60 else {}), **self.bars(step)}
        rows = [[b, low, high, opened, close, volume] for b, (opened, high, low, close, volume) in known.items()]
        if self.history_lag_us:
            latest = (self.clock.now_us() - self.history_lag_us) / 1e6 - step
            rows = [row for row in rows if row[0] <= latest]
        return web.json_response([row for row in reversed(rows) if start <= row[0] <= end])

    def bars(self, step_s: int) -> dict[int, tuple[float, float, float, float, float]]:
        """Every bar by its start in seconds: open, high, low, close, volume."""
        made: dict[int, list[float]] = {}
        for _, time_us, price, size in self.trades:
            begin = time_us // 1_000_000 // step_s * step_s
            if begin not in made:
                made[begin] = [price, price, price, price, 0.0]
            bar = made[begin]
            bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
            bar[4] += size
        return {begin: tuple(bar) for begin, bar in made.items()}  # type: ignore[misc] # of five numbers


def _seconds(text: str) -> float:
    if text.replace(".", "").isdigit():
        return float(text)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@asynccontextmanager
async def trading(market: Market) -> AsyncIterator[tuple[str, str]]:
    """The venue, on a free port of this machine; yields the addresses of its history and its socket."""
    app = web.Application()
    app.router.add_get("/ws", market.socket)
    app.router.add_get(market.path, market.candles)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    tasks = [asyncio.create_task(market.run()), asyncio.create_task(market.beat())]
    try:
        yield f"http://{host}:{port}", f"http://{host}:{port}/ws"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await market.hang_up()
        await runner.cleanup()


@contextmanager
def serving(market: Market) -> Iterator[tuple[str, str]]:
    """The same in a thread of its own; yields the addresses of its history and its socket."""
    ready, done = threading.Event(), threading.Event()
    addresses: list[str] = []

    async def venue() -> None:
        async with trading(market) as found:
            addresses.extend(found)
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.05)

    other = threading.Thread(target=lambda: asyncio.run(venue()))
    other.start()
    try:
        assert ready.wait(10)
        yield addresses[0], addresses[1]
    finally:
        done.set()
        other.join()
