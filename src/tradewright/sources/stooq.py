"""Stooq: daily prices of shares, indices and currencies of the world as one table; adjusted for splits and dividends.

`GET /q/d/l/?s=aapl.us&i=d` answers a table with commas, oldest first, dated by the day. Everything is status 200: "No
data", "Exceeded the daily hits limit" and "Get your apikey" come as plain texts. The whole history is asked for each
time: with a span, "No data" could mean either that the symbol or that the span has none, and adjusted history changes
as a whole.
Source: recorded answers; there is no official documentation.
"""

from __future__ import annotations

from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days
from tradewright.sources.source import Auth, Bars, BarsPage, BarsQuery, Credentials, Paging, Source
from tradewright.sources.tables import table_of
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "stooq", "Stooq", "equity:AAPL"
BASE_URL = "https://stooq.com"
PAGE_ROWS = 100_000
_NAMES = ("Date", "Open", "High", "Low", "Close")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `aapl.us`, `^spx`, `eurusd` or an instrument id. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    if kind == "index" or symbol.startswith("^"):
        return symbols.american_index(f"index:{symbol.removeprefix('^')}", TITLE, "index:SPX")
    if kind == "fx" or (kind == "" and len(symbol) == 6 and {symbol[:3], symbol[3:]} <= symbols.MONEY):
        return symbols.currencies(text, TITLE, "fx:EUR-USD")
    if kind == "" and symbol.endswith(".US"):
        return symbols.dashed_share(symbol.removesuffix(".US"), TITLE, EXAMPLE)
    return symbols.dashed_share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Stooq calls an instrument: `equity:BRK.B` is `brk-b.us`."""
    symbol = instrument.symbol.lower()
    if instrument.kind is Kind.INDEX:
        return f"^{symbol}"
    return symbol.replace("-", "") if instrument.kind is Kind.FX else f"{symbols.dashed(instrument).lower()}.us"


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its query, where Stooq wants it."""
    return request.asking(apikey=credentials["api_key"])


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the whole history."""
    return Request(f"{BASE_URL}/q/d/l/", query=(("s", query.symbol), ("i", "d")))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of the table."""
    said = response.start_of_body
    if response.status != 200:
        raise answers.refusal(response, TITLE, NAME, query.symbol, said, EXAMPLE)
    if said.startswith("No data"):
        raise answers.unknown(TITLE, query.symbol, said, EXAMPLE)
    if said.startswith("Exceeded the daily hits limit"):
        raise answers.limited(response, TITLE, said)
    if said.startswith("Get your apikey"):
        raise answers.refused_key(response, TITLE, NAME, said)
    table = table_of(response, TITLE, _NAMES)
    values = {name.lower(): table[name] for name in (*_NAMES[1:], "Volume") if name in table}
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, on_days=days(table["Date"], TITLE)))


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.INDEX, Kind.FX),
    limits=(Limit(1, 1.0), Limit(100, 86_400.0)),
    licence="Stooq: personal use",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "open https://stooq.com/q/d/?s=aapl.us&get_apikey, enter the captcha", optional=True),
    bars=Bars(
        (Interval.DAY,), PAGE_ROWS, Paging.WHOLE, bars_request, parse_bars, adjusted=True, revised=True, sparse=True
    ),
    notes=(
        "prices and volumes are adjusted for splits and dividends; old bars have one price for all four",
        "a key is asked for since spring 2026, on some networks only after the daily limit",
    ),
)
