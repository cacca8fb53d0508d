"""A stream against a venue of this machine: every bar that closes is the bar of all trades that happened, or there is
none; whatever the venue does is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from market_server import PRODUCT, FastClock, Market, trading
from tradewright.clock import Clock
from tradewright.errors import InvalidInput
from tradewright.market.instruments import Interval
from tradewright.sources import coinbase, fred, live, watching
from tradewright.sources.fetch import Line
from tradewright.sources.live import LiveStream, Outlets
from tradewright.transport.http import HttpTransport
from tradewright.transport.messages import Policy

BITCOIN = coinbase.instrument_of(PRODUCT)
MINUTE_S = 60


@dataclass
class Seen:
    rows: list[dict[str, object]] = field(default_factory=list)
    states: list[tuple[bool, str]] = field(default_factory=list)
    quotes: int = 0

    def outlets(self) -> Outlets:
        def quote(*_: object) -> None:
            self.quotes += 1

        return Outlets(self.rows.extend, lambda degraded, why: self.states.append((degraded, why)), quote)

    def latest(self) -> dict[int, tuple[float, ...]]:
        """The last word on each bar, by its start in seconds."""
        return {
            int(row["time"]) // 1_000_000 - MINUTE_S: tuple(
                row[name] for name in ("open", "high", "low", "close", "volume")
            )  # type: ignore[call-overload, misc]
            for row in self.rows
        }


Play = Callable[[Market, Seen, LiveStream], Awaitable[None]]


class Behind:
    """Our clock, five minutes behind that of the source."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_us(self) -> int:
        return self._clock.now_us() - 300_000_000


def test_between_our_clock_and_that_of_the_source_no_bar_is_left_out() -> None:
    market = Market()

    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        now_s = market.clock.now_us() // 1_000_000
        await until(lambda: bool(seen.latest()) and max(seen.latest()) > now_s)

    since_us = market.clock.now_us() + 60_000_000
    _, seen, _ = streamed(play, market, clock=Behind(market.clock), since_us=since_us, after_s=8.0)
    begins = sorted(seen.latest())
    assert begins == list(range(since_us // 60_000_000 * 60, begins[-1] + 1, MINUTE_S))


def streamed(
    play: Play,
    market: Market | None = None,
    draw: float = 0.0,
    clock: Clock | None = None,
    since_us: int | None = None,
    after_s: float = 0.0,
) -> tuple[Market, Seen, LiveStream]:
    """Run a stream while `play` goes on; then check every bar that it handed on. after_s: how long the market is open
    before it begins."""
    made, seen = market or Market(), Seen()

    async def run() -> LiveStream:
        async with trading(made) as (address, socket), HttpTransport(made.clock) as transport:
            policy = Policy(deadline_s=5.0, attempts=1, backoff_s=0.01)
            line = Line(coinbase.SOURCE, transport, base_url=address, policy=policy)
            await asyncio.sleep(after_s)
            stream = LiveStream(
                line, [BITCOIN], Interval.MINUTE, seen.outlets(), clock or made.clock, socket, draw=lambda: draw,
                since_us=since_us,
            )  # fmt: skip
            stop = asyncio.Event()
            running = asyncio.create_task(stream.run(stop))
            try:
                await asyncio.wait_for(play(made, seen, stream), 60)
            finally:
                stop.set()
                await asyncio.wait_for(running, 10)
            return stream

    stream = asyncio.run(run())
    truth = made.bars(MINUTE_S)
    for begin, values in seen.latest().items():
        assert values == pytest.approx(truth[begin]), f"the bar of {begin} is not that of the trades"
    return made, seen, stream


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def test_every_bar_is_that_of_all_trades_the_first_one_too() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 4)

    market, seen, stream = streamed(play)
    begins = sorted(seen.latest())
    assert begins == list(range(begins[0], begins[-1] + 1, MINUTE_S)), "a minute is missing"
    assert begins[0] == min(market.bars(MINUTE_S)), "the minute during which it began came from the history"
    assert stream.counts.filled >= 1
    assert seen.quotes > 50
    assert seen.states == []
    assert market.subscriptions[0]["type"] == "subscribe"


def test_trades_that_were_left_out_are_filled_from_the_history() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        market.leave_out = 5
        await until(lambda: len(seen.latest()) >= 5)

    _, _, stream = streamed(play)
    assert stream.counts.filled >= 2


def test_a_lost_connection_is_made_again_and_nothing_is_missing() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        await market.hang_up()
        await until(lambda: market.connections >= 2)
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 3)

    market, seen, _ = streamed(play)
    begins = sorted(seen.latest())
    assert begins == list(range(begins[0], begins[-1] + 1, MINUTE_S)), "a minute is missing"
    assert [degraded for degraded, _ in seen.states] == [True, False]
    assert len(market.subscriptions) == 2


def second_of(market: Market) -> float:
    return market.clock.now_us() / 1e6 % MINUTE_S


def no_minute_is_missing(seen: Seen) -> bool:
    begins = sorted(seen.latest())
    return begins == list(range(begins[0], begins[-1] + 1, MINUTE_S))


@pytest.mark.parametrize("away_s", [15, 100])
def test_a_bar_that_a_lost_connection_touches_is_handed_on_whole_or_not_at_all(away_s: int) -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        await until(lambda: 48 <= second_of(market) < 53)
        back_us = market.clock.now_us() + away_s * 1_000_000
        market.refusing = True
        await market.hang_up()
        await until(lambda: market.clock.now_us() >= back_us)
        market.refusing = False
        await until(lambda: market.connections >= 2)
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 5)

    _, seen, stream = streamed(play, Market(clock=FastClock(30.0)))
    assert stream.counts.revisions == 0, "a part of a bar was handed on"
    assert no_minute_is_missing(seen)


def test_a_trade_stamped_an_hour_ahead_is_refused_and_the_bars_go_on() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        await market.stamp_ahead(3_600_000_000)
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 3)

    market, seen, stream = streamed(play)
    assert stream.counts.refused == 1
    assert no_minute_is_missing(seen)
    assert all(int(row["time"]) <= market.clock.now_us() for row in seen.rows)  # type: ignore[call-overload]
    assert any(degraded and "stamped far ahead" in why for degraded, why in seen.states)
    assert not seen.states[-1][0]


def test_one_number_far_too_high_is_told_and_no_bar_is_missing() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        market.misnumber = 10**12
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 3)

    _, seen, stream = streamed(play)
    assert no_minute_is_missing(seen)
    assert any(degraded and "numbered anew" in why for degraded, why in seen.states)
    assert not seen.states[-1][0]
    assert stream.counts.lost == 0


@pytest.mark.parametrize("numbered", [False, True])
def test_a_venue_that_counts_anew_after_a_connection_is_told_and_no_bar_is_missing(numbered: bool) -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        await market.hang_up()
        market.counted_from = market.trades[-1][0]
        await until(lambda: market.connections >= 2)
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 3)

    _, seen, stream = streamed(play, Market(numbered=numbered))
    assert no_minute_is_missing(seen)
    assert any("numbered anew" in why for _, why in seen.states)
    assert not seen.states[-1][0]
    assert stream.counts.lost == 0


def test_after_a_heartbeat_with_a_number_too_high_gaps_are_seen_as_before() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        market.beat_ahead = 10**12
        await until(lambda: market.beat_ahead == 0)
        market.leave_out = 5
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 3)

    _, seen, _ = streamed(play, Market(numbered=True))
    assert no_minute_is_missing(seen)
    assert any(degraded and "numbered anew" in why for degraded, why in seen.states)


@pytest.mark.parametrize(
    "change", [{"price": "0"}, {"price": "NaN"}, {"price": "-3"}, {"size": "-50"}, {"size": "inf"}]
)
def test_a_trade_that_cannot_be_costs_no_bar(change: dict[str, str]) -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        market.change = change
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 2)

    _, seen, stream = streamed(play)
    assert stream.counts.refused == 1
    assert stream.counts.filled >= 2
    assert no_minute_is_missing(seen)
    assert any(degraded and "a trade is refused" in why for degraded, why in seen.states)
    assert not seen.states[-1][0]


def test_a_history_that_comes_late_is_asked_until_the_bar_is_there() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 4 and stream.counts.filled >= 1)

    market, seen, stream = streamed(play, Market(history_lag_us=45_000_000))
    assert market.asked >= 2
    assert stream.counts.lost == 0
    assert min(seen.latest()) == min(market.bars(MINUTE_S))


def test_a_bar_that_the_history_never_has_is_told_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FILL_TRIES", 3)

    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: stream.counts.lost == 1)
        await until(lambda: len(seen.states) == 2)

    market, seen, stream = streamed(play, Market(history_lag_us=10**15))
    assert stream.counts.filled == 0
    assert market.asked >= 3
    (degraded, why), (again, _) = seen.states
    assert (degraded, again) == (True, False), "data go on, so the state goes back"
    assert "could not be filled" in why
    assert min(market.bars(MINUTE_S)) not in seen.latest()


def test_numbers_in_heartbeats_show_that_trades_stay_away_before_a_bar_closes() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)
        await until(lambda: 35 <= second_of(market) < 40)
        market.silent = True
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 2)
        market.silent = False
        await until(lambda: len(seen.latest()) >= count + 5)

    _, seen, stream = streamed(play, Market(numbered=True))
    assert stream.counts.revisions == 0, "a part of a bar was handed on"
    assert no_minute_is_missing(seen)


def test_trades_sent_twice_or_the_wrong_way_round_change_no_bar() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 3)

    _, _, stream = streamed(play, Market(twice=True))
    assert stream.counts.bars >= 3
    market, _, _ = streamed(play, Market(shuffled=True))
    assert market.asked >= 1


def test_a_beating_heart_without_trades_is_told_and_so_is_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LEAST_SILENT_S", 0.5)
    monkeypatch.setattr(watching, "SILENT", 1.0)

    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: stream.counts.trades > 100)
        market.silent = True
        began = asyncio.get_running_loop().time()
        await until(lambda: len(seen.states) == 1)
        assert asyncio.get_running_loop().time() - began < 4.0
        market.silent = False
        await until(lambda: len(seen.states) == 2)
        count = len(seen.latest())
        await until(lambda: len(seen.latest()) >= count + 3)

    market, seen, _ = streamed(play)
    (degraded, why), (again, _) = seen.states
    assert (degraded, again) == (True, False)
    assert "connected, but no trade" in why
    assert market.connections == 1
    begins = sorted(seen.latest())
    assert begins == list(range(begins[0], begins[-1] + 1, MINUTE_S)), "what was kept back came from the history"


def test_a_history_that_fails_is_asked_again_and_what_it_never_gives_is_missing_not_wrong() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.latest()) >= 2)

    _, _, stream = streamed(play, Market(history_fails=2))
    assert stream.counts.lost == 0
    market, seen, stream = streamed(play, Market(history_fails=10**6))
    assert stream.counts.filled == 0
    assert min(seen.latest()) > min(market.bars(MINUTE_S)), "the first minute was not whole and is not there"


def test_what_has_no_stream_is_refused() -> None:
    line = Line(fred.SOURCE, HttpTransport())
    with pytest.raises(InvalidInput, match="has no stream; it has facts"):
        LiveStream(line, [], Interval.MINUTE, Seen().outlets(), Market().clock)


def test_an_address_that_is_no_socket_is_told_and_tried_again() -> None:
    async def play(market: Market, seen: Seen, stream: LiveStream) -> None:
        await until(lambda: len(seen.states) == 1)

    seen = Seen()

    async def run() -> None:
        async with HttpTransport() as transport:
            line = Line(coinbase.SOURCE, transport)
            stream = LiveStream(
                line, [BITCOIN], Interval.MINUTE, seen.outlets(), Market().clock, "http://127.0.0.1:9/ws?key=secret"
            )
            stop = asyncio.Event()
            running = asyncio.create_task(stream.run(stop))
            await until(lambda: len(seen.states) == 1)
            stop.set()
            await running

    asyncio.run(run())
    assert "cannot be connected to" in seen.states[0][1]
    assert "secret" not in seen.states[0][1]
