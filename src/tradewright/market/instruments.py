"""What is traded, and the intervals of bars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tradewright.errors import InvalidInput, UnknownName

_ID = re.compile(r"(equity|crypto|fx|index|macro):[A-Z0-9][A-Z0-9.&-]{0,31}")


class Kind(StrEnum):
    """The class of an instrument, the first word of its id."""

    EQUITY = "equity"
    CRYPTO = "crypto"
    FX = "fx"
    INDEX = "index"
    MACRO = "macro"


class Interval(StrEnum):
    """The length of a bar."""

    MINUTE = "1m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def us(self) -> int:
        """Microseconds from start to end; a day counts 24 hours."""
        return _MINUTES[self.value] * 60_000_000

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Return the interval named `text`. Raises UnknownName."""
        try:
            return cls(text)
        except ValueError:
            raise UnknownName.of("interval", text, [i.value for i in cls]) from None


FACT = "fact"
"""Stands in the place of an interval where facts stand beside bars."""
_MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "1d": 1440}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A thing with a price: permanent id `class:SYMBOL[.MIC]`, never reused.

    calendar: name of an exchange calendar, or "24/7". tick, lot: smallest step of price and of units; None where
    unknown. minimum_notional: smallest order in `currency`. listed_us, delisted_us: None where unknown or still listed.
    Raises InvalidInput for a malformed id.
    """

    id: str
    currency: str = "USD"
    calendar: str = "24/7"
    name: str = ""
    tick: Decimal | None = None
    lot: Decimal | None = None
    minimum_notional: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    listed_us: int | None = None
    delisted_us: int | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidInput(
                f"{self.id!r} is not an instrument id; write class:SYMBOL, for example equity:AAPL or crypto:BTC-USD"
            )

    @property
    def kind(self) -> Kind:
        """The class of the instrument."""
        return Kind(self.id.partition(":")[0])

    @property
    def symbol(self) -> str:
        """The part after the colon."""
        return self.id.partition(":")[2]
