"""CoinGecko: one price a day of well-known coins, averaged over exchanges; without a key, or with a free one.

`GET /coins/bitcoin/market_chart/range` answers `{"prices": [[ms, price], ...], "total_volumes": ...}`: points, no
bars. Those at midnight UTC, or up to five minutes after it, are taken as the close of the day before; the last one is
the moment of the call and left out. The point of a midnight comes 35 minutes after it. Volumes are those of the last 24
hours in the quote currency, not of the bar, and left out too. CoinGecko knows coins by an id, not by their ticker,
which several share; so only the coins of the list below are offered.
Source: CoinGecko API documentation, coins and simple; for the lag the notes of market_chart/range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.clock import DAY_US, format_us
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import arrays_of, bars_frame, near, quotes_frame, whole_numbers
from tradewright.sources.source import (
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
)
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "coingecko", "CoinGecko", "crypto:BTC-USD"
BASE_URL = "https://api.coingecko.com"
REACH_DAYS = 365
LAG_US = 35 * 60 * 1_000_000
NEAR_US = 5 * 60 * 1_000_000  # how far after midnight its point may be
COINS = {
    "AAVE": "aave", "ADA": "cardano", "ALGO": "algorand", "ALPH": "alephium", "APT": "aptos", "ARB": "arbitrum",
    "ATOM": "cosmos", "AVAX": "avalanche-2", "BCH": "bitcoin-cash", "BNB": "binancecoin", "BTC": "bitcoin",
    "DAI": "dai", "DOGE": "dogecoin", "DOT": "polkadot", "ETC": "ethereum-classic", "ETH": "ethereum",
    "FIL": "filecoin", "HBAR": "hedera-hashgraph", "ICP": "internet-computer", "LINK": "chainlink", "LTC": "litecoin",
    "NEAR": "near", "OP": "optimism", "SHIB": "shiba-inu", "SOL": "solana", "SUI": "sui", "TON": "the-open-network",
    "TRX": "tron", "UNI": "uniswap", "USDC": "usd-coin", "USDT": "tether", "WBTC": "wrapped-bitcoin", "WETH": "weth",
    "XLM": "stellar", "XMR": "monero", "XRP": "ripple", "XTZ": "tezos", "ZEC": "zcash",
}  # fmt: skip

_SECOND = 1_000_000
_TICKERS = {coin: ticker for ticker, coin in COINS.items()}


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `bitcoin/usd`, `BTC-USD` or `crypto:BTC-USD`. Raises UnknownName, other coins too."""
    coin, slash, currency = text.strip().partition("/")
    named = f"{_TICKERS[coin]}-{currency}" if slash and coin in _TICKERS else text
    read = symbols.coins(named, TITLE, EXAMPLE)
    if read.symbol.split("-")[0] not in COINS:
        raise symbols.no_such(text, TITLE, f"{EXAMPLE}; its coins here are {', '.join(COINS)}")
    return read


def symbol_of(instrument: Instrument) -> str:
    """Return the coin's id and the currency of the price: `crypto:BTC-USD` is `bitcoin/usd`."""
    ticker, currency = instrument.symbol.split("-")
    return f"{COINS.get(ticker, ticker.lower())}/{currency.lower()}"


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key of a demo account as a header."""
    return request.saying(x_cg_demo_api_key=credentials["api_key"])


def bars_request(query: BarsQuery) -> Request:
    """Return the request for the daily points of a span, asked by their moments."""
    coin, currency = query.symbol.split("/")
    asked = {
        "vs_currency": currency,
        "from": str(max(query.start_us // _SECOND, 0)),
        "to": str(max(query.end_us // _SECOND, 0)),
        "interval": "daily",
        "precision": "full",
    }
    return Request(f"{BASE_URL}/api/v3/coins/{coin}/market_chart/range", query=tuple(asked.items()))


def parse_bars(response: Response, query: BarsQuery) -> BarsPage:
    """Return the points of midnights UTC as bars of the days that ended then, with a close only.

    Raises SourceFailed for a point of another time of day, but for the last one.
    """
    body = _read(response, query.symbol)
    if not isinstance(body, dict) or not isinstance(body.get("prices"), list):
        raise answers.changed(response, TITLE, "list of prices")
    at_ms, prices = arrays_of(body["prices"], 2, TITLE)
    times_us = whole_numbers(at_ms, TITLE, 1_000)
    taken = _midnights(times_us, response.received_at_us)
    values = {"close": [prices[at] for at in taken.values()]}
    frame = bars_frame(NAME, query, response.received_at_us, values, ends_us=list(taken), lag_us=LAG_US)
    return BarsPage(frame)


def quotes_request(wanted: Sequence[str]) -> Request:
    """Return the request for the latest price of each coin in each currency."""
    pairs = [symbol.split("/") for symbol in wanted]
    asked = {
        "ids": ",".join(dict.fromkeys(coin for coin, _ in pairs)),
        "vs_currencies": ",".join(dict.fromkeys(currency for _, currency in pairs)),
        "include_last_updated_at": "true",
        "precision": "full",
    }
    return Request(f"{BASE_URL}/api/v3/simple/price", query=tuple(asked.items()))


def parse_quotes(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    """Return the price of each with the time of CoinGecko, that of the answer where there is none."""
    body = _read(response, ", ".join(wanted))
    if not isinstance(body, dict) or any(not isinstance(each, dict) for each in body.values()):
        raise answers.changed(response, TITLE, "object of prices")
    found, times_us, prices = [], [], []
    for symbol in wanted:
        coin, currency = symbol.split("/")
        if currency in body.get(coin, {}):
            found.append(symbol)
            prices.append(body[coin][currency])
            told = body[coin].get("last_updated_at")
            times_us.append(response.received_at_us if told is None else whole_numbers([told], TITLE, _SECOND)[0])
    nothing = [None] * len(found)
    return quotes_frame(wanted, {"symbol": found, "price": prices, "bid": nothing, "ask": nothing}, times_us, TITLE)


def listing_request(token: str) -> Request:
    """Return the request for every coin."""
    return Request(f"{BASE_URL}/api/v3/coins/list")


def parse_listing(response: Response) -> ListingPage:
    """Return the coins of our list that are there, in dollars; the others are skipped."""
    body = answers.listed(_read(response, ""), response, TITLE, "list of coins")
    listed, skipped = [], 0
    for entry in body:
        try:
            listed.append(Listed(f"{entry['id']}/usd", symbols.pair(_TICKERS[entry["id"]], "USD")))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _midnights(times_us: Sequence[int], received_at_us: int) -> dict[int, int]:
    taken: dict[int, int] = {}
    for at, time_us in enumerate(near(times_us, TITLE).tolist()):
        after_us = time_us % DAY_US
        called = at == len(times_us) - 1 and (after_us > NEAR_US or received_at_us - time_us < LAG_US)
        if after_us and called:
            continue
        if after_us > NEAR_US:
            raise SourceFailed(
                f"{TITLE} sent a point of {format_us(time_us)}, which is no day's; it may no longer take interval=daily"
            )
        taken.setdefault(time_us - after_us, at)
    return taken


def _read(response: Response, symbol: str) -> Any:
    body = answers.answered(response, TITLE, NAME)
    error = body.get("error") if isinstance(body, dict) else None
    status = (error or body).get("status") if isinstance(error or body, dict) else None
    code = status.get("error_code") if isinstance(status, dict) else None
    said = str(status.get("error_message", "")) if isinstance(status, dict) else str(error or "")
    if response.status == 200 and code is None and error is None:
        return body
    if code == 429:
        raise answers.limited(response, TITLE, said)
    if code == 10012:
        raise answers.not_in_plan(response, TITLE, said)
    if response.status == 401 or code in (10002, 10010, 10011):
        raise answers.refused_key(response, TITLE, NAME, said or response.start_of_body)
    if response.status == 404:
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    raise answers.failed(response, TITLE, said)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.CRYPTO,),
    limits=(Limit(30, 60.0),),
    licence="CoinGecko API terms: show where it is from; stored prices must be fetched again within a day",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a free demo key at https://www.coingecko.com/en/api/pricing", optional=True),
    bars=Bars(
        (Interval.DAY,),
        REACH_DAYS,
        Paging.WHOLE,
        bars_request,
        parse_bars,
        close_only=True,
        revised=True,
        lag_us=LAG_US,
        reach_us=REACH_DAYS * DAY_US,
    ),
    quotes=Quotes(50, quotes_request, parse_quotes),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "one averaged price a day and no volume",
        "only the past 365 days without a paid plan",
        "without a key the limit is shared with everyone at the same address",
    ),
)
