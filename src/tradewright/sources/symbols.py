"""Between what sources call things and permanent instruments: shares, pairs of coins, pairs of currencies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.calendars import calendar_of
from tradewright.market.instruments import Instrument
from tradewright.sources.answers import step

_SHARE = re.compile(r"[A-Z][A-Z0-9]{0,9}([.-][A-Z0-9]{1,4})?")
_CODE = re.compile(r"[A-Z0-9]{1,15}")
_KINDS = ("equity", "crypto", "index", "fx", "macro")
MONEY = frozenset(
    (
        "AED", "ARS", "AUD", "BRL", "CAD", "CHF", "CNY", "COP", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS",
        "INR", "JPY", "KRW", "KZT", "MXN", "NGN", "NOK", "NZD", "PHP", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB",
        "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
    )
)  # fmt: skip
"""Currencies of countries: a pair of two of them is no pair of coins."""


def split(text: str) -> tuple[str, str]:
    """Return the class that a text names, "" for none, and the rest in capitals: `equity:aapl` is equity, AAPL."""
    kind, colon, rest = text.strip().partition(":")
    if colon and kind.lower() in _KINDS:
        return kind.lower(), rest.upper()
    return "", text.strip().upper()


def share(text: str, title: str, example: str, currency: str = "USD") -> Instrument:
    """Return the instrument of `AAPL` or `equity:AAPL`. Raises UnknownName for what can be no share."""
    kind, symbol = split(text)
    if kind not in ("", "equity") or not _SHARE.fullmatch(symbol):
        raise no_such(text, title, example)
    name = f"equity:{symbol}"
    return Instrument(name, currency=currency, calendar=calendar_of(name))


def dashed_share(text: str, title: str, example: str) -> Instrument:
    """Return the instrument of `BRK-B` where the source writes a class of shares with a dash: `equity:BRK.B`.

    Raises UnknownName.
    """
    kind, symbol = split(text)
    if kind not in ("", "equity"):
        raise no_such(text, title, example)
    return share(f"equity:{symbol.replace('-', '.')}", title, example)


def money_or_coins(text: str, title: str, example: str, quotes: Sequence[str] = ()) -> Instrument:
    """Return the instrument of `EUR/USD` as fx and of `BTC/USD` as coins. Raises UnknownName."""
    kind, symbol = split(text)
    parts = re.split(r"[-/_]", symbol)
    two = [symbol[:3], symbol[3:]] if len(parts) == 1 else parts
    if kind == "fx" or (kind == "" and len(two) == 2 and MONEY.issuperset(two)):
        return currencies(text, title, example)
    return coins(text, title, example, quotes)


def coins(text: str, title: str, example: str, quotes: Sequence[str] = (), separators: str = "-/_") -> Instrument:
    """Return the instrument of `BTC-USDT`, `crypto:BTC-USDT` or, with `quotes` to tell where it splits, `BTCUSDT`.

    quotes: currencies that prices are in, those that end like another one first. Raises UnknownName.
    """
    kind, symbol = split(text)
    parts = re.split(f"[{re.escape(separators)}]", symbol)
    if len(parts) == 1:
        quote = next((q for q in quotes if symbol.endswith(q) and len(symbol) > len(q) + 1), "")
        parts = [symbol[: -len(quote)], quote] if quote else []
    if kind not in ("", "crypto") or len(parts) != 2 or not all(_CODE.fullmatch(part) for part in parts):
        raise no_such(text, title, example)
    if set(parts) <= MONEY:
        raise no_such(text, title, example)
    return pair(*parts)


def pair(base: str, quote: str, tick: Any = None, lot: Any = None, minimum_notional: Any = None) -> Instrument:
    """Return the instrument of a pair of coins, with its steps as a listing gives them.

    Raises UnknownName for what can be no such pair, SourceFailed for a step that is no number.
    """
    base, quote = base.upper(), quote.upper()
    if not (_CODE.fullmatch(base) and _CODE.fullmatch(quote)) or {base, quote} <= MONEY or base == quote:
        raise UnknownName(f"{base}/{quote} is no pair of coins; write one like crypto:BTC-USD", name=f"{base}/{quote}")
    return Instrument(
        f"crypto:{base}-{quote}",
        currency=quote,
        name=f"{base}/{quote}",
        tick=step(tick),
        lot=step(lot),
        minimum_notional=step(minimum_notional),
    )


def currencies(text: str, title: str, example: str) -> Instrument:
    """Return the instrument of `EUR-USD`, `EUR/USD`, `EURUSD` or `fx:EUR-USD`: dollars for one euro.

    Raises UnknownName.
    """
    kind, symbol = split(text)
    found = re.fullmatch(r"([A-Z]{3})[-/_]?([A-Z]{3})", symbol)
    if kind not in ("", "fx") or found is None:
        raise no_such(text, title, example)
    base, quote = found.groups()
    return Instrument(f"fx:{base}-{quote}", currency=quote, calendar="24/5", name=f"{base}/{quote}")


def series(text: str, title: str, example: str, pattern: str = r"[A-Z0-9][A-Z0-9.&-]{0,31}") -> Instrument:
    """Return the instrument of a macro series: `CPIAUCSL` or `macro:CPIAUCSL`. Raises UnknownName."""
    kind, symbol = split(text)
    if kind not in ("", "macro") or not re.fullmatch(pattern, symbol):
        raise no_such(text, title, example)
    try:
        return Instrument(f"macro:{symbol}", currency="XXX")  # no currency: ISO 4217
    except InvalidInput:
        raise no_such(text, title, example) from None


def index(text: str, title: str, example: str) -> Instrument:
    """Return the instrument of an index: `VIX` or `index:VIX`. Raises UnknownName."""
    kind, symbol = split(text)
    if kind not in ("", "index") or not re.fullmatch(r"[A-Z0-9]{1,12}", symbol):
        raise no_such(text, title, example)
    name = f"index:{symbol}"
    return Instrument(name, calendar=calendar_of(name))


def no_such(text: str, title: str, example: str) -> UnknownName:
    """Return the refusal of a text that can be nothing of this source."""
    return UnknownName(f"{text!r} is nothing that {title} has; write it like {example}", name=text)
