"""A stream that runs: the shell around `watching.Watch` and `market.building.BarBuilder`.

One task for each source: it connects, hands what comes to the watch, carries out what the watch says, and hands closed
bars on. Gaps are filled from the history of the source once the bars that they touch are complete there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tradewright.clock import Clock
from tradewright.errors import InvalidInput, SourceFailed, TradewrightError
from tradewright.market.building import GRACE_US, LATE_US, SKEW_US, BarBuilder, Built
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources.fetch import Line, bar_pages
from tradewright.sources.streams import Candle, Event, Ticker, Trade, Withdrawn, fault_of
from tradewright.sources.watching import Command, Doubt, Fill, Give, Now, Reconnect, Say, Stop, Watch
from tradewright.transport.sockets import Connect, Socket, connected

TICK_S = 0.25
WAITING = 10_000  # messages
FILL_TRIES = 7  # after 2, 4, 8 ... s of the source's clock: a history may be two minutes late
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a stream hands on what it has. bars: canonical rows of one source, all at once when several closed.
    state: (degraded, why) whenever that changes. quote: the latest price of an instrument, when one comes."""

    bars: Callable[[list[Row]], None]
    state: Callable[[bool, str], None]
    quote: Callable[[Instrument, int, float], None] = lambda instrument, time_us, price: None


@dataclass(slots=True)
class Counts:
    """What a stream saw. filled: bars that came from the history. lost: spans that the history did not give either.
    refused: trades, candles and prices that cannot be, or are stamped too far ahead of the source's clock. withdrawn:
    trades that the source took back or put right."""

    messages: int = 0
    trades: int = 0
    bars: int = 0
    revisions: int = 0
    connections: int = 0
    filled: int = 0
    lost: int = 0
    unreadable: int = 0
    refused: int = 0
    withdrawn: int = 0


@dataclass(slots=True)
class _Gap:
    symbol: str
    first_us: int
    last_us: int
    due_us: int
    tries: int = 0


class _Inbox:
    """Messages that came and were not looked at yet; whoever sends too fast has to wait."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._some, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._ended: SourceFailed | None = None

    async def fill(self, socket: Socket) -> None:
        """Receive until the connection ends."""
        try:
            while True:
                await self._room.wait()
                text = await socket.receive()  # before the list is looked at: it may be another one by then
                self._texts.append(text)
                self._some.set()
                if len(self._texts) >= WAITING:
                    self._room.clear()
        except SourceFailed as error:
            self._ended = error
            self._some.set()

    async def take(self, seconds: float) -> list[str]:
        """Return what came, at the latest after so long. Raises SourceFailed once the connection has ended."""
        if not self._some.is_set():
            try:
                await asyncio.wait_for(self._some.wait(), seconds)
            except TimeoutError:
                return []
        taken, self._texts = self._texts, []
        self._some.clear()
        self._room.set()
        if self._ended is not None:
            if not taken:
                raise self._ended
            self._some.set()
        return taken


class LiveStream:
    """The bars of some instruments of one source, as they close. For one event loop.

    line: the way to the source's history and its credentials. Raises InvalidInput for a source without a stream, or for
    more instruments than it has on one connection. since_us: bars that closed after it and before the first connection
    come from the history; None for none.
    """

    def __init__(
        self,
        line: Line,
        instruments: Sequence[Instrument],
        interval: Interval,
        outlets: Outlets,
        clock: Clock,
        url: str | None = None,
        connect: Connect = connected,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        since_us: int | None = None,
    ) -> None:
        stream = line.source.stream
        if stream is None:
            raise InvalidInput(f"{line.source.title} has no stream; it has {', '.join(line.source.offers)}")
        if len(instruments) > stream.per_connection:
            raise InvalidInput(
                f"{line.source.title} streams at most {stream.per_connection} instruments; got {len(instruments)}"
            )
        self.counts = Counts()
        self._line, self._stream, self._outlets, self._clock = line, stream, outlets, clock
        self._interval = interval
        self._url = url or stream.url
        self._connect, self._monotonic, self._draw = connect, monotonic, draw
        self._instruments = {line.source.symbol_of(each): each for each in instruments}
        lag_us = 0 if line.source.bars is None else line.source.bars.lag_us
        self._builder = BarBuilder(interval.us, kept_us=LATE_US + lag_us)  # a bar in doubt, until the history answers
        self._watch = Watch(stream, tuple(self._instruments), line.credentials)
        self._gaps: list[_Gap] = []
        self._since_us = self._begun_us = since_us
        self._filling: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Stream until `stop` is set. Raises SourceFailed when the source says that connecting again does not help."""
        try:
            while not stop.is_set():
                wait_s = await self._one_connection(stop)
                await self._rest(stop, wait_s)
        finally:
            if self._filling is not None:
                self._filling.cancel()
                await asyncio.gather(self._filling, return_exceptions=True)

    async def _one_connection(self, stop: asyncio.Event) -> float:
        self._watch.draw = self._draw()
        try:
            async with self._connect(self._url, self._stream.query(self._line.credentials)) as socket:
                self.counts.connections += 1
                self._builder.begin(self._clock.now_us())
                commands = self._watch.connected(self._monotonic(), self.now_us())
                if self._since_us is not None:
                    for symbol in self._instruments:
                        self._miss(symbol, self._since_us, self.now_us())
                    self._since_us = None
                inbox = _Inbox()
                reading = asyncio.create_task(inbox.fill(socket))
                try:
                    while not stop.is_set():
                        wait_s = await self._carry_out(commands, socket)
                        if wait_s is not None:
                            return wait_s
                        commands = []
                        for text in await inbox.take(TICK_S):
                            for event in self._read(text):
                                wait_s = await self._carry_out(self._heard(event), socket)
                                if wait_s is not None:
                                    return wait_s
                        commands += self._watch.passed(self._monotonic(), self.now_us())
                        self._close()
                finally:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
            return 0.0
        except SourceFailed as error:
            commands = self._watch.ended(error.message, self._monotonic(), self.now_us())
            return await self._carry_out(commands, None) or 0.0

    def now_us(self) -> int:
        """Return the time at the source, as far as its trades show it."""
        return self._builder.clock.now(self._clock.now_us())

    def _read(self, text: str) -> tuple[Event, ...]:
        self.counts.messages += 1
        try:
            return self._stream.read(text)
        except SourceFailed:
            self.counts.unreadable += 1
            raise

    def _heard(self, event: Event) -> list[Command]:
        if isinstance(event, Trade | Candle) and event.symbol in self._instruments:
            time_us = event.time_us if isinstance(event, Trade) else event.end_us
            if self._builder.clock.is_ahead(time_us, self._clock.now_us()):
                self.counts.refused += 1
                if isinstance(event, Trade):
                    self._take(event)  # the builder has to see whether all are ahead by now
                return self._watch.refused(event.symbol, self.now_us())
        if isinstance(event, Trade | Candle | Ticker) and (fault := fault_of(event)):
            if event.symbol not in self._instruments:
                return []  # nobody asked for it
            self.counts.refused += 1
            return self._watch.unsound(event, fault, self.now_us())
        if isinstance(event, Withdrawn) and event.symbol in self._instruments:
            self.counts.withdrawn += 1
            held_us = self._builder.withdraw(event.symbol, event.id, event.time_us)
            return [] if held_us is None else self._watch.withdrawn(event.symbol, held_us)
        return self._watch.received((event,), self._monotonic(), self.now_us())

    async def _carry_out(self, commands: Sequence[Command], socket: Socket | None) -> float | None:
        for command in commands:
            match command:
                case Give(event):
                    self._take(event)
                case Say(text):
                    if socket is not None:
                        await socket.send(text)
                case Doubt(symbol, since_us):
                    self._builder.lose(symbol, since_us)
                case Fill(symbol, after_us, before_us):
                    self._miss(symbol, after_us, before_us)
                case Now(degraded, why):
                    self._outlets.state(degraded, why)
                case Reconnect(after_s, _):
                    return after_s
                case Stop(why):
                    raise SourceFailed(f"{self._line.source.title} ended the stream: {why}", final=True)
        return None

    def _take(self, event: Trade | Candle | Ticker) -> None:
        instrument = self._instruments.get(event.symbol)
        if instrument is None:
            return  # nobody asked for it
        now_us = self._clock.now_us()
        if isinstance(event, Trade):
            self.counts.trades += 1
            key = event.id or event.sequence
            number, first = event.sequence or 0, not self._builder.clock.known
            if self._builder.trade(event.symbol, event.time_us, event.price, event.size, key, number, now_us):
                self._outlets.quote(instrument, event.time_us, event.price)
            if first and abs(self.now_us() - now_us) > SKEW_US:
                # the bar that is running was looked for by our clock, which is wrong
                after_us = self.now_us() if self._begun_us is None else min(self._begun_us, self.now_us())
                for symbol in self._instruments:
                    self._miss(symbol, after_us, self.now_us())
        elif isinstance(event, Candle):
            if event.end_us - event.start_us == self._interval.us:
                values = (event.open, event.high, event.low, event.close, event.volume)
                built = self._builder.closed_by_source(event.symbol, event.end_us, values)
                self._hand_on([built] if built is not None else [])
        else:
            self._outlets.quote(instrument, event.time_us, event.price)

    def _close(self) -> None:
        now_us = self._clock.now_us()
        self._hand_on(self._builder.close(now_us))
        due = [gap for gap in self._gaps if gap.due_us <= self._builder.clock.now(now_us)]
        if due and (self._filling is None or self._filling.done()):
            self._gaps = [gap for gap in self._gaps if gap not in due]
            self._filling = asyncio.create_task(self._fill(due))

    def _miss(self, symbol: str, after_us: int, before_us: int) -> None:
        if symbol not in self._instruments:
            return
        first_us, last_us = self._builder.doubt(symbol, after_us, before_us)
        bars = self._line.source.bars
        if bars is None or self._interval not in bars.intervals:
            self.counts.lost += 1
            return
        if not any(gap.symbol == symbol and gap.first_us <= first_us and last_us <= gap.last_us for gap in self._gaps):
            self._gaps.append(_Gap(symbol, first_us, last_us, last_us + GRACE_US + bars.lag_us))

    async def _fill(self, gaps: Sequence[_Gap]) -> None:
        for gap in gaps:
            made: list[Built] = []
            missing = ""
            try:
                reached_us = await self._ask(gap, made)
                awaited = self._builder.awaited(gap.symbol, gap.first_us, gap.last_us)
                # an interval without a trade has no bar: it is not waited for once the history has gone on behind it
                if any(traded or end > reached_us for end, traded in awaited.items()):
                    missing = "it has not come there"
                    traded = any(awaited.values())
            except TradewrightError as error:
                missing, traded = error.message, True
            self.counts.filled += len(made)
            self._hand_on(made)
            if not missing:
                self._watch.filled(gap.symbol, gap.last_us)
            else:
                await self._try_again(gap, missing, traded)

    async def _ask(self, gap: _Gap, made: list[Built]) -> int:
        reached_us = 0
        until_us = max(gap.last_us, self.now_us() - self.now_us() % self._interval.us)
        instrument = self._instruments[gap.symbol]
        async for page in bar_pages(self._line, instrument, self._interval, gap.first_us, until_us):
            for row in page.bars.iter_rows(named=True):
                reached_us = max(reached_us, row["time"])
                if row["time"] <= gap.last_us:
                    values = (row["open"], row["high"], row["low"], row["close"], row["volume"])
                    built = self._builder.closed_by_source(gap.symbol, row["time"], values)
                    made += [] if built is None else [built]
        return reached_us

    async def _try_again(self, gap: _Gap, missing: str, traded: bool) -> None:
        gap.tries += 1
        if gap.tries < FILL_TRIES:
            gap.due_us = self.now_us() + 2**gap.tries * 1_000_000
            self._gaps.append(gap)
        elif traded:
            self.counts.lost += 1
            await self._carry_out(self._watch.lost(gap.symbol, missing), None)

    def _hand_on(self, built: Sequence[Built]) -> None:
        if not built:
            return
        self.counts.bars += len(built)
        self.counts.revisions += sum(each.revision for each in built)
        now_us = self._clock.now_us()
        lag_us = 0 if self._line.source.bars is None else self._line.source.bars.lag_us
        self._outlets.bars([self._row(each, now_us, lag_us) for each in built])

    def _row(self, built: Built, now_us: int, lag_us: int) -> Row:
        observed_us = max(now_us, built.time_us)
        return {
            "source": self._line.source.name,
            "instrument": self._instruments[built.symbol].id,
            "interval": self._interval.value,
            "time": built.time_us,
            "known_at": observed_us if built.revision else min(built.time_us + lag_us, observed_us),
            "observed_at": observed_us,
            "open": built.open,
            "high": built.high,
            "low": built.low,
            "close": built.close,
            "volume": built.volume,
        }

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        until = self._monotonic() + seconds
        while not stop.is_set() and (left := until - self._monotonic()) > 0:
            self._close()
            try:
                await asyncio.wait_for(stop.wait(), min(left, TICK_S))
            except TimeoutError:
                continue
