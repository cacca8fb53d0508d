"""What the id of an instrument says by itself: when it trades and in which currency."""

from __future__ import annotations

from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument

AMERICAN = ("XNYS", "XNAS", "ARCX", "BATS", "XASE", "IEXG", "XCBO")
NO_CURRENCY = "XXX"  # ISO 4217


def instrument_of(instrument: str, currency: str | None = None, calendar: str | None = None) -> Instrument:
    """Return the instrument of an id, with what the id implies where nothing is given.

    Raises InvalidInput for a malformed id, and for a share of another country without a currency.
    """
    bare = Instrument(instrument)
    return Instrument(bare.id, currency=currency or _currency_of(bare), calendar=calendar or calendar_of(bare.id))


def calendar_of(instrument: str) -> str:
    """Return the calendar that an instrument id implies: its MIC, XNYS for other equities and indices, 24/5 for fx."""
    kind = instrument.partition(":")[0]
    return _market_of(instrument) or {"equity": "XNYS", "index": "XNYS", "fx": "24/5"}.get(kind, "24/7")


def _currency_of(bare: Instrument) -> str:
    kind, quote = bare.kind.value, bare.symbol.rpartition("-")[2]
    if kind == "macro":
        return NO_CURRENCY
    if kind in ("crypto", "fx") and "-" in bare.symbol:
        return quote
    market = _market_of(bare.id)
    if market and market not in AMERICAN:
        raise InvalidInput(f"{bare.id} trades at {market}; name the currency of its prices, for example GBP")
    return "USD"


def _market_of(instrument: str) -> str:
    kind, _, symbol = instrument.partition(":")
    mic = symbol.rpartition(".")[2] if "." in symbol else ""
    return mic if kind == "equity" and len(mic) == 4 else ""
