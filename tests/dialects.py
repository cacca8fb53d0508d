"""What Kraken, Alpaca, Finnhub and Polygon say on a socket and answer of their history: a `Market` in their words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from market_server import FastClock, Market
from tradewright.sources import alpaca, finnhub, kraken, polygon
from tradewright.sources.source import Source

Number = tuple[int, int, float, float]  # number, time_us, price, size


OPEN_US = 1_699_974_000_000_000  # 2023-11-14 15:00, the exchanges are open


def at(time_us: int) -> str:
    """A moment as RFC 3339."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Dialect:
    """How a source speaks. said: a trade. greeting: the answers to a message of the client, with what happened so far.
    beat: a sign of life, None for none. path: of its history. history: minutes by start in seconds, as it says them.
    withdrawn: a trade taken back, or replaced by another, at a moment."""

    source: Source
    instrument: str
    credentials: dict[str, str]
    said: Callable[[Number], object]
    greeting: Callable[[dict[str, Any], list[Number]], list[object]]
    beat: object
    path: str
    history: Callable[[dict[int, tuple[float, float, float, float, float]]], object]
    withdrawn: Callable[[Number, Number | None, int], object] = lambda trade, instead, now_us: None


def _kraken_trade(trade: Number) -> dict[str, object]:
    number, time_us, price, size = trade
    return {
        "symbol": "BTC/USD", "side": "buy", "price": price, "qty": size, "ord_type": "limit", "trade_id": number,
        "timestamp": at(time_us),
    }  # fmt: skip


def _kraken_greeting(asked: dict[str, Any], happened: list[Number]) -> list[object]:
    if asked["method"] == "ping":
        return [{"method": "pong"}]
    answer = {"method": "subscribe", "result": {"channel": "trade", "symbol": "BTC/USD"}, "success": True}
    past = [_kraken_trade(each) for each in happened[-50:]]
    return [answer, {"channel": "trade", "type": "snapshot", "data": past}]


KRAKEN = Dialect(
    kraken.SOURCE,
    "BTC-USD",
    {},
    lambda trade: {"channel": "trade", "type": "update", "data": [_kraken_trade(trade)]},
    _kraken_greeting,
    {"channel": "heartbeat"},
    "/0/public/OHLC",
    lambda bars: {
        "error": [],
        "result": {
            "XXBTZUSD": [
                [b, *(str(price) for price in values[:4]), "0", str(values[4]), 1] for b, values in bars.items()
            ],
            "last": 0,
        },
    },
)


def _alpaca_greeting(asked: dict[str, Any], happened: list[Number]) -> list[object]:
    if asked["action"] == "auth":
        return [[{"T": "success", "msg": "authenticated"}]]
    return [[{"T": "subscription", "trades": asked["trades"], "bars": asked["bars"]}]]


def _alpaca_withdrawn(trade: Number, instead: Number | None, now_us: int) -> object:
    number, _, price, size = trade
    if instead is None:
        return [{"T": "x", "S": "AAPL", "i": number, "x": "V", "p": price, "s": size, "a": "C", "t": at(now_us)}]
    return [
        {
            "T": "c", "S": "AAPL", "x": "V", "oi": number, "op": price, "os": size, "oc": ["@"], "ci": instead[0],
            "cp": instead[2], "cs": instead[3], "cc": ["@"], "t": at(now_us), "z": "C",
        }
    ]  # fmt: skip


ALPACA = Dialect(
    alpaca.SOURCE,
    "AAPL",
    {"key_id": "k", "secret_key": "s"},
    lambda t: [{"T": "t", "S": "AAPL", "i": t[0], "x": "V", "p": t[2], "s": t[3], "t": at(t[1])}],
    _alpaca_greeting,
    None,
    "/v2/stocks/bars",
    lambda bars: {
        "bars": {
            "AAPL": [
                {"t": at(b * 1_000_000), "o": o, "h": h, "l": low, "c": c, "v": v}
                for b, (o, h, low, c, v) in bars.items()
            ]
        },
        "next_page_token": None,
    },
    _alpaca_withdrawn,
)
FINNHUB = Dialect(
    finnhub.SOURCE,
    "AAPL",
    {"api_key": "k"},
    lambda t: {"type": "trade", "data": [{"s": "AAPL", "p": t[2], "t": t[1] // 1_000, "v": t[3], "c": None}]},
    lambda asked, happened: [],
    {"type": "ping"},
    "/api/v1/stock/candle",
    lambda bars: {
        "s": "ok",
        "t": list(bars),
        **{name: [values[place] for values in bars.values()] for place, name in enumerate("ohlcv")},
    },
)


def _polygon_greeting(asked: dict[str, Any], happened: list[Number]) -> list[object]:
    if asked["action"] == "auth":
        return [[{"ev": "status", "status": "auth_success", "message": "authenticated"}]]
    names = asked["params"].split(",")
    return [[{"ev": "status", "status": "success", "message": f"subscribed to: {name}"} for name in names]]


POLYGON = Dialect(
    polygon.SOURCE,
    "AAPL",
    {"api_key": "k"},
    lambda t: [
        {"ev": "T", "sym": "AAPL", "x": 4, "i": str(t[0]), "p": t[2], "s": t[3], "t": t[1] // 1_000, "q": 3 * t[0]}
    ],
    _polygon_greeting,
    None,
    "/v2/aggs/ticker/AAPL/range/{n}/{unit}/{first}/{last}",
    lambda bars: {
        "status": "OK",
        "resultsCount": len(bars),
        "results": [
            {"t": b * 1_000, "o": o, "h": h, "l": low, "c": c, "v": v} for b, (o, h, low, c, v) in bars.items()
        ],
    },
)
DIALECTS = (KRAKEN, ALPACA, FINNHUB, POLYGON)


class Venue(Market):
    """A market that speaks a dialect. spoiled: the price that the next trade is said to have, None for its own."""

    def __init__(self, dialect: Dialect, **faults: Any) -> None:
        super().__init__(clock=FastClock(from_us=OPEN_US), **faults)
        self.dialect, self.spoiled = dialect, None
        self.path = dialect.path  # type: ignore[misc] # of this venue

    async def beat(self) -> None:
        """Send signs of life until cancelled, where there are any."""
        while True:
            await asyncio.sleep(0.1)
            if self.dialect.beat is not None:
                await self._send(self.dialect.beat, True)

    async def withdraw(self, back: int, price: float | None = None) -> int:
        """Take the trade of so many ago back, or give it another price; return when it was."""
        trade = self.trades.pop(-back)
        instead = None if price is None else (trade[0] + 10**6, trade[1], price, trade[3])
        if instead is not None:
            self.trades.insert(len(self.trades) - back + 1, instead)
        await self._send(self.dialect.withdrawn(trade, instead, self.clock.now_us()))  # type: ignore[arg-type] # any
        return trade[1]

    async def say(self, text: str) -> None:
        """Send this as it is."""
        for socket in list(self._sockets):
            await socket.send_str(text)

    def _said(self, trade: Number) -> Any:
        number, time_us, price, size = trade
        price, self.spoiled = price if self.spoiled is None else self.spoiled, None
        return self.dialect.said((number - self.counted_from, time_us, price, size))

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """The socket."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        try:
            async for message in socket:
                for answer in self.dialect.greeting(json.loads(message.data), self.trades):
                    await socket.send_str(json.dumps(answer))
                self._sockets.add(socket)
        finally:
            self._sockets.discard(socket)
        return socket

    async def candles(self, request: web.Request) -> web.StreamResponse:
        """The history, from every trade that happened."""
        self.asked += 1
        return web.json_response(self.dialect.history(self.bars(60)))
