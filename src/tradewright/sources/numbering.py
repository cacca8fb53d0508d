"""What the numbers of trades say: which trade is new, where some were left out, when the numbers themselves changed.

A number is held against the highest one known, of a trade or of a heartbeat that says the number of the latest trade:

- BEFORE: at or below that of the last trade, and its moment is no later: it came before, or its gap was asked for.
- ANEW: at or below that of the last trade, though its moment is later; at or below what a heartbeat said, though it
  happened more than BEAT_US after that; or a heartbeat says less than one before it. One of the two numbers is wrong
  or the source counts anew: which of them does not matter. The numbers go on from the later one.
- GAP: it leaves numbers out. So does a number that is far too high; the next one is then ANEW.
- FOLLOWS: nothing is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

BEAT_US = 2_000_000  # how exactly the moment of a heartbeat is known at the source


class Place(Enum):
    """How a number stands to those before it."""

    FOLLOWS = auto()
    BEFORE = auto()
    GAP = auto()
    ANEW = auto()


@dataclass(slots=True)
class Numbers:
    """The numbers of the trades of one symbol. trade: of the last one. beat: what a heartbeat said; up to there what is
    missed was asked for. Moments are of the source."""

    trade: int | None = None
    trade_us: int = 0
    beat: int | None = None
    beat_us: int = 0

    @property
    def newest(self) -> int | None:
        """The highest number known, of a trade or a heartbeat."""
        if self.trade is None or self.beat is None:
            return self.trade if self.beat is None else self.beat
        return max(self.trade, self.beat)

    def traded(self, number: int, time_us: int) -> Place:
        """Take the number of a trade that came, stamped time_us; return how it stands."""
        newest = self.newest
        place = Place.GAP if newest is not None and number > newest + 1 else Place.FOLLOWS
        if self.trade is not None and number <= self.trade:
            if time_us <= self.trade_us:
                return Place.BEFORE
            place = Place.ANEW
        elif self.beat is not None and number <= self.beat and time_us > self.beat_us + BEAT_US:
            place = Place.ANEW
        if place is Place.ANEW:
            self.beat = None
        self.trade, self.trade_us = number, time_us
        return place

    def said(self, number: int, now_us: int) -> Place:
        """Take the number that a heartbeat says at now_us; return how it stands."""
        newest = self.newest
        if self.beat is not None and number < self.beat:
            place = Place.ANEW
            if self.trade is not None and number < self.trade:
                self.trade = None
        elif newest is not None and number <= newest:
            return Place.BEFORE
        else:
            place = Place.FOLLOWS if newest is None else Place.GAP
        self.beat, self.beat_us = number, now_us
        return place
