"""European Central Bank: reference rates of the euro since 1999, one a working day, without a key.

`GET /stats/eurofxref/eurofxref-hist.zip` holds one table with commas, newest day first: `Date`, a column a currency
with its units for one euro, `N/A` where a currency was not quoted, a comma behind the last column. Rates are published
at about 16:00 in Frankfurt; a bar ends with its day all the same. Currencies that have gone keep their columns.
Source: euro foreign exchange reference rates, ECB.
"""

from __future__ import annotations

from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Listed, Listing, ListingPage, Paging, Source
from tradewright.sources.tables import table_of, unpacked
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "ecb", "European Central Bank", "fx:EUR-USD"
BASE_URL = "https://www.ecb.europa.eu"
PAGE_ROWS = 100_000
NONE = "N/A"


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `USD`, `EUR-USD` or `fx:EUR-USD`: units for one euro. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    pair = symbols.currencies(f"fx:EUR{symbol}" if kind == "" and len(symbol) == 3 else text, TITLE, EXAMPLE)
    if not pair.symbol.startswith("EUR-") or pair.symbol == "EUR-EUR":
        raise symbols.no_such(text, TITLE, EXAMPLE)
    return pair


def symbol_of(instrument: Instrument) -> str:
    """Return the column of the table: `fx:EUR-USD` is `USD`."""
    return instrument.symbol.removeprefix("EUR-")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the whole history of every currency."""
    return Request(f"{BASE_URL}/stats/eurofxref/eurofxref-hist.zip")


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete days of one currency. Raises UnknownName when the table has no such column."""
    table = _table(response)
    if query.symbol not in table:
        raise answers.unknown(TITLE, query.symbol, "no column of the table", EXAMPLE)
    quoted = [(day, rate) for day, rate in zip(table["Date"], table[query.symbol], strict=True) if rate != NONE]
    on_days = days([day for day, _ in quoted], TITLE)
    values = {"close": [rate for _, rate in quoted]}
    return BarsPage(bars_frame(NAME, query, response.received_at_us, values, on_days=on_days))


def listing_request(token: str) -> Request:
    """Return the request for the table."""
    return Request(f"{BASE_URL}/stats/eurofxref/eurofxref-hist.zip")


def parse_listing(response: Response) -> ListingPage:
    """Return every currency of the table; those quoted on its newest day are active."""
    table = _table(response)
    listed, skipped = [], 0
    for column, rates in table.items():
        if column in ("Date", ""):
            continue
        try:
            listed.append(Listed(column, instrument_of(column), bool(rates) and rates[0] != NONE))
        except InvalidInput:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _table(response: Response) -> dict[str, list[str]]:
    if response.status != 200:
        raise answers.failed(response, TITLE)
    return table_of(unpacked(response, TITLE), TITLE, ("Date",))


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.FX,),
    limits=(Limit(10, 60.0),),
    licence="free with attribution: source ECB statistics",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars((Interval.DAY,), PAGE_ROWS, Paging.WHOLE, bars_request, parse_bars, close_only=True, sparse=True),
    listing=Listing(listing_request, parse_listing),
    notes=("one rate a day, for information: nobody trades at it", "days without TARGET settlement have none"),
)
