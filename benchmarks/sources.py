"""From the bytes of a third party to checked bars in the catalog, and from the messages of a socket to closed bars."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.table import Row

from tradewright.clock import WallClock
from tradewright.errors import SourceFailed
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.dated import actions_of
from tradewright.market.instruments import Interval
from tradewright.sources import binance, coinbase
from tradewright.sources.backfill import Plan, Stores, backfill
from tradewright.sources.fetch import Line
from tradewright.sources.live import LiveStream, Outlets
from tradewright.sources.source import Source
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.transport.messages import Policy, Request, Response

PAGES, ROUNDS, MESSAGES, SYMBOLS = 500, 3, 200_000, 50
MINUTE_MS, START_MS = 60_000, 1_640_995_200_000
NOTE = (
    "Bars: 500 answers of Binance of 1,000 candles each are parsed, checked, stored with the mark "
    "of how far it came, and judged at the end; nothing is sent, and the database is there. The pandas peer does what "
    "one writes by hand: json.loads, a frame of each page, concatenated, types, times, duplicates dropped, sorted, one "
    "file; it checks nothing and starts anew when it stops. Stream: messages of trades of 50 symbols as text, read, "
    "watched for gaps and repetition, built into minutes, closed and handed on as rows, by the code that runs live but "
    "for the network; the peer does json.loads and keeps open, high, low, close and volume in a dictionary."
)


def run(folder: Path) -> list[Row]:
    """Return the measured rows."""
    pages = _pages()
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            with Database(f"sqlite:///{Path(name) / 'db'}") as database:
                upgrade(database)
            ours.append(_rate(lambda place=name: _ours(Path(place), pages), PAGES * 1_000))
            theirs.append(_rate(lambda place=name: _by_hand(Path(place), pages), PAGES * 1_000))
    rows = [
        Row(
            "back-fill of 500,000 bars from 500 answers: parse, check, store, rows/s", "pandas by hand, no checks",
            median(ours), median(theirs), median(ours) / median(theirs), limit=300_000, rate=True,
        )
    ]  # fmt: skip
    for source, texts in ((coinbase.SOURCE, _coinbase()), (binance.SOURCE, _binance())):
        mine, plain = [], []
        for _ in range(ROUNDS):
            mine.append(_rate(lambda s=source, t=texts: _stream(s, t), MESSAGES))
            plain.append(_rate(lambda s=source, t=texts: _dictionary(s, t), MESSAGES))
        rows.append(
            Row(
                f"stream of {source.title}: message to closed bar, messages/s", "json.loads and a dictionary",
                median(mine), median(plain), median(mine) / median(plain), limit=50_000, rate=True,
            )
        )  # fmt: skip
    return rows


def _rate(call: Callable[[], None], count: int) -> float:
    began = time.process_time()
    call()
    return count / (time.process_time() - began)


# --- bars -------------------------------------------------------------------------------------------------------------


class _Played:
    def __init__(self, pages: list[bytes]) -> None:
        self._pages = pages

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        first = int(dict(request.query)["startTime"])
        number = -(-(first - START_MS) // MINUTE_MS) // 1_000
        body = self._pages[number] if number < len(self._pages) else b"[]"
        return Response(200, body, (), WallClock().now_us(), request.url)


def _pages() -> list[bytes]:
    draw = np.random.default_rng(1)
    close = 40_000 * np.exp(np.cumsum(draw.normal(0, 2e-4, PAGES * 1_000)))
    opened = np.concatenate([[40_000.0], close[:-1]])
    spread = np.abs(draw.normal(0, 1e-4, len(close)))
    high, low = np.maximum(opened, close) * (1 + spread), np.minimum(opened, close) * (1 - spread)
    volume = draw.random(len(close)) * 10
    pages = []
    for page in range(PAGES):
        rows = [
            [
                START_MS + n * MINUTE_MS, f"{opened[n]:.8f}", f"{high[n]:.8f}", f"{low[n]:.8f}", f"{close[n]:.8f}",
                f"{volume[n]:.8f}", START_MS + (n + 1) * MINUTE_MS - 1, "0.0", 100, "0.0", "0.0", "0",
            ]
            for n in range(page * 1_000, (page + 1) * 1_000)
        ]  # fmt: skip
        pages.append(json.dumps(rows).encode())
    return pages


def _ours(place: Path, pages: list[bytes]) -> None:
    with Database(f"sqlite:///{place / 'db'}") as database:
        bitcoin = binance.instrument_of("BTCUSDT")
        end_us = (START_MS + PAGES * 1_000 * MINUTE_MS) * 1_000
        plan = Plan(SYSTEM, (bitcoin,), Interval.MINUTE, START_MS * 1_000 + 1, end_us, "ing_bench")
        stores = Stores(Catalog(place, database), actions_of(place))
        marks: dict[str, int] = {}
        done = asyncio.run(
            backfill(Line(binance.SOURCE, _Played(pages)), plan, stores, WallClock().now_us, keep=marks.__setitem__)
        )
        assert done.report.series[0].rows == PAGES * 1_000, done.report


def _by_hand(place: Path, pages: list[bytes]) -> None:
    import pandas as pd

    names = ["opened", "open", "high", "low", "close", "volume", "closed", "q", "n", "tb", "tq", "x"]
    frame = pd.concat([pd.DataFrame(json.loads(page), columns=names) for page in pages])
    for name in ("open", "high", "low", "close", "volume"):
        frame[name] = frame[name].astype(float)
    frame["time"] = pd.to_datetime(frame["opened"], unit="ms", utc=True) + pd.Timedelta(minutes=1)
    frame = frame.drop_duplicates("time").sort_values("time")
    columns = {name: frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    np.savez(place / "by_hand.npz", time=frame["time"].to_numpy().astype("datetime64[us]"), **columns)
    assert len(frame) == PAGES * 1_000


# --- streams ----------------------------------------------------------------------------------------------------------


def _trades() -> list[tuple[str, int, int, float, float]]:
    draw, numbers = random.Random(2), dict.fromkeys(range(SYMBOLS), 1_000)
    made = []
    for n in range(MESSAGES):
        symbol = draw.randrange(SYMBOLS)
        numbers[symbol] += 1
        made.append(
            (f"A{symbol:02}", numbers[symbol], START_MS * 1_000 + n * 3_000, 100 + draw.random(), draw.random())
        )
    return made


def _coinbase() -> list[str]:
    texts = []
    for symbol, number, time_us, price, size in _trades():
        at = datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        texts.append(
            json.dumps(
                {
                    "type": "match", "trade_id": number, "maker_order_id": "86cedcf9-37a8-4a0b-9e36-c1b2bcb7ae0d",
                    "taker_order_id": "4a0b86ce-dcf9-37a8-9e36-c1b2bcb7ae0d", "side": "sell", "size": f"{size:.8f}",
                    "price": f"{price:.2f}", "product_id": f"{symbol}-USD", "sequence": number * 3, "time": at,
                }
            )
        )  # fmt: skip
    return texts


def _binance() -> list[str]:
    texts = []
    for symbol, number, time_us, price, size in _trades():
        data = {
            "e": "aggTrade", "E": time_us // 1_000, "s": f"{symbol}USDT", "a": number, "p": f"{price:.8f}",
            "q": f"{size:.8f}", "f": number, "l": number, "T": time_us // 1_000, "m": True, "M": True,
        }  # fmt: skip
        texts.append(json.dumps({"stream": f"{symbol.lower()}usdt@aggTrade", "data": data}))
    return texts


class _Replayed:
    """A socket that has it all, and ends."""

    def __init__(self, texts: list[str], clock: _Clock) -> None:
        self._texts, self._at, self._clock = texts, 0, clock

    async def send(self, text: str) -> None:
        """Nobody listens."""

    async def receive(self) -> str:
        if self._at == len(self._texts):
            raise SourceFailed("that was all")
        self._at += 1
        self._clock.now = START_MS * 1_000 + self._at * 3_000
        return self._texts[self._at - 1]


class _Clock:
    now = START_MS * 1_000

    def now_us(self) -> int:
        return self.now


def _stream(source: Source, texts: list[str]) -> None:
    clock, rows = _Clock(), []
    quote = "USDT" if source is binance.SOURCE else "USD"
    instruments = [source.instrument_of(f"A{n:02}-{quote}") for n in range(SYMBOLS)]

    @asynccontextmanager
    async def connect(url: str, query: Any) -> AsyncIterator[_Replayed]:
        yield _Replayed(texts, clock)

    async def go() -> LiveStream:
        stop = asyncio.Event()
        outlets = Outlets(rows.extend, lambda degraded, why: stop.set() if "that was all" in why else None)
        live = LiveStream(Line(source, _Played([])), instruments, Interval.MINUTE, outlets, clock, connect=connect)
        await live.run(stop)
        return live

    live = asyncio.run(go())
    assert live.counts.trades == MESSAGES, live.counts
    assert len(rows) >= SYMBOLS * (MESSAGES * 3_000 // 60_000_000 - 2), len(rows)


def _dictionary(source: Source, texts: list[str]) -> None:
    bars: dict[tuple[str, int], list[float]] = {}
    for text in texts:
        message = json.loads(text)
        message = message.get("data", message)
        if "T" in message:
            symbol, at_s, price, size = message["s"], message["T"] / 1e3, float(message["p"]), float(message["q"])
        else:
            at_s = datetime.fromisoformat(message["time"]).timestamp()
            symbol, price, size = message["product_id"], float(message["price"]), float(message["size"])
        bar = bars.setdefault((symbol, int(at_s // 60)), [price, price, price, price, 0.0])
        bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
        bar[4] += size
    assert len(bars) >= SYMBOLS
