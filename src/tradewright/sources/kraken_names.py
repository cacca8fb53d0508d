"""What Kraken calls things: XBT is bitcoin, XDG dogecoin, and the oldest pairs have a longer name in answers."""

from __future__ import annotations

import re

from tradewright.market.instruments import Instrument
from tradewright.sources import symbols

TITLE, EXAMPLE = "Kraken", "crypto:BTC-USD"
QUOTE_CURRENCIES = (
    "PYUSD", "RLUSD", "USDT", "USDC", "USDG", "USDD", "XBT", "BTC", "ETH", "DAI", "DOT", "SOL", "EUR", "GBP", "CAD",
    "CHF", "AUD", "JPY", "USD",
)  # fmt: skip

_OURS = {"XBT": "BTC", "XDG": "DOGE"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_OLD = (
    "ETC",
    "ETH",
    "ICN",
    "LTC",
    "MLN",
    "REP",
    "XBT",
    "XDG",
    "XLM",
    "XMR",
    "XRP",
    "ZEC",
)  # also named with an X before
_OLD_MONEY = ("AUD", "CAD", "CHF", "EUR", "GBP", "JPY", "USD")  # also named with a Z before
_LONG = re.compile(r"X([A-Z]{3})[XZ]([A-Z]{3})")


def ours(coin: str) -> str:
    """Return the usual name of a coin or currency: BTC for XBT and XXBT, USD for ZUSD."""
    if (coin[:1] == "X" and coin[1:] in _OLD) or (coin[:1] == "Z" and coin[1:] in _OLD_MONEY):
        coin = coin[1:]
    return _OURS.get(coin, coin)


def plain(name: str) -> str:
    """Return the short name of a pair in an answer: XBTUSD for XXBTZUSD."""
    found = _LONG.fullmatch(name)
    return "".join(found.groups()) if found else name


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `XBTUSD`, `XXBTZUSD`, `XBT/USD`, `BTC-USD` or `crypto:BTC-USD`. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    found = _LONG.fullmatch(symbol)
    if found and found[1] in _OLD and found[2] in (*_OLD, *_OLD_MONEY):
        text = f"{kind or 'crypto'}:{found[1]}-{found[2]}"
    read = symbols.coins(text, TITLE, EXAMPLE, QUOTE_CURRENCIES)
    base, quote = read.symbol.split("-")
    return symbols.pair(ours(base), ours(quote))


def symbol_of(instrument: Instrument) -> str:
    """Return what Kraken calls an instrument: `crypto:BTC-USD` is `XBTUSD`."""
    base, quote = instrument.symbol.split("-")
    return f"{_THEIRS.get(base, base)}{_THEIRS.get(quote, quote)}"
