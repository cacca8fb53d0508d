"""Candles of many more coin venues, through the library ccxt: sources named `ccxt_<venue>`.

ccxt knows what each venue calls its pairs, how it asks and what it answers; here it only builds requests and reads
answers: whatever it would send goes through our transport. It has to read the pairs of a venue first, so a page is more
than one request and these sources use `Bars.pages`. ccxt is an extra (`pip install tradewright[ccxt]`) and is imported
when one of its venues is asked for, not before. Only spot pairs are offered.
Source: ccxt manual, unified API, markets and OHLCV candlesticks.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tradewright.errors import LibraryMissing, SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import arrays_of, bars_frame, on_grid, whole_numbers
from tradewright.sources.source import Ask, Bars, BarsPage, BarsQuery, Paging, Source
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

PREFIX = "ccxt_"
EXAMPLE = "crypto:BTC-USDT"
USUAL_ROWS = 500  # where ccxt does not say how many candles an answer holds
_MILLISECOND = 1_000
_MARKETS = {"coinbaseexchange": "coinbase", "myokx": "okx"}  # venues that are another door to the same market
_KEYED = ("alpaca",)  # venues whose candles need a key
_LEFT_OUT = ("user-agent", "accept-encoding")  # headers that are for the transport to say


def names() -> tuple[str, ...]:
    """Return the name of each source that ccxt gives, () where it is not installed."""
    if importlib.util.find_spec("ccxt") is None:
        return ()
    return tuple(f"{PREFIX}{venue}" for venue in _ccxt().exchanges if _offered(venue))


def market_of(name: str) -> str:
    """Return the source whose prices those of a venue are: our own module for it, where there is one, has its name."""
    venue = name.removeprefix(PREFIX)
    return _MARKETS.get(venue, venue)


@lru_cache(256)
def source_of(name: str) -> Source:
    """Return the source of a name like `ccxt_bitstamp`.

    Raises LibraryMissing without ccxt, UnknownName with the closest names for a venue without public spot candles.
    """
    venue = name.removeprefix(PREFIX)
    if importlib.util.find_spec("ccxt") is None:
        raise LibraryMissing(f"{name} needs the library ccxt; install it: pip install 'tradewright[ccxt]'")
    if not _offered(venue):
        raise UnknownName.of("source", name, names(), "the manual of ccxt lists its venues")
    exchange = _exchange(venue)
    title = f"{exchange.name} through ccxt"
    rows = _page_rows(exchange)

    async def pages(query: BarsQuery, ask: Ask) -> AsyncIterator[BarsPage]:
        async for page in _pages(_Venue(name, title, _exchange(venue), ask), query):
            yield page

    return Source(
        name=name,
        title=title,
        kinds=(Kind.CRYPTO,),
        limits=(Limit(1, max(float(exchange.rateLimit), 1.0) / 1_000),),
        licence=f"market data terms of {exchange.name}; read with ccxt (MIT)",
        base_url=_base_url(exchange),
        instrument_of=lambda text: symbols.coins(text, title, EXAMPLE),
        symbol_of=_symbol_of,
        example=EXAMPLE,
        bars=Bars(
            tuple(each for each in Interval if each.value in exchange.timeframes),
            rows or USUAL_ROWS,
            Paging.WINDOWS,
            _request,
            _parse,
            pages=pages,
            reach_rows=None if rows else USUAL_ROWS,
            sparse=True,  # many are, and which ones ccxt does not say
        ),
        markets={Kind.CRYPTO: market_of(name)},
        notes=(
            "spot pairs only, candles only",
            "how far back it goes depends on the venue; one that only has its latest candles has none of an older span",
        ),
    )


@dataclass(slots=True)
class _Venue:
    name: str
    title: str
    exchange: Any
    ask: Ask
    received_at_us: int = 0

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """What ccxt calls instead of its own: sends through our transport, returns the answer as ccxt wants it."""
        parts = urlsplit(url)
        said = self.exchange.prepare_request_headers(headers)
        ours = tuple((str(key), str(text)) for key, text in said.items() if key.lower() not in _LEFT_OUT)
        bytes_sent = body.encode() if isinstance(body, str) else body or b""
        address = f"{parts.scheme}://{parts.netloc}{parts.path}"
        pairs = tuple(parse_qsl(parts.query, keep_blank_values=True))
        response = await self.ask(Request(address, method, pairs, ours, bytes_sent))
        self.received_at_us = response.received_at_us
        return self._read(response, url, method, said, body)

    def _read(self, response: Response, url: str, method: str, headers: Any, body: Any) -> Any:
        if response.status in (418, 429):
            raise answers.limited(response, self.title)
        if response.status in (403, 451):
            raise answers.refused_place(response, self.title, self.name)
        text = response.body.decode("utf-8", "replace").strip()
        read = self.exchange.parse_json(text)
        told = dict(response.headers)
        self.exchange.handle_errors(response.status, "", url, method, told, text, read, headers, body)
        self.exchange.handle_http_status_code(response.status, "", url, method, text)
        if read is None:
            answers.json_of(response, self.title)
            raise answers.changed(response, self.title, "object or list")
        return read


async def _pages(venue: _Venue, query: BarsQuery) -> AsyncIterator[BarsPage]:
    exchange, rows = venue.exchange, _page_rows(venue.exchange)
    exchange.fetch = venue.fetch
    # ccxt leaves out rows whose time it cannot read, without a word: here every row is seen
    exchange.parse_ohlcvs = lambda found, market, *_, **__: [exchange.parse_ohlcv(row, market) for row in found]
    with _translated(venue, query.symbol):
        exchange.set_markets(await exchange.fetch_markets())
    if not exchange.markets:
        raise SourceFailed(
            f"{venue.title} sent no pairs that ccxt can read; its API may have changed: install a newer ccxt"
        )
    market = exchange.markets.get(query.symbol)
    if market is None or not market.get("spot"):
        raise answers.unknown(venue.title, query.symbol, "no spot pair of this name", EXAMPLE)
    step_ms = query.interval.us // _MILLISECOND
    since_ms, last_ms = query.starts(_MILLISECOND)
    while since_ms <= last_ms:
        with _translated(venue, query.symbol):
            found = await exchange.fetch_ohlcv(query.symbol, query.interval.value, since_ms, rows)
            start, *rest = arrays_of(found, 6, venue.title)
            starts_us = on_grid(whole_numbers(start, venue.title, _MILLISECOND), query.interval, venue.title)
            if rows is None and len(starts_us) and query.end_us < starts_us.min():
                raise answers.only_latest(venue.title, int(starts_us.min()))
            values = dict(zip(("open", "high", "low", "close", "volume"), rest, strict=True))
            yield BarsPage(bars_frame(venue.name, query, venue.received_at_us, values, starts_us=starts_us))
        ahead_ms = int(starts_us.max(initial=-1)) // _MILLISECOND + step_ms
        since_ms = ahead_ms if ahead_ms > since_ms else since_ms + step_ms * (rows or USUAL_ROWS)
        if rows is None or since_ms * _MILLISECOND > venue.received_at_us:
            break


@contextmanager
def _translated(venue: _Venue, symbol: str) -> Iterator[None]:
    kinds = importlib.import_module("ccxt.base.errors")
    try:
        yield
    except kinds.BadSymbol as error:
        raise answers.unknown(venue.title, symbol, _said(error), EXAMPLE) from error
    except kinds.DDoSProtection as error:  # and RateLimitExceeded
        raise SourceLimited(f"{venue.title} asks us to slow down: {_said(error)}; try again later") from error
    except kinds.AuthenticationError as error:
        raise SourceRefused(f"{venue.title} does not give this without a key: {_said(error)}") from error
    except (kinds.ExchangeNotAvailable, kinds.RequestTimeout, kinds.BadResponse) as error:
        raise SourceFailed(
            f"{venue.title} is not available now: {_said(error)}; try again later", transient=True
        ) from error
    except kinds.BaseError as error:
        raise SourceFailed(f"{venue.title} refused: {_said(error)}") from error
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceFailed(
            f"{venue.title} sent an answer that ccxt cannot read ({type(error).__name__}: {_said(error)}); its API may "
            "have changed: install a newer ccxt"
        ) from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _ccxt() -> Any:
    return importlib.import_module("ccxt.async_support")


def _exchange(venue: str) -> Any:
    made = getattr(_ccxt(), venue)({"enableRateLimit": False})
    made.has["fetchCurrencies"] = False
    wanted = made.options.get("fetchMarkets")
    if isinstance(wanted, dict) and "spot" in wanted.get("types", ()):
        made.options["fetchMarkets"] = wanted | {"types": ["spot"]}
    return made


def _offered(venue: str) -> bool:
    if venue in _KEYED or venue not in _ccxt().exchanges:
        return False
    exchange = _exchange(venue)
    told = exchange.has.get("fetchOHLCV") is True and exchange.has.get("spot") is True
    return told and any(each.value in (exchange.timeframes or {}) for each in Interval)


def _page_rows(exchange: Any) -> int | None:
    spot = (exchange.features or {}).get("spot") or {}
    candles = spot.get("fetchOHLCV")
    if candles is None:
        return USUAL_ROWS
    return candles.get("limit")  # type: ignore[no-any-return] # None: it takes no number and answers what it has


def _base_url(exchange: Any) -> str:
    def addresses(found: Any) -> Iterator[str]:
        if isinstance(found, dict):
            for each in (found.get("public"), *found.values()):
                yield from addresses(each)
        elif isinstance(found, str):
            yield exchange.implode_hostname(found)

    return next((each for each in addresses(exchange.urls["api"]) if each.startswith("https://")), "https://ccxt.com")


def _symbol_of(instrument: Instrument) -> str:
    return instrument.symbol.replace("-", "/")


def _request(query: BarsQuery) -> Request:
    raise AssertionError(f"the candles of {query.symbol} come through `pages`")


def _parse(response: Response, query: BarsQuery) -> BarsPage:
    raise AssertionError(f"the candles of {query.symbol} come through `pages`")
