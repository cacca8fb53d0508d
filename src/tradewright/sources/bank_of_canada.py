"""Bank of Canada: daily average rates between the Canadian dollar and other currencies since 2017, without a key.

`GET /valet/observations/<series>/json?start_date=&end_date=` answers `{observations: [{d, <series>: {v}}]}`, texts. A
series is `FXUSDCAD` or `FXCADUSD`. Rates are published by 16:30 in Ottawa.
Source: Bank of Canada Valet API.
"""

from __future__ import annotations

from typing import Any

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days, rows_of
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Paging, Source
from tradewright.sources.tables import asked_days
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "bank_of_canada", "Bank of Canada", "fx:USD-CAD"
BASE_URL = "https://www.bankofcanada.ca"
PAGE_ROWS = 100_000


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `FXUSDCAD`, `USD-CAD` or `fx:USD-CAD`. Raises UnknownName unless one is CAD."""
    kind, symbol = symbols.split(text)
    plain = symbol.removeprefix("FX") if kind == "" and len(symbol) == 8 else text
    pair = symbols.currencies(plain, TITLE, EXAMPLE)
    if pair.symbol.split("-").count("CAD") != 1:
        raise symbols.no_such(text, TITLE, EXAMPLE)
    return pair


def symbol_of(instrument: Instrument) -> str:
    """Return the name of the series: `fx:USD-CAD` is `FXUSDCAD`."""
    return f"FX{instrument.symbol.replace('-', '')}"


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the days of a span."""
    first, last = asked_days(query.start_us, query.end_us)
    path = f"/valet/observations/{query.symbol}/json"
    return Request(f"{BASE_URL}{path}", query=(("start_date", first), ("end_date", last)))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete days of an answer."""
    body: Any = answers.accepted(response, TITLE, NAME, query.symbol, EXAMPLE)
    if not isinstance(body, dict) or not isinstance(body.get("observations"), list):
        raise answers.changed(response, TITLE, "list of observations")
    kept = [row for row in body["observations"] if not isinstance(row, dict) or query.symbol in row or "d" not in row]
    columns = rows_of(kept, ("d", query.symbol), TITLE)
    rates = rows_of(columns[query.symbol], ("v",), TITLE)
    on_days = days(columns["d"], TITLE)
    return BarsPage(bars_frame(NAME, query, response.received_at_us, {"close": rates["v"]}, on_days=on_days))


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.FX,),
    limits=(Limit(60, 60.0),),
    licence="Bank of Canada terms of use: free with attribution",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars((Interval.DAY,), PAGE_ROWS, Paging.WHOLE, bars_request, parse_bars, close_only=True, sparse=True),
    notes=("one average rate a day, for information",),
)
