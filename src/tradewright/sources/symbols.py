"""Between what sources call things and permanent instruments: shares, pairs of coins, pairs of currencies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.implied import calendar_of
from tradewright.market.instruments import Instrument
from tradewright.sources.answers import step

_SHARE = re.compile(r"[A-Z][A-Z0-9]{0,9}([.-][A-Z0-9]{1,4})?")
_CLASS = re.compile(r"[A-EG-K]|U|UN|W|WS|WT|R|RT|RW|WI|PR[A-Z]")
"""What may follow a share of the United States: a class like the B of BRK.B, a unit, a warrant, a right, when issued, a
preferred share. Other endings are exchanges, F (Frankfurt) and V (TSX Venture) too, which are classes only rarely."""
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
    """Return the instrument of `AAPL`, `BRK.B` or `equity:AAPL`, a share of the United States.

    Raises UnknownName for what can be no share, and for one whose ending is an exchange, like `VOD.L`: it would be
    taken as an American share, in dollars.
    """
    kind, symbol = split(text)
    if kind not in ("", "equity") or not _SHARE.fullmatch(symbol):
        raise no_such(text, title, example)
    ending = re.split(r"[.-]", symbol)[-1]
    if ending != symbol and not _CLASS.fullmatch(ending):
        raise UnknownName(
            f"{text!r}: {ending} is no class of an American share but looks like an exchange or a currency, and shares "
            f"of {title} are American here; write one like {example} or equity:BRK.B, or use a source of that market",
            name=text,
        )
    name = f"equity:{symbol}"
    return Instrument(name, currency=currency, calendar=calendar_of(name))


def dashed_share(text: str, title: str, example: str) -> Instrument:
    """Return the instrument of `BRK-B` where the source writes a class of shares with a dash: `equity:BRK.B`.

    A preferred share like `BAC-PB` is `equity:BAC.PRB`. Raises UnknownName as `share` does.
    """
    kind, symbol = split(text)
    if kind not in ("", "equity"):
        raise no_such(text, title, example)
    plain = re.sub(r"-P([A-Z])$", r".PR\1", symbol)
    return share(f"equity:{plain.replace('-', '.')}", title, example)


def dashed(instrument: Instrument) -> str:
    """Return a share as a source with dashes writes it, `BRK-B` for `equity:BRK.B`: the inverse of `dashed_share`."""
    return re.sub(r"\.PR([A-Z])$", r"-P\1", instrument.symbol).replace(".", "-")


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


US_INDICES = frozenset(
    (
        "COMP", "DJI", "DJT", "DJU", "GVZ", "IXIC", "MID", "NDX", "NYA", "OEX", "OVX", "RUA", "RUI", "RUT",
        "RVX", "SKEW", "SOX", "SPX", "VIX", "VIX1D", "VIX3M", "VIX6M", "VIX9D", "VVIX", "VXN",
    )
)  # fmt: skip
"""Indices of American markets, which have their sessions."""


def american_index(text: str, title: str, example: str) -> Instrument:
    """Return the instrument of an index as `index` does, where a source also has those of other markets.

    Raises UnknownName for these: their sessions and currencies are not known here.
    """
    made = index(text, title, example)
    if made.symbol not in US_INDICES:
        raise no_such(text, title, f"{example}; its indices here are American: {', '.join(sorted(US_INDICES))}")
    return made


def no_such(text: str, title: str, example: str) -> UnknownName:
    """Return the refusal of a text that can be nothing of this source."""
    return UnknownName(f"{text!r} is nothing that {title} has; write it like {example}", name=text)
