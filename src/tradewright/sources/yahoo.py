"""Yahoo Finance: shares, indices, currencies and coins of the world without a key, unofficial and against its terms.

`GET /v8/finance/chart/<symbol>` answers arrays side by side, oldest first: `timestamp` in seconds (of a day: when its
session opened), `indicators.quote` with `null` rows, `events` with splits and dividends. Prices are adjusted for every
split known on the day of the answer, dividends are per share of today. The running day comes as a last row, at times
as a second one of the same day. A span without data has no `timestamp`; errors stand in `chart.error`.
Source: recorded answers; there is no official documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from tradewright.clock import DAY_US
from tradewright.errors import SourceFailed, UnknownName
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import bars_frame, no_actions, rows_of, whole_numbers
from tradewright.sources.source import Bars, BarsPage, BarsQuery, Paging, Quotes, Source
from tradewright.sources.tables import actions_frame, in_sessions, merged, quotes_frame
from tradewright.transport.messages import Request, Response, shortened
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "yahoo", "Yahoo Finance", "equity:AAPL"
BASE_URL = "https://query1.finance.yahoo.com"
PAGE_ROWS = 10_000
REACH_US = {
    Interval.MINUTE: 30 * DAY_US, Interval.MINUTES_5: 60 * DAY_US, Interval.MINUTES_15: 60 * DAY_US,
    Interval.HOUR: 730 * DAY_US,
}  # fmt: skip
AGENT = "Mozilla/5.0 (compatible; tradewright)"
MARKETS = {
    "AS": ("XAMS", "EUR"), "AX": ("XASX", "AUD"), "BR": ("XBRU", "EUR"), "CO": ("XCSE", "DKK"), "DE": ("XETR", "EUR"),
    "HE": ("XHEL", "EUR"), "HK": ("XHKG", "HKD"), "MC": ("XMAD", "EUR"), "MI": ("XMIL", "EUR"), "OL": ("XOSL", "NOK"),
    "PA": ("XPAR", "EUR"), "ST": ("XSTO", "SEK"), "SW": ("XSWX", "CHF"), "T": ("XTKS", "JPY"), "TO": ("XTSE", "CAD"),
    "VI": ("XWBO", "EUR"),
}  # fmt: skip
"""Exchange and currency by the ending of a symbol; London is not among them, as it is quoted in pence."""

COINS = (
    "ADA", "AVAX", "BCH", "BNB", "BTC", "DASH", "DOGE", "ETC", "ETH", "LINK", "LTC", "SOL", "TRX", "USDC", "USDT",
    "XLM", "XMR", "XRP", "ZEC",
)  # fmt: skip
"""Coins whose ticker is their own at Yahoo; it numbers others (UNI7083-USD) and UNI-USD is another coin than ours."""

_FRAMES = {"1m": "1m", "5m": "5m", "15m": "15m", "1h": "60m", "1d": "1d"}
_NAMES = ("open", "high", "low", "close", "volume")
_ENDINGS = {mic: ending for ending, (mic, _) in MARKETS.items()}
_INDICES = {"GSPC": "SPX"}  # what Yahoo calls otherwise than we do
_ABROAD = re.compile(r"([A-Z0-9][A-Z0-9-]{0,11})\.([A-Z]{1,4})")
_FIRST, _LAST = -(2**33), 2**35  # seconds: from 1697 to 3058


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `BRK-B`, `SAP.DE`, `^VIX`, `EURUSD=X`, `BTC-USD` or an instrument id.

    Raises UnknownName.
    """
    kind, symbol = symbols.split(text)
    if kind == "fx" or symbol.endswith("=X"):
        pair = symbol.removesuffix("=X")
        return symbols.currencies(f"fx:{pair if len(pair) > 3 else 'USD' + pair}", TITLE, "fx:EUR-USD")
    if kind == "index" or symbol.startswith("^"):
        plain = symbol.removeprefix("^")
        return symbols.american_index(f"index:{_INDICES.get(plain, plain)}", TITLE, "index:VIX")
    if kind == "crypto" or (kind == "" and re.fullmatch(r"[^.]+-[^.]{3,}", symbol)):
        coins = symbols.coins(text, TITLE, "crypto:BTC-USD", separators="-")
        if coins.symbol.split("-")[0] not in COINS:
            raise UnknownName(
                f"{TITLE} has other coins under some tickers, so {text!r} may not be what it says; its coins here are "
                f"{', '.join(COINS)}, written like crypto:BTC-USD",
                name=text,
            )
        return coins
    abroad = _ABROAD.fullmatch(symbol)
    if kind in ("", "equity") and abroad is not None:
        base, ending = abroad.groups()
        mic, currency = MARKETS.get(_ENDINGS.get(ending, ending), ("", ""))
        if mic:
            return Instrument(f"equity:{base}.{mic}", currency=currency, calendar=mic)
    return symbols.dashed_share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Yahoo calls an instrument: `fx:EUR-USD` is `EURUSD=X`, `equity:SAP.XETR` is `SAP.DE`."""
    symbol = instrument.symbol
    if instrument.kind is Kind.FX:
        return f"{symbol.replace('-', '')}=X"
    if instrument.kind is Kind.INDEX:
        return "^" + next((theirs for theirs, ours in _INDICES.items() if ours == symbol), symbol)
    if instrument.kind is Kind.CRYPTO:
        return symbol
    base, _, mic = symbol.rpartition(".")
    return f"{base}.{_ENDINGS[mic]}" if mic in _ENDINGS else symbols.dashed(instrument)


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the bars of a span, asked by their starts, without extended hours."""
    before_us = 2 * DAY_US if query.interval is Interval.DAY else query.interval.us
    asked = {
        "interval": _FRAMES[query.interval.value],
        "period1": str((query.start_us - before_us) // 1_000_000),
        "period2": str(query.end_us // 1_000_000 + 1),
        "includePrePost": "false",
        "events": "div|split",
    }
    return _request(query.symbol, tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the complete bars of an answer, and of days the splits and dividends too.

    Rows without a close are left out; of two rows of one day the later is kept.
    """
    result = _read(response, query.symbol)
    if result is None or ("timestamp" not in result and not _quote(result, response).get("close")):
        return BarsPage(bars_frame(NAME, query, response.received_at_us, {"close": []}, ends_us=[]))
    if not isinstance(result.get("timestamp"), list):
        raise answers.changed(response, TITLE, "times beside the prices")
    meta = result["meta"]
    if query.instrument.kind is not Kind.INDEX and meta.get("currency") != query.instrument.currency:
        raise SourceFailed(f"{TITLE} has {query.symbol} in {meta.get('currency')}, not in {query.instrument.currency}")
    stamps = whole_numbers(result["timestamp"], TITLE)
    prices = _quote(result, response)
    columns = {name: prices.get(name) or [None] * len(stamps) for name in _NAMES}
    if any(not isinstance(column, list) or len(column) != len(stamps) for column in columns.values()):
        raise SourceFailed(f"{TITLE} sent {len(stamps)} times and another number of prices; it may have been cut off")
    kept = [at for at in range(len(stamps)) if columns["close"][at] is not None]
    if query.interval is not Interval.DAY:
        values = {name: [column[at] for at in kept] for name, column in columns.items()}
        starts_us = [stamps[at] * 1_000_000 for at in kept]
        frame = bars_frame(NAME, query, response.received_at_us, values, starts_us=starts_us)
        return BarsPage(in_sessions(frame, query.instrument.calendar, query.interval))
    by_day = dict(zip(_days([stamps[at] for at in kept], meta), kept, strict=True))
    values = {name: [column[at] for at in by_day.values()] for name, column in columns.items()}
    frame = bars_frame(NAME, query, response.received_at_us, values, on_days=list(by_day))
    return BarsPage(frame, _actions(result, query))


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of one symbol, which its chart tells."""
    return _request(wanted[0], (("interval", "1d"), ("range", "1d")))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the latest price of the symbol."""
    result = _read(response, ", ".join(wanted))
    if result is None:
        return quotes_frame((), (), (), TITLE)
    columns = rows_of([result["meta"]], ("symbol", "regularMarketPrice", "regularMarketTime"), TITLE)
    instrument = wanted.get(str(columns["symbol"][0])) or next(iter(wanted.values()))
    times_us = whole_numbers(columns["regularMarketTime"], TITLE, 1_000_000)
    return quotes_frame([instrument], times_us, columns["regularMarketPrice"], TITLE)


def _request(symbol: str, asked: tuple[tuple[str, str], ...]) -> Request:
    path = f"/v8/finance/chart/{quote(symbol, safe='^=.-')}"
    return Request(f"{BASE_URL}{path}", query=asked).saying(User_Agent=AGENT)


def _quote(result: Mapping[str, Any], response: Response) -> Mapping[str, Any]:
    try:
        found = result["indicators"]["quote"][0]
    except (KeyError, TypeError, IndexError) as error:
        raise answers.changed(response, TITLE, "prices") from error
    if not isinstance(found, dict):
        raise answers.changed(response, TITLE, "prices")
    return found


def _days(stamps: Sequence[int], meta: Mapping[str, Any]) -> list[date]:
    try:
        zone = ZoneInfo(str(meta.get("exchangeTimezoneName", "America/New_York")))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SourceFailed(f"{TITLE} names an unknown time zone: {meta.get('exchangeTimezoneName')!r}") from error
    if any(not _FIRST < stamp < _LAST for stamp in stamps):
        raise SourceFailed(f"{TITLE} sent a time far from any market; the answer may have changed its form")
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return [(start + timedelta(seconds=stamp)).astimezone(zone).date() for stamp in stamps]


def _actions(result: Mapping[str, Any], query: BarsQuery) -> pl.DataFrame:
    events = result.get("events") or {}
    parts = [no_actions()]
    for kind, names in (("dividends", ("date", "amount")), ("splits", ("date", "numerator", "denominator"))):
        found = events.get(kind) if isinstance(events, dict) else [events]
        entries = list(found.values()) if isinstance(found, dict) else [found] if found else []
        columns = rows_of(entries, names, TITLE)
        on_days = _days(whole_numbers(columns["date"], TITLE), result["meta"])
        if kind == "dividends":
            changes: tuple[list[float], list[Any]] = ([1.0] * len(entries), columns["amount"])
        else:
            pairs = zip(columns["numerator"], columns["denominator"], strict=True)
            changes = ([_ratio(new, old) for new, old in pairs], [0.0] * len(entries))
        parts.append(actions_frame(query.instrument, on_days, *changes, TITLE))
    return merged(pl.concat(parts))


def _ratio(new: Any, old: Any) -> float:
    try:
        return float(new) / float(old)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise SourceFailed(f"{TITLE} sent a split of {new!r} for {old!r}; its API may have changed") from error


def _read(response: Response, symbol: str) -> Mapping[str, Any] | None:
    if response.status not in (200, 400, 404, 422):
        answers.accepted(response, TITLE, NAME, symbol, EXAMPLE)  # raises
    plain = response.body.strip()
    if response.status != 200 and plain and plain[:1] not in (b"{", b"<"):
        _refuse(response, symbol, response.start_of_body)
        return None
    body = answers.json_of(response, TITLE)
    chart = next(iter(body.values()), None) if isinstance(body, dict) else None
    error = chart.get("error") if isinstance(chart, dict) else None
    if error or response.status != 200:
        told = error if isinstance(error, dict) else {}
        _refuse(response, symbol, str(told.get("description") or told.get("code") or ""))
        return None
    results = chart.get("result") if isinstance(chart, dict) else None
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise answers.changed(response, TITLE, "chart")
    if not isinstance(results[0].get("meta"), dict):
        raise answers.changed(response, TITLE, "chart")
    return results[0]


def _refuse(response: Response, symbol: str, said: str) -> None:
    if "Data doesn't exist" in said:  # of the span
        return
    if "No data found" in said or "delisted" in said or response.status == 404:
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    if "granularity" in said or "not available" in said:
        raise SourceFailed(
            f"{TITLE}: {shortened(said, 200)}; ask for a later span or for longer bars", status=response.status
        )
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY, Kind.INDEX, Kind.FX, Kind.CRYPTO),
    limits=(Limit(2, 1.0), Limit(60, 60.0)),
    licence="Yahoo's terms forbid automated access and passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    bars=Bars(
        tuple(Interval),
        PAGE_ROWS,
        Paging.WINDOWS,
        bars_request,
        parse_bars,
        adjusted=True,
        revised=True,
        reach_us=REACH_US,
        sparse=True,
        with_actions=(Interval.DAY,),
    ),
    quotes=Quotes(1, quotes_request, parse_quotes),
    opt_in="the terms of Yahoo forbid automated access; whoever turns it on answers for that",
    notes=(
        "unofficial and undocumented: it may change or refuse at any time",
        "bars of 1m reach back 30 days, of 5m and 15m 60 days, of 1h 730 days",
        "dividends are per share of today, like the prices",
    ),
)
