"""Kraken, Alpaca, Finnhub and Polygon as they misbehave: every bar is that of all trades, and none is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dialects import ALPACA, DIALECTS, FINNHUB, KRAKEN, Dialect, Venue
from market_server import trading
from tradewright.market.instruments import Interval
from tradewright.sources import watching
from tradewright.sources.fetch import Line
from tradewright.sources.live import LiveStream, Outlets
from tradewright.transport.http import HttpTransport
from tradewright.transport.messages import Policy

BEFORE_S = 3.0  # how long the market is open before we come: three minutes of its own
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.source.name)


class Followed:
    """What a stream handed on."""

    def __init__(self) -> None:
        self.bars: dict[int, tuple[object, ...]] = {}
        self.states: list[tuple[bool, str]] = []

    def take(self, rows: list[dict[str, object]]) -> None:
        for row in rows:
            begin = int(str(row["time"])) // 1_000_000 - 60
            self.bars[begin] = tuple(row[name] for name in ("open", "high", "low", "close", "volume"))

    def whole(self, count: int) -> bool:
        """Whether there are so many bars, one after the other."""
        begins = sorted(self.bars)
        return len(begins) >= count and begins == list(range(begins[0], begins[-1] + 1, 60))


Play = Callable[[Venue, Followed, LiveStream], Awaitable[None]]


async def until(condition: Callable[[], bool], seconds: float = 50.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def followed(venue: Venue, play: Play) -> tuple[Followed, LiveStream]:
    """Stream while `play` goes on; then hold every bar against the trades that happened."""
    seen, source = Followed(), venue.dialect.source

    async def run() -> LiveStream:
        async with trading(venue) as (address, socket), HttpTransport(venue.clock) as transport:
            policy = Policy(deadline_s=5.0, attempts=1, backoff_s=0.01)
            line = Line(source, transport, credentials=venue.dialect.credentials, base_url=address, policy=policy)
            outlets = Outlets(seen.take, lambda degraded, why: seen.states.append((degraded, why)))
            instruments = [source.instrument_of(venue.dialect.instrument)]
            await asyncio.sleep(BEFORE_S)
            stream = LiveStream(line, instruments, Interval.MINUTE, outlets, venue.clock, socket, draw=lambda: 0.0)
            stop = asyncio.Event()
            running = asyncio.create_task(stream.run(stop))
            try:
                await play(venue, seen, stream)
            finally:
                stop.set()
                await asyncio.wait_for(running, 10)
            return stream

    stream, truth = asyncio.run(run()), venue.bars(60)
    for begin, values in seen.bars.items():
        assert values == pytest.approx(truth[begin]), f"the bar of {begin} is not that of the trades"
    return seen, stream


@each_dialect
def test_no_bar_of_before_is_handed_on_in_part_and_a_lost_connection_costs_none(dialect: Dialect) -> None:
    async def play(venue: Venue, seen: Followed, stream: LiveStream) -> None:
        await until(lambda: len(seen.bars) >= 2)
        await venue.hang_up()
        await until(lambda: venue.connections >= 2)
        count = len(seen.bars)
        await until(lambda: seen.whole(count + 3))

    seen, stream = followed(Venue(dialect), play)
    assert min(seen.bars) * 1_000_000 >= 1_699_974_000_000_000 + 120_000_000
    assert stream.counts.revisions == 0
    assert [degraded for degraded, _ in seen.states] == [True, False]


@each_dialect
def test_a_price_that_cannot_be_and_a_frame_that_is_none_cost_no_bar(dialect: Dialect) -> None:
    async def play(venue: Venue, seen: Followed, stream: LiveStream) -> None:
        await until(lambda: len(seen.bars) >= 1)
        venue.spoiled = 0.0
        await until(lambda: stream.counts.refused == 1)
        await venue.say("{half a fra")
        await until(lambda: venue.connections >= 2)
        count = len(seen.bars)
        await until(lambda: seen.whole(count + 3))

    seen, stream = followed(Venue(dialect), play)
    assert stream.counts.unreadable == 1
    assert not seen.states[-1][0]


@pytest.mark.parametrize("dialect", [each for each in DIALECTS if each is not FINNHUB], ids=lambda d: d.source.name)
def test_trades_sent_twice_and_the_wrong_way_round_count_once(dialect: Dialect) -> None:
    async def play(venue: Venue, seen: Followed, stream: LiveStream) -> None:
        await until(lambda: seen.whole(3))

    followed(Venue(dialect, twice=True, shuffled=True), play)


@each_dialect
def test_silence_is_told_and_so_is_its_end(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LEAST_SILENT_S", 0.5)
    monkeypatch.setattr(watching, "SILENT", 1.0)

    told: list[tuple[bool, str]] = []

    async def play(venue: Venue, seen: Followed, stream: LiveStream) -> None:
        # half a second is less than a process may take to begin: what was said of that does not count
        await until(lambda: stream.counts.trades > 100 and not any(degraded for degraded, _ in seen.states[-1:]))
        before = len(seen.states)
        venue.silent = True
        await until(lambda: len(seen.states) == before + 1, 5.0)
        venue.silent = False
        await until(lambda: len(seen.states) == before + 2)
        told.extend(seen.states[before:])
        count = len(seen.bars)
        await until(lambda: seen.whole(count + 2))

    followed(Venue(dialect), play)
    assert [degraded for degraded, _ in told] == [True, False]
    assert "connected, but no trade" in told[0][1]


def test_alpaca_that_takes_trades_back_and_puts_them_right_leaves_none_of_them_in_a_bar() -> None:
    async def play(venue: Venue, seen: Followed, stream: LiveStream) -> None:
        await until(lambda: seen.whole(2))
        running = [await venue.withdraw(3), await venue.withdraw(2, 150.0)]
        closed = [await venue.withdraw(70), await venue.withdraw(75, 50.0)]
        begins = {us // 60_000_000 * 60 for us in running + closed}
        assert len(begins & set(seen.bars)) >= 1, "one of them was handed on"
        assert not begins <= set(seen.bars), "one of them was not"
        await until(lambda: all(seen.bars.get(begin) == venue.bars(60)[begin] for begin in begins))
        count = len(seen.bars)
        await until(lambda: len(seen.bars) >= count + 2)

    seen, stream = followed(Venue(ALPACA), play)
    assert stream.counts.withdrawn == 4
    assert stream.counts.revisions >= 1
    assert seen.states == []


def test_kraken_that_counts_anew_costs_no_bar() -> None:
    async def play(venue: Venue, seen: Followed, stream: LiveStream) -> None:
        await until(lambda: len(seen.bars) >= 1)
        venue.counted_from = venue.trades[-1][0]
        count = len(seen.bars)
        await until(lambda: seen.whole(count + 3))

    seen, _ = followed(Venue(KRAKEN), play)
    assert any("numbered anew" in why for _, why in seen.states)
