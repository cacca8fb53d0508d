"""Cboe: the daily history of its volatility indices, without a key.

`GET /api/global/us_indices/daily_prices/<index>_History.csv` is a table with commas, oldest first: `DATE` as
MM/DD/YYYY, then OPEN, HIGH, LOW, CLOSE, or one column named like the index. There is no volume. The options that the
indices are made of trade until 16:15 in New York, a quarter of an hour after the shares whose sessions end our bars; so
that is the least lag of a value. When in the evening the table has it Cboe does not say.
Source: Cboe, historical data for indices.
"""

from __future__ import annotations

from datetime import date, datetime

from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import LATE_US, bars_frame
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Paging, Source
from tradewright.sources.tables import table_of
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "cboe", "Cboe", "index:VIX"
BASE_URL = "https://cdn.cboe.com"
PAGE_ROWS = 100_000
_NAMES = ("OPEN", "HIGH", "LOW", "CLOSE")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `VIX` or `index:VIX`. Raises UnknownName."""
    return symbols.index(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Cboe calls an index."""
    return instrument.symbol


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the whole history."""
    return Request(f"{BASE_URL}/api/global/us_indices/daily_prices/{query.symbol}_History.csv")


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete days of the table."""
    if response.status in (403, 404):  # of a file that is not there
        raise answers.unknown(TITLE, query.symbol, f"no table of it: {response.status}", EXAMPLE)
    if response.status != 200:
        raise answers.refusal(response, TITLE, NAME, query.symbol, response.start_of_body, EXAMPLE)
    table = table_of(response, TITLE, ("DATE",))
    if query.symbol in table:
        values = {"close": table[query.symbol]}
    elif all(name in table for name in _NAMES):
        values = {name.lower(): table[name] for name in _NAMES}
    else:
        raise answers.changed(response, TITLE, "table of prices")
    on_days = _days(table["DATE"])
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, on_days=on_days, lag_us=LATE_US))


def _days(texts: list[str]) -> list[date]:
    try:
        return [datetime.strptime(text, "%m/%d/%Y").date() for text in texts]  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise SourceFailed(f"{TITLE} sent a day that is not like 03/08/2024: {error}") from error


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.INDEX,),
    limits=(Limit(10, 60.0),),
    licence="Cboe terms: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars((Interval.DAY,), PAGE_ROWS, Paging.WHOLE, bars_request, parse_bars, sparse=True, lag_us=LATE_US),
    notes=("VIX, VIX9D, VIX3M, VIX6M, VVIX, SKEW, VXN, RVX, OVX, GVZ and others; no volume",),
)
