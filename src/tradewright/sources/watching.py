"""What a stream means: what came is handed on once, what did not come is noticed. Pure; the shell stands in `live.py`.

A `Watch` is told what happens (connected, a message, time passing, the connection ending) and answers with commands.

- A subscription must be acknowledged within ACKNOWLEDGED_S, or the connection is given up; a source that never answers
  one is known by its data.
- A connection without any message for `quiet_s` of the stream counts as dead and is made anew. Heartbeats keep it.
- Data are watched apart from heartbeats and from trades that came before: without a new trade or price for SILENT times
  the usual distance of them, at least LEAST_SILENT_S and at most MOST_SILENT_S, the stream is `degraded`, however well
  its heart beats.
- Numbers of trades are held against each other as `numbering.py` says. Where trades are numbered without gaps, a number
  that is left out is a gap: the span between its neighbours is to be filled from the history of the source. A heartbeat
  that says the number of the latest trade shows it at once. A trade that came before is not handed on again; where
  numbers have gaps it is, for nothing shows whether it came, and whoever builds bars knows it by its id.
- Where numbers without gaps begin anew, all since the last trade (and since the heartbeat that was wrong) is to be
  filled, and the stream is degraded until the next trade. The number of the last trade is kept over connections.
- A trade of before the subscription is handed on where a trade of its symbol was numbered before this connection.
- From its last trade on a connection (where none came: from the last message) a symbol is in doubt, until on the next
  connection its subscription is acknowledged or a trade of it comes. So it is while data stay away, and from a trade
  that is stamped too far ahead until the next one. When a doubt ends, all of its time is to be filled.
- Connections are made anew after 1, 2, 4 ... MOST_BACKOFF_S seconds, drawn between half and all of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tradewright.market.building import LATE_US, SKEW_US
from tradewright.sources.numbering import BEAT_US, Numbers, Place
from tradewright.sources.streams import Acknowledged, Candle, Event, Heartbeat, Stream, Ticker, Trade, Trouble

ACKNOWLEDGED_S = 10.0
SILENT = 30.0
LEAST_SILENT_S = 5.0
MOST_SILENT_S = 120.0
MOST_BACKOFF_S = 60.0
_SMOOTH = 0.05  # of the usual distance between data


@dataclass(frozen=True, slots=True)
class Say:
    """Send this."""

    text: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Give this connection up, and connect after so many seconds."""

    after_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """From since_us on trades of a symbol may be missed, until a Fill of it says how far that reached."""

    symbol: str
    since_us: int


@dataclass(frozen=True, slots=True)
class Fill:
    """Get the bars of a symbol from the history: those that cover after_us..before_us. Ends its Doubt."""

    symbol: str
    after_us: int
    before_us: int


@dataclass(frozen=True, slots=True)
class Now:
    """The stream is from now on degraded, or it is not. why: for people."""

    degraded: bool
    why: str


@dataclass(frozen=True, slots=True)
class Give:
    """This happened in the market, and is new."""

    event: Trade | Candle | Ticker


@dataclass(frozen=True, slots=True)
class Stop:
    """Connecting again does not help."""

    why: str


Command = Say | Reconnect | Doubt | Fill | Now | Give | Stop


@dataclass(slots=True)
class _Symbol:
    last_us: int = 0
    numbers: Numbers = field(default_factory=Numbers)
    continued: bool = False  # a trade was numbered before this connection
    since_us: int | None = None  # in doubt from there on
    asked_us: int = 0  # up to where the last doubt reached

    @property
    def whole_us(self) -> int:
        """Up to when nothing was missed that was not asked for."""
        return max(self.last_us, self.asked_us, self.numbers.beat_us - BEAT_US)

    @property
    def sure_us(self) -> int:
        """The same, even if the last numbers are wrong."""
        whole_us = max(self.last_us, self.asked_us)
        return whole_us if self.numbers.beat is None else min(whole_us, self.numbers.beat_us - BEAT_US)


@dataclass(slots=True)
class Watch:
    """The state of one connection and what it carries. Seconds are of a clock that never goes back,
    now_us is the clock of the source."""

    stream: Stream
    symbols: Sequence[str]
    credentials: Mapping[str, str]
    draw: float = 0.5  # of the next back-off, set by the shell
    degraded: bool = False
    acknowledged: bool = False
    tries: int = 0
    usual_s: float = 1.0
    _begun_s: float = 0.0
    _heard_s: float = 0.0
    _heard_us: int = 0
    _data_s: float = 0.0
    _pinged_s: float = 0.0
    _up: bool = False
    _known: dict[str, _Symbol] = field(default_factory=dict)
    _silenced: list[str] = field(default_factory=list)  # in doubt because data stay away

    def connected(self, now_s: float, now_us: int) -> list[Command]:
        """A connection was made: say what opens it."""
        self._up, self.acknowledged = True, not self.stream.acknowledges
        self._begun_s = self._heard_s = self._data_s = self._pinged_s = now_s
        for state in self._known.values():
            state.continued = state.numbers.trade is not None
        return [
            *self._doubt(self.symbols, now_us),
            *(Say(text) for text in self.stream.opening(self.symbols, self.credentials)),
        ]

    def ended(self, why: str, now_s: float, now_us: int) -> list[Command]:
        """The connection is gone, or could not be made."""
        self._up = False
        self.tries += 1
        self._silenced = []
        wait = min(2.0 ** (self.tries - 1), MOST_BACKOFF_S) * (0.5 + self.draw / 2)
        return [*self._doubt(self.symbols, now_us), *self._degrade(True, why), Reconnect(wait, why)]

    def received(self, events: Sequence[Event], now_s: float, now_us: int) -> list[Command]:
        """A message came in, with what it says."""
        self._heard_s, self._heard_us = now_s, now_us
        made: list[Command] = []
        for event in events:
            kind = type(event)
            if kind is Trade:
                self._on_trade(event, now_s, now_us, made)  # type: ignore[arg-type] # by its kind
            elif kind is Candle or kind is Ticker:
                self._on_data(now_s, now_us, made)
                if kind is Candle:
                    made += self._settle(event.symbol, now_us)  # type: ignore[union-attr] # by its kind
                made.append(Give(event))  # type: ignore[arg-type] # by its kind
            elif kind is Acknowledged:
                self.acknowledged, self.tries = True, 0
                for symbol in event.symbols or self.symbols:  # type: ignore[union-attr] # by its kind
                    made += self._settle(symbol, now_us)
            elif kind is Heartbeat:
                self._on_heartbeat(event, now_us, made)  # type: ignore[arg-type] # by its kind
            elif kind is Trouble:
                if event.fatal:  # type: ignore[union-attr] # by its kind
                    made += [*self._degrade(True, event.said), Stop(event.said)]  # type: ignore[union-attr]
                else:
                    made += self._degrade(True, event.said)  # type: ignore[union-attr] # by its kind
        return made

    def passed(self, now_s: float, now_us: int) -> list[Command]:
        """Time passed: to be told a few times a second while connected."""
        if not self._up:
            return []
        if not self.acknowledged and now_s - self._begun_s > ACKNOWLEDGED_S:
            return self._give_up(f"no answer to the subscription within {ACKNOWLEDGED_S:.0f} s", now_s, now_us)
        if now_s - self._heard_s > self.stream.quiet_s:
            return self._give_up(f"no message for {self.stream.quiet_s:.0f} s", now_s, now_us)
        made: list[Command] = []
        if self.stream.ping and now_s - self._pinged_s >= self.stream.ping_s:
            self._pinged_s = now_s
            made.append(Say(self.stream.ping))
        silent_s = now_s - self._data_s
        if self.acknowledged and silent_s > self.patience_s:
            self._silenced += [symbol for symbol in self.symbols if self._state(symbol).since_us is None]
            made += self._doubt(self._silenced, now_us)
            made += self._degrade(True, f"connected, but no trade for {silent_s:.0f} s")
        return made

    def refused(self, symbol: str, now_us: int) -> list[Command]:
        """A trade of a symbol was not believed, and so its bars lack it."""
        return [*self._doubt((symbol,), now_us), *self._degrade(True, f"a trade of {symbol} is stamped far ahead")]

    def unsound(self, event: Trade | Candle | Ticker, why: str, now_us: int) -> list[Command]:
        """What came cannot be, and is not handed on: its bar comes from the history. A later number shows that it is
        missing; one that comes too late for every bar changes nothing."""
        made: list[Command] = []
        if not isinstance(event, Ticker):
            after_us, before_us = (
                (event.start_us, event.end_us - 1) if isinstance(event, Candle) else (event.time_us, event.time_us)
            )
            if before_us > now_us - LATE_US:
                self._suspect(event.symbol, after_us, before_us, made)
        return [*made, *self._degrade(True, f"{event.symbol}: a {type(event).__name__.lower()} is refused, {why}")]

    def withdrawn(self, symbol: str, time_us: int) -> list[Command]:
        """A trade of the bar that holds this moment was taken back or put right: that bar comes from the history."""
        made: list[Command] = []
        self._suspect(symbol, time_us, time_us, made)
        return made

    def lost(self, symbol: str, why: str) -> list[Command]:
        """The history did not give what was to be filled: told until data come again."""
        return self._degrade(True, f"the history of {symbol} could not be filled: {why}")

    @property
    def patience_s(self) -> float:
        """How long data may stay away until the stream is degraded."""
        return min(max(SILENT * self.usual_s, LEAST_SILENT_S), MOST_SILENT_S)

    def filled(self, symbol: str, until_us: int) -> None:
        """The history of a symbol was brought in up to there."""
        state = self._state(symbol)
        state.last_us = max(state.last_us, until_us)

    def _give_up(self, why: str, now_s: float, now_us: int) -> list[Command]:
        return self.ended(why, now_s, now_us)

    def _state(self, symbol: str) -> _Symbol:
        state = self._known.get(symbol)
        if state is None:
            state = self._known[symbol] = _Symbol()
        return state

    def _doubt(self, symbols: Sequence[str], now_us: int) -> list[Command]:
        made: list[Command] = []
        for symbol in symbols:
            state = self._state(symbol)
            if state.since_us is None:
                state.since_us = state.last_us or self._heard_us or now_us
                made.append(Doubt(symbol, state.since_us))
        return made

    def _settle(self, symbol: str, until_us: int) -> list[Command]:
        state = self._state(symbol)
        if state.since_us is None:
            return []
        since_us, state.since_us = state.since_us, None
        state.asked_us = max(since_us, until_us)
        return [Fill(symbol, since_us, state.asked_us)]

    def _on_heartbeat(self, beat: Heartbeat, now_us: int, made: list[Command]) -> None:
        if beat.answer:
            made.append(Say(beat.answer))
        if not self.stream.gapless or beat.sequence is None or beat.symbol not in self.symbols:
            return
        state = self._state(beat.symbol)
        whole_us, sure_us, before = state.whole_us, state.sure_us, state.numbers.newest
        place = state.numbers.said(beat.sequence, now_us)
        if place is Place.ANEW:
            self._anew(beat.symbol, (before, beat.sequence), (sure_us, now_us), made)
        elif place is Place.GAP and state.since_us is None:
            made.append(Fill(beat.symbol, min(whole_us, now_us), now_us))

    def _on_data(self, now_s: float, now_us: int, made: list[Command]) -> None:
        gap = now_s - self._data_s
        self.usual_s += _SMOOTH * (min(gap, MOST_SILENT_S) - self.usual_s)
        self._data_s = now_s
        self.acknowledged, self.tries = True, 0  # data are the best answer to a subscription
        if self.degraded:
            made += self._degrade(False, "data again")
        if self._silenced:
            for symbol in self._silenced:
                made += self._settle(symbol, now_us)
            self._silenced = []

    def _on_trade(self, trade: Trade, now_s: float, now_us: int, made: list[Command]) -> None:
        state, number = self._state(trade.symbol), trade.sequence
        whole_us, sure_us, known = state.whole_us, state.sure_us, state.numbers.newest
        place = Place.FOLLOWS if number is None else state.numbers.traded(number, trade.time_us)
        if trade.past and not state.continued:
            return
        if place is Place.BEFORE:
            made += [] if self.stream.gapless else [Give(trade)]
            return
        self._on_data(now_s, now_us, made)
        before_us = min(trade.time_us, now_us + SKEW_US)  # a wrong stamp puts no hour in doubt
        if state.since_us is not None:
            made += self._settle(trade.symbol, max(before_us, now_us))
        elif self.stream.gapless and place is Place.GAP and not trade.past:
            made.append(Fill(trade.symbol, min(whole_us, before_us), before_us))
        if self.stream.gapless and place is Place.ANEW:
            self._anew(trade.symbol, (known, number), (sure_us, before_us), made)
        state.last_us = max(state.last_us, min(trade.time_us, now_us))
        made.append(Give(trade))

    def _anew(
        self, symbol: str, numbers: tuple[int | None, int | None], span: tuple[int, int], made: list[Command]
    ) -> None:
        self._suspect(symbol, *span, made)
        made += self._degrade(True, f"the trades of {symbol} are numbered anew: {numbers[0]}, then {numbers[1]}")

    def _suspect(self, symbol: str, since_us: int, until_us: int, made: list[Command]) -> None:
        state = self._state(symbol)
        if state.since_us is None:
            made.append(Fill(symbol, min(since_us, until_us), until_us))
        elif since_us < state.since_us:
            state.since_us = since_us
            made.append(Doubt(symbol, since_us))

    def _degrade(self, degraded: bool, why: str) -> list[Command]:
        if degraded == self.degraded:
            return []
        self.degraded = degraded
        return [Now(degraded, why)]
