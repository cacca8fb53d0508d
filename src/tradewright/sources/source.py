"""The port of a source: what a third party offers, and pure functions between our values and its bytes.

A module declares one `Source`. What it offers are parts of it, each None when it has none: `bars`, `facts`, `actions`,
`quotes`, `listing`, `stream`. A part builds a request from a query and parses the answer into a page; it sends nothing,
reads no clock and knows no secret: `auth.sign` puts credentials into a request that was built without them. The loop
that asks page after page stands in `fetch.py`, what limits, repeats and records in `transport/`.

Parsing raises UnknownName for a symbol the source does not know, SourceLimited when it was asked too often,
SourceRefused for a key that is missing, wrong or may not do this, and SourceFailed for every other refusal and for a
body that is not what the source documents. The words are those of `answers.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import polars as pl

from tradewright.clock import DAY_US
from tradewright.market.dated import LeftOut
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources.rows import no_actions
from tradewright.sources.streams import Stream
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

Credentials = Mapping[str, str]
Ask = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its answer."""


class Paging(StrEnum):
    """How the whole of a long answer is reached.

    whole: one answer holds all there is. advance: oldest first, go on behind the last row. windows: ask for spans that
    hold at most `page_rows` bars, one after the other; any of them may be empty. token: the answer names the next page.
    """

    WHOLE = "whole"
    ADVANCE = "advance"
    WINDOWS = "windows"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class BarsQuery:
    """Bars of one instrument whose ends lie in start_us..end_us, both included, at most `limit`.

    symbol: what the source calls the instrument. token: of the page to go on with, "" for the first.
    """

    instrument: Instrument
    symbol: str
    interval: Interval
    start_us: int
    end_us: int
    limit: int
    token: str = ""

    def at(self, start_us: int, end_us: int, token: str = "") -> BarsQuery:
        """Return this query for another span or page."""
        return replace(self, start_us=start_us, end_us=end_us, token=token)

    def starts(self, unit_us: int) -> tuple[int, int]:
        """Return the first and the last start of its bars, in units of so many microseconds since 1970."""
        first_us, last_us = self.start_us - self.interval.us, self.end_us - self.interval.us
        return max(-(-first_us // unit_us), 0), max(last_us // unit_us, 0)


@dataclass(frozen=True, slots=True, eq=False)
class BarsPage:
    """What one answer held. bars: canonical frame of complete bars, any order. actions: frame of `rows.ACTIONS`.
    token: of the next page, "" when there is none."""

    bars: pl.DataFrame
    actions: pl.DataFrame = field(default_factory=no_actions)
    token: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """The history of bars. page_rows: most of one answer. adjusted: prices are adjusted by the source, except those of
    raw_intervals; `adjusts` tells of one interval. close_only: it has one price a bar. revised: history is
    rewritten without vintages. lag_us: from the end of a bar until anyone can have it, the longest where
    instruments differ. reach_us: how far back from now it goes, on the free plan where plans differ, for all
    intervals or by interval; reach_rows: how many bars; None, or an interval left out: all there is. reach_kinds: of
    which instruments, where others have all there is. pages: for a
    source that needs more than one request for a page; it is used instead of request and parse. sparse: an interval
    without a trade has no bar, so that what is absent need not be missing. with_actions: intervals in which a bar of a
    share comes with the split and dividend of its day, so that a bar without one tells that there is none."""

    intervals: tuple[Interval, ...]
    page_rows: int
    paging: Paging
    request: Callable[[BarsQuery], Request]
    parse: Callable[[Response, BarsQuery], BarsPage]
    adjusted: bool = False
    close_only: bool = False
    revised: bool = False
    lag_us: int = 0
    reach_us: int | Mapping[Interval, int] | None = None
    reach_rows: int | None = None
    reach_kinds: tuple[Kind, ...] = tuple(Kind)
    sparse: bool = False
    pages: Callable[[BarsQuery, Ask], AsyncIterator[BarsPage]] | None = None
    raw_intervals: tuple[Interval, ...] = ()
    with_actions: tuple[Interval, ...] = ()

    def adjusts(self, interval: Interval) -> bool:
        """Return whether the prices of this interval are adjusted by the source."""
        return self.adjusted and interval not in self.raw_intervals

    def oldest_us(self, interval: Interval, now_us: int, kind: Kind) -> int:
        """Return from when on bars of a kind of instrument can surely still be had, 0 for all there is: its reach less
        a twentieth, since time passes until it is asked."""
        if kind not in self.reach_kinds:
            return 0
        reaches = (self._reach_us(interval), None if self.reach_rows is None else self.reach_rows * interval.us)
        return max((now_us - (reach_us - reach_us // 20) for reach_us in reaches if reach_us is not None), default=0)

    def reach(self, interval: Interval, kind: Kind) -> str:
        """Return how far back it goes for a kind of instrument, in words; "" for all there is."""
        if kind not in self.reach_kinds:
            return ""
        if self.reach_rows is not None:
            return f"about {self.reach_rows:,} bars"
        reach_us = self._reach_us(interval)
        return "" if reach_us is None else f"{reach_us // DAY_US:,} days"

    def _reach_us(self, interval: Interval) -> int | None:
        return self.reach_us.get(interval) if isinstance(self.reach_us, Mapping) else self.reach_us


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """Facts whose periods end, or actions whose ex day lies, in start_us..end_us, both included. names: which facts,
    () for all that the source has. token: of the page to go on with."""

    instrument: Instrument
    symbol: str
    start_us: int
    end_us: int
    names: tuple[str, ...] = ()
    token: str = ""

    def page(self, token: str) -> SpanQuery:
        """Return this query for another page."""
        return replace(self, token=token)


@dataclass(frozen=True, slots=True, eq=False)
class FactsPage:
    """What one answer held. facts: frame of `rows.FACTS`, every vintage a row. token: of the next page, or ""."""

    facts: pl.DataFrame
    token: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The history of facts.

    vintages: the source says of each row since when it could be known, and `known_at` is that. Without, it gives the
    values of today, which may have come long after their period and may have been revised since: then `known_at` is
    the moment the answer was received, or the end of the period if that is later (`tables.facts_frame`), so that a
    backtest never sees a value before we had it. Such a history grows from the first fetch on.
    """

    request: Callable[[SpanQuery], Request]
    parse: Callable[[Response, SpanQuery], FactsPage]
    vintages: bool


@dataclass(frozen=True, slots=True, eq=False)
class ActionsPage:
    """What one answer held. actions: frame of `rows.ACTIONS`. token: of the next page, or "". left_out: what it told of
    and no action can hold."""

    actions: pl.DataFrame
    token: str = ""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Actions:
    """The history of dated splits and dividends, where it does not come with the bars."""

    request: Callable[[SpanQuery], Request]
    parse: Callable[[Response, SpanQuery], ActionsPage]


@dataclass(frozen=True, slots=True)
class Quotes:
    """Latest prices. batch: most symbols of one request. parse returns a frame of `rows.QUOTES`, with a row for each
    symbol that the source knows."""

    batch: int
    request: Callable[[Sequence[str]], Request]
    parse: Callable[[Response, Mapping[str, Instrument]], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Listed:
    """One instrument as a source lists it. active: it trades now."""

    symbol: str
    instrument: Instrument
    active: bool = True


@dataclass(frozen=True, slots=True)
class ListingPage:
    """What one answer held. skipped: how many of its entries are nothing that we know. token: of the next page."""

    listed: tuple[Listed, ...]
    skipped: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Every instrument of the source. request takes the token of the page, "" for the first."""

    request: Callable[[str], Request]
    parse: Callable[[Response], ListingPage]


@dataclass(frozen=True, slots=True)
class Auth:
    """How a source wants to know who asks. fields: names of what a user must hand in, none for a keyless source.
    sign: puts them into a request. where: where to get them, for people. optional: it also answers without."""

    fields: tuple[str, ...] = ()
    sign: Callable[[Request, Credentials], Request] = lambda request, credentials: request
    where: str = ""
    optional: bool = False

    @property
    def needed(self) -> bool:
        """Whether nothing can be asked without credentials."""
        return bool(self.fields) and not self.optional


KEYLESS = Auth()


@dataclass(frozen=True, slots=True)
class Source:
    """What a third party is.

    name: as in `series.source`. limits: documented ones, of the free plan where plans differ; a setting says otherwise.
    licence: what may be done with the data, one line. base_url: where it lives; TRADEWRIGHT_<NAME>_URL says otherwise.
    instrument_of: the instrument of a symbol or instrument id (raises UnknownName with an example); symbol_of: its
    symbol there; instrument_of(symbol_of(i)) == i. example: an instrument id that it has. opt_in: why it is off unless
    a setting names it, "" for a source that is on. markets: by kind of instrument, the source whose prices these are,
    where they are of its market and asked another way: together they have one vote when sources are compared. notes:
    what else one must know, one line each.
    """

    name: str
    title: str
    kinds: tuple[Kind, ...]
    limits: tuple[Limit, ...]
    licence: str
    base_url: str
    instrument_of: Callable[[str], Instrument]
    symbol_of: Callable[[Instrument], str]
    example: str
    auth: Auth = KEYLESS
    bars: Bars | None = None
    facts: Facts | None = None
    actions: Actions | None = None
    quotes: Quotes | None = None
    listing: Listing | None = None
    stream: Stream | None = None
    opt_in: str = ""
    markets: Mapping[Kind, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def base_url_variable(self) -> str:
        """The environment variable that names another address."""
        return f"TRADEWRIGHT_{self.name.upper()}_URL"

    @property
    def stream_url_variable(self) -> str:
        """The environment variable that names another address of its socket."""
        return f"TRADEWRIGHT_{self.name.upper()}_STREAM_URL"

    @property
    def offers(self) -> tuple[str, ...]:
        """Which parts it has, by name."""
        return tuple(
            name for name in ("bars", "facts", "actions", "quotes", "listing", "stream") if getattr(self, name)
        )
