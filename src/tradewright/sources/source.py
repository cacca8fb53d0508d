"""The port of a source: what a third party offers, and pure functions between our values and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.transport.messages import Request, Response


class BuildBarsRequest(Protocol):
    """Return the request for up to `limit` bars that end in start_us..end_us, oldest first."""

    def __call__(self, symbol: str, interval: Interval, start_us: int, end_us: int, limit: int) -> Request: ...


class ParseBars(Protocol):
    """Return the complete bars of an answer as a canonical frame.

    Raises UnknownName for a symbol that the source does not know, SourceLimited, SourceFailed for any other refusal and
    for a body that is not what the source documents.
    """

    def __call__(self, response: Response, instrument: Instrument, interval: Interval) -> pl.DataFrame: ...


@dataclass(frozen=True, slots=True)
class Source:
    """What a third party is.

    name: as in `series.source`. kinds, intervals: what it has. auth: "none" or how it wants to be asked. page_rows:
    most bars of one answer. limits: documented limits, for people. lag_us: from the end of a bar until anyone can have
    it. adjusted: its prices are adjusted. revised: its history changes without vintages. licence: what may be done with
    the data. base_url: where it lives; base_url_variable: the environment variable that says otherwise.
    instrument_of: the instrument of a symbol or instrument id (raises UnknownName); symbol_of: its symbol there.
    """

    name: str
    title: str
    kinds: tuple[Kind, ...]
    intervals: tuple[Interval, ...]
    auth: str
    page_rows: int
    limits: str
    licence: str
    base_url: str
    base_url_variable: str
    instrument_of: Callable[[str], Instrument]
    symbol_of: Callable[[Instrument], str]
    bars_request: BuildBarsRequest
    parse_bars: ParseBars
    lag_us: int = 0
    adjusted: bool = False
    revised: bool = False
