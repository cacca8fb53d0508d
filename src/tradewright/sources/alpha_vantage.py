"""Alpha Vantage: US shares, coins and currencies; with a free key for 25 requests a day.

`GET /query?function=...` answers a block of meta data and one of the series, newest first, keys like `1. open`, values
as text, times as wall time of the zone in the meta data. Whatever is wrong comes with status 200: `Error Message` for
names and keys, `Information` or `Note` for limits and plans. Bars of days are raw. Bars of minutes are asked for by
the month, raw and without extended hours; their stamps are starts since 2023 and were ends before, told by the
session's last bar.
Source: Alpha Vantage API documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from tradewright.clock import DAY_US, from_us
from tradewright.errors import InvalidInput, SourceRefused, UnknownName
from tradewright.market.calendars import close_of
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, days, rows_of, wall_times
from tradewright.sources.source import (
    Actions,
    ActionsPage,
    Auth,
    Bars,
    BarsPage,
    BarsQuery,
    Credentials,
    Listed,
    Listing,
    ListingPage,
    Paging,
    Quotes,
    Source,
    SpanQuery,
)
from tradewright.sources.tables import actions_frame, in_sessions, quotes_frame, table_of
from tradewright.transport.messages import Request, Response, shortened
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "alpha_vantage", "Alpha Vantage", "equity:IBM"
BASE_URL = "https://www.alphavantage.co"
PAGE_ROWS = 10_000
COMPACT_ROWS = 100  # days of an answer that the free plan gives
COMPACT_US = 140 * DAY_US  # a longer span is asked for in full, which a paid plan gives
REACH_US = {Interval.DAY: COMPACT_US}  # of the free plan, which has no other interval

_FRAMES = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "60min"}
_DAILY = {Kind.EQUITY: "TIME_SERIES_DAILY", Kind.FX: "FX_DAILY", Kind.CRYPTO: "DIGITAL_CURRENCY_DAILY"}
_INTRADAY = {Kind.EQUITY: "TIME_SERIES_INTRADAY", Kind.FX: "FX_INTRADAY", Kind.CRYPTO: "CRYPTO_INTRADAY"}
_LIMITED = ("rate limit", "requests per", "call frequency", "per second", "spreading out")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `IBM`, `BRK-B`, `EUR/USD`, `BTC/USD` or an instrument id. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    if kind in ("fx", "crypto") or "/" in symbol:
        return symbols.money_or_coins(text, TITLE, EXAMPLE)
    return symbols.dashed_share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what we ask for: `BRK-B`, or a pair with a slash, of which both sides are asked for apart."""
    if instrument.kind is Kind.EQUITY:
        return symbols.dashed(instrument)
    return instrument.symbol.replace("-", "/")


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its query, where Alpha Vantage wants it."""
    return request.asking(apikey=credentials["api_key"])


def bars_request(query: BarsQuery) -> Request:
    """Return the request for days, or for the minutes of one month."""
    kind = query.instrument.kind
    base, _, quote = query.symbol.partition("/")
    names = {Kind.FX: ("from_symbol", "to_symbol")}.get(kind, ("symbol", "market"))
    asked = dict(zip(names, (base, quote), strict=True)) if quote else {"symbol": query.symbol}
    if query.interval is Interval.DAY and kind is Kind.CRYPTO:  # comes whole, on every plan
        return _request(_DAILY[kind], **asked)
    if query.interval is Interval.DAY:
        size = "compact" if query.end_us - query.start_us <= COMPACT_US else "full"
        return _request(_DAILY[kind], **asked, outputsize=size)
    asked |= {"interval": _FRAMES[query.interval.value], "outputsize": "full"}
    if kind is Kind.EQUITY:
        asked |= {"month": query.token or _month(query.start_us), "extended_hours": "false", "adjusted": "false"}
    return _request(_INTRADAY[kind], **asked)


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer. token: the next month, where minutes of it are asked for.

    Raises SourceRefused when the answer was cut to its latest rows and the span begins before them.
    """
    body = _read(response, query.symbol)
    rows, zone = _series(body, response)
    stamps = list(rows)
    columns = rows_of(list(rows.values()), ("open", "high", "low", "close"), TITLE)
    values: dict[str, Sequence[Any]] = {**columns, "volume": [row.get("volume") for row in rows.values()]}
    if query.interval is Interval.DAY:
        on_days = days(stamps, TITLE)
        frame = bars_frame(NAME, query, response.received_at_us, values, on_days=on_days)
        _refuse_cut(frame, query)
        return BarsPage(frame)
    at_us = wall_times(stamps, zone, TITLE)
    ends = query.instrument.kind is Kind.EQUITY and stamps_are_ends(stamps)
    frame = bars_frame(
        NAME, query, response.received_at_us, values, **{"ends_us" if ends else "starts_us": at_us}  # type: ignore[arg-type] # one of two names
    )  # fmt: skip
    frame = in_sessions(frame, query.instrument.calendar, query.interval)
    return BarsPage(frame, token=_next_month(query, response.received_at_us))


def stamps_are_ends(stamps: Iterable[str]) -> bool:
    """Return whether wall times of bars, in New York, are their ends: whether the last one is the end of trading.

    Trading ends at 16:00, with extended hours at 20:00, and begins at 09:30, with extended hours at 04:00.
    """
    clocks = {stamp[11:16] for stamp in stamps}
    if "20:00" in clocks or "04:00" in clocks:
        return "20:00" in clocks
    return "16:00" in clocks and "09:30" not in clocks and max(clocks) == "16:00"


def actions_request(query: SpanQuery) -> Request:
    """Return the request for days with splits and dividends, which a paid plan gives."""
    if query.instrument.kind is not Kind.EQUITY:
        raise UnknownName(f"{TITLE} has splits and dividends of shares only, like {EXAMPLE}", name=query.symbol)
    return _request("TIME_SERIES_DAILY_ADJUSTED", symbol=query.symbol, outputsize="full")


def parse_actions(response: Response, query: SpanQuery) -> ActionsPage:
    """Return the splits and dividends among the days."""
    rows, _ = _series(_read(response, query.symbol), response)
    columns = rows_of(list(rows.values()), ("dividend amount", "split coefficient"), TITLE)
    paid, split = columns["dividend amount"], columns["split coefficient"]
    return ActionsPage(actions_frame(query.instrument, list(rows), split, paid, TITLE))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of one share."""
    if "/" in wanted[0]:
        raise UnknownName(f"{TITLE} has quotes of shares only, like {EXAMPLE}", name=wanted[0])
    return _request("GLOBAL_QUOTE", symbol=wanted[0])


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the latest price, of the end of its trading day or of now while that lasts; none for an unknown symbol."""
    body = _read(response, ", ".join(wanted))
    quote = body.get("Global Quote")
    if not isinstance(quote, dict):
        raise answers.changed(response, TITLE, "quote")
    plain = _plain(quote)
    instrument = wanted.get(str(plain.get("symbol")))
    if not plain or instrument is None:
        return quotes_frame((), (), (), TITLE)
    columns = rows_of([plain], ("price", "latest trading day"), TITLE)
    try:
        (close_us,) = close_of(instrument.calendar, days(columns["latest trading day"], TITLE))
    except InvalidInput as error:
        raise answers.changed(response, TITLE, "trading day") from error
    return quotes_frame([instrument], [min(int(close_us), response.received_at_us)], columns["price"], TITLE)


def listing_request(token: str) -> Request:
    """Return the request for the table of shares that trade."""
    return _request("LISTING_STATUS", state="active")


def parse_listing(response: Response) -> ListingPage:
    """Return the shares and funds of the table."""
    if response.status != 200 or response.body.strip()[:1] == b"{":
        _read(response, "")
    names = ("symbol", "status")
    table = table_of(response, TITLE, names)
    listed, skipped = [], 0
    for symbol, status in zip(*(table[name] for name in names), strict=True):
        try:
            listed.append(Listed(symbol, symbols.dashed_share(symbol, TITLE, EXAMPLE), status == "Active"))
        except InvalidInput:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _request(function: str, **asked: str) -> Request:
    return Request(f"{BASE_URL}/query", query=(("function", function), *asked.items()))


def _plain(named: Mapping[str, Any]) -> dict[str, Any]:
    return {key.partition(". ")[2] or key: value for key, value in named.items()}


def _series(body: Mapping[str, Any], response: Response) -> tuple[dict[str, dict[str, Any]], str]:
    rows = next((value for key, value in body.items() if key.startswith("Time Series")), None)
    meta = body.get("Meta Data")
    if not isinstance(rows, dict) or not isinstance(meta, dict) or any(not isinstance(v, dict) for v in rows.values()):
        raise answers.changed(response, TITLE, "time series")
    zone = str(_plain(meta).get("Time Zone", "US/Eastern"))
    return {stamp: _plain(row) for stamp, row in rows.items()}, zone


def _month(at_us: int) -> str:
    return from_us(at_us).strftime("%Y-%m")


def _next_month(query: BarsQuery, now_us: int) -> str:
    if query.instrument.kind is not Kind.EQUITY:
        return ""
    year, month = (int(part) for part in (query.token or _month(query.start_us)).split("-"))
    following = date(year + month // 12, month % 12 + 1, 1).strftime("%Y-%m")
    return following if following <= _month(min(query.end_us, max(now_us, 0))) else ""


def _refuse_cut(frame: pl.DataFrame, query: BarsQuery) -> None:
    if query.instrument.kind is Kind.CRYPTO:
        return
    asked_in_full = query.end_us - query.start_us > COMPACT_US
    if asked_in_full or frame.height < COMPACT_ROWS - 1:
        return
    oldest_us = int(frame["time"].min())  # type: ignore[arg-type] # of integers
    if query.start_us < oldest_us - 5 * DAY_US:
        raise SourceRefused(
            f"{TITLE} gave its latest {COMPACT_ROWS} days only, which begin on {from_us(oldest_us).date()}; ask for a "
            f"span of more than {COMPACT_US // DAY_US} days to have all of it, which a paid plan gives, or use another "
            "source",
            source=NAME,
        )


def _read(response: Response, symbol: str) -> Mapping[str, Any]:
    body = answers.accepted(response, TITLE, NAME, symbol, EXAMPLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    told = str(body.get("Information") or body.get("Note") or "")
    wrong = str(body.get("Error Message") or "")
    if any(word in told.lower() for word in _LIMITED):
        raise answers.limited(response, TITLE, told)
    if "premium" in told.lower():
        raise SourceRefused(
            f"{TITLE} does not give this on the present plan: {shortened(told, 200)}; the free plan has days only, "
            f"the latest {COMPACT_ROWS}: ask for a span of at most {COMPACT_US // DAY_US} days until now, or change "
            "the plan",
            source=NAME,
            status=response.status,
        )
    if "apikey" in wrong.lower() or "api key" in told.lower():
        raise answers.refused_key(response, TITLE, NAME, wrong or told)
    if wrong:
        raise answers.unknown(TITLE, symbol, wrong, EXAMPLE)
    if told:
        raise answers.failed(response, TITLE, told)
    return body


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.CRYPTO, Kind.FX),
    limits=(Limit(25, 86_400.0), Limit(1, 1.0)),
    licence="Alpha Vantage terms: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "claim a free key at https://www.alphavantage.co/support/#api-key"),
    bars=Bars(
        tuple(Interval),
        PAGE_ROWS,
        Paging.TOKEN,
        bars_request,
        parse_bars,
        reach_us=REACH_US,
        reach_kinds=(Kind.EQUITY, Kind.FX),
        sparse=True,
    ),
    actions=Actions(actions_request, parse_actions),
    quotes=Quotes(1, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "the free plan has all days of coins and the latest 100 of shares and currencies; all else needs a paid one",
        "without a start only those days are asked for, on a paid plan too: name one there",
        "minutes are without extended hours",
    ),
)
