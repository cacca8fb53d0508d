"""Polygon.io, since October 2025 Massive: US shares, coins, currencies and indices; with a key.

`GET /v2/aggs/ticker/<symbol>/range/<n>/<unit>/<from>/<to>` answers `{results: [{t, o, h, l, c, v}], next_url}`: `t` in
milliseconds at the start of the bar (a day of shares begins at midnight in New York), no `results` when there are
none. `adjusted=false` gives prices as traded. `next_url` is a whole address without the key; only its path and query
go on as token, and one of another host is refused. Minutes before and after the session are left out.
Source: Massive REST documentation, aggregates, splits, dividends, snapshots, tickers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl

from tradewright.clock import DAY_US
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, polygon_stream, symbols
from tradewright.sources.rows import bars_frame, rows_of, texts, whole_numbers
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
from tradewright.sources.tables import actions_frame, asked_days, in_sessions, own_currency, quotes_frame
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "polygon", "Polygon (Massive)", "equity:AAPL"
BASE_URL = "https://api.polygon.io"
HOSTS = ("api.polygon.io", "api.massive.com")
PAGE_ROWS = 50_000
REACH_US = 730 * DAY_US  # of the free plan

_UNITS = {"1m": "1/minute", "5m": "5/minute", "15m": "15/minute", "1h": "1/hour", "1d": "1/day"}
_VALUES = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_PREFIXES = {Kind.CRYPTO: "X:", Kind.FX: "C:", Kind.INDEX: "I:"}
_COIN_QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH", "JPY", "AUD")
_SNAPSHOT = "/v2/snapshot/locale/us/markets/stocks/tickers"
_TICKERS = "/v3/reference/tickers"
_SPLITS, _DIVIDENDS = "/v3/reference/splits", "/v3/reference/dividends"


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `X:BTCUSD`, `C:EURUSD`, `I:VIX` or an instrument id. Raises UnknownName."""
    plain = text.strip().upper()
    kind = next((kind for kind, prefix in _PREFIXES.items() if plain.startswith(prefix)), None)
    if kind is not None:
        return instrument_of(f"{kind.value}:{plain[2:]}")
    named, _ = symbols.split(text)
    if named == "crypto":
        return symbols.coins(text, TITLE, EXAMPLE, _COIN_QUOTES)
    if named == "fx":
        return symbols.currencies(text, TITLE, EXAMPLE)
    if named == "index":
        return symbols.index(text, TITLE, EXAMPLE)
    return symbols.share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Polygon calls an instrument: `crypto:BTC-USD` is `X:BTCUSD`."""
    if instrument.kind is Kind.EQUITY:
        return instrument.symbol
    return f"{_PREFIXES.get(instrument.kind, '')}{instrument.symbol.replace('-', '')}"


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its header."""
    return request.saying(Authorization=f"Bearer {credentials['api_key']}")


def bars_request(query: BarsQuery) -> Request:
    """Return the request for a page of raw bars, asked by their starts; a day begins up to a day before its end."""
    if query.token:
        return _following(query.token)
    before_us = DAY_US if query.interval is Interval.DAY else query.interval.us
    first_ms, last_ms = max(-(-(query.start_us - before_us) // 1_000), 0), max(query.end_us // 1_000, 0)
    path = f"/v2/aggs/ticker/{query.symbol}/range/{_UNITS[query.interval.value]}/{first_ms}/{last_ms}"
    return Request(
        f"{BASE_URL}{path}", query=(("adjusted", "false"), ("sort", "asc"), ("limit", str(min(query.limit, PAGE_ROWS))))
    )


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of a page, those that share no time with a session left out."""
    body = _read(response, query.symbol)
    if not isinstance(body.get("results"), list) and body.get("resultsCount") != 0:
        raise answers.changed(response, TITLE, "list of results")
    columns = rows_of(body.get("results") or [], ("t", "o", "h", "l", "c"), TITLE)
    values: dict[str, Sequence[Any]] = {name: columns[short] for name, short in _VALUES.items() if short != "v"}
    values["volume"] = [each.get("v") for each in body.get("results") or []]  # an index has none
    starts_us = whole_numbers(columns["t"], TITLE, 1_000)
    frame = bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us)
    return BarsPage(
        in_sessions(frame, query.instrument.calendar, query.interval),
        token=_token(body, f"/v2/aggs/ticker/{query.symbol}/range/"),
    )


def actions_request(query: SpanQuery) -> Request:
    """Return the request for a page of splits, then of dividends, by ex day."""
    if query.token and query.token != _DIVIDENDS:
        return _following(query.token)
    path, day = (_DIVIDENDS, "ex_dividend_date") if query.token else (_SPLITS, "execution_date")
    first, last = asked_days(query.start_us, query.end_us)
    asked = (("ticker", query.symbol), (f"{day}.gte", first), (f"{day}.lte", last), ("limit", "1000"))
    return Request(f"{BASE_URL}{path}", query=asked)


def parse_actions(response: Response, query: SpanQuery) -> ActionsPage:
    """Return the splits or dividends of a page. A dividend is known from the end of the day it was declared; one in
    another currency than the share's is left out."""
    results = _results(response, query.symbol)
    own = [each for each in results if not isinstance(each, dict) or each.get("ticker") == query.symbol]
    paid = query.token.startswith(_DIVIDENDS)
    following = _token(answers.json_of(response, TITLE), _DIVIDENDS if paid else _SPLITS)
    if paid:
        columns = rows_of(own, ("ex_dividend_date", "cash_amount"), TITLE)
        told = [each.get("declaration_date") for each in own]
        ex_days, currencies = columns["ex_dividend_date"], [each.get("currency") for each in own]
        paid_own, other = own_currency(query.instrument, ex_days, columns["cash_amount"], currencies, TITLE)
        frame = actions_frame(query.instrument, ex_days, [1.0] * len(own), paid_own, TITLE, told)
        return ActionsPage(frame, following, other)
    columns = rows_of(own, ("execution_date", "split_from", "split_to"), TITLE)
    before, after = (_sides(columns[name]) for name in ("split_from", "split_to"))
    ratios = [new / old for new, old in zip(after, before, strict=True)]
    frame = actions_frame(query.instrument, columns["execution_date"], ratios, [0.0] * len(own), TITLE)
    return ActionsPage(frame, following or _DIVIDENDS)


def _sides(values: Sequence[Any]) -> list[float]:
    if any(isinstance(each, bool) or not isinstance(each, int | float) or not 0 < each < 1e15 for each in values):
        raise SourceFailed(f"{TITLE} sent the split ratios {str(list(values))[:80]}; its API may have changed")
    return [float(each) for each in values]


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest trade and quote of each share."""
    return Request(f"{BASE_URL}{_SNAPSHOT}", query=(("tickers", ",".join(wanted)),))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the last trade, bid and ask of each share."""
    body = _read(response, ", ".join(wanted))
    if not isinstance(body.get("tickers"), list):
        raise answers.changed(response, TITLE, "list of tickers")
    columns = rows_of(body["tickers"], ("ticker", "lastTrade", "lastQuote", "updated"), TITLE)
    rows = [at for at, symbol in enumerate(texts(columns["ticker"], TITLE)) if symbol in wanted]
    trades = rows_of([columns["lastTrade"][at] for at in rows], ("p",), TITLE)
    quotes = rows_of([columns["lastQuote"][at] for at in rows], ("p", "P"), TITLE)
    return quotes_frame(
        [wanted[columns["ticker"][at]] for at in rows],
        [at // 1_000 for at in whole_numbers([columns["updated"][at] for at in rows], TITLE)],
        trades["p"],
        TITLE,
        quotes["p"],
        quotes["P"],
    )


def listing_request(token: str) -> Request:
    """Return the request for a page of shares that trade."""
    if token:
        return _following(token)
    return Request(f"{BASE_URL}{_TICKERS}", query=(("market", "stocks"), ("active", "true"), ("limit", "1000")))


def parse_listing(response: Response) -> ListingPage:
    """Return the shares of a page."""
    listed, skipped = [], 0
    for entry in _results(response, ""):
        try:
            instrument = symbols.share(entry["ticker"], TITLE, EXAMPLE)
            listed.append(Listed(entry["ticker"], instrument, entry["active"] is True))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped, _token(answers.json_of(response, TITLE), _TICKERS))


def _following(token: str) -> Request:
    parts = urlsplit(token)
    return Request(f"{BASE_URL}{parts.path}", query=tuple(parse_qsl(parts.query, keep_blank_values=True)))


def _token(body: Mapping[str, Any], path: str) -> str:
    address = body.get("next_url")
    if not address:
        return ""
    try:
        parts = urlsplit(str(address))
        fine = parts.scheme == "https" and parts.netloc in HOSTS and parts.path.startswith(path)
    except ValueError:
        fine = False
    if not fine or ".." in parts.path:
        raise SourceFailed(
            f"{TITLE} names {str(address)[:80]!r} as the next page, which is not its own; nothing is sent"
        )
    named = "&".join(part for part in parts.query.split("&") if not part.lower().startswith("apikey="))
    return f"{parts.path}?{named}"


def _results(response: Response, symbol: str) -> list[Any]:
    results = _read(response, symbol).get("results")
    if not isinstance(results, list):
        raise answers.changed(response, TITLE, "list of results")
    return results


def _read(response: Response, symbol: str) -> Mapping[str, Any]:
    body = answers.accepted(response, TITLE, NAME, symbol, EXAMPLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    if body.get("status") in ("ERROR", "NOT_AUTHORIZED", "NOT_FOUND"):
        raise answers.failed(response, TITLE, str(body.get("error") or body.get("message") or ""))
    return body


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.CRYPTO, Kind.FX, Kind.INDEX),
    limits=(Limit(5, 60.0),),
    licence="market data terms of Massive: own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a key in the dashboard at https://massive.com"),
    bars=Bars(tuple(Interval), PAGE_ROWS, Paging.TOKEN, bars_request, parse_bars, reach_us=REACH_US, sparse=True),
    actions=Actions(actions_request, parse_actions),
    quotes=Quotes(100, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    stream=polygon_stream.STREAM,
    notes=(
        "the free plan has the last two years and days that have ended; quotes and the stream need a paid plan",
        "hours of shares begin on the hour: the first of a session holds half an hour before it",
    ),
)
