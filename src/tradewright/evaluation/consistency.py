"""Hit rate, bets a year and Sharpe ratio must fit each other; a claim where they do not is wrong somewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tradewright.evaluation.figures import Figures

NORMAL = math.sqrt(2.0 / math.pi)
"""E|m| / sqrt(E m^2) of normal moves."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """What the hit rate over so many bets would imply if moves were normal and independent of the call."""

    hit_rate: float | None
    bets_per_year: float | None
    annual_sharpe_ratio: float | None
    implied_annual_sharpe_ratio: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "hit_rate": self.hit_rate,
            "bets_per_year": self.bets_per_year,
            "annual_sharpe_ratio": self.annual_sharpe_ratio,
            "implied_annual_sharpe_ratio": self.implied_annual_sharpe_ratio,
            "sentence": self.sentence,
        }


def implied_sharpe(hit_rate: float, bets_per_year: float, *, size: float = NORMAL) -> float:
    """Return the annual Sharpe ratio of sign calls right with chance `hit_rate`, that many a year.

    d / sqrt(1 - d^2) sqrt(bets), d = (2 p - 1) k, k = E|m| / sqrt(E m^2) of the moves (`size`; 1 for moves of one
    size). 0.998 over 252 bets gives 20.78, 0.653 gives 4.0.
    """
    d = (2.0 * hit_rate - 1.0) * size
    return d / math.sqrt(1.0 - d * d) * math.sqrt(bets_per_year)


def consistency(figures: Figures, per_year: float) -> Consistency:
    """Return the check for a result: bets are the rows in which equity moved."""
    hits, total, sharpe = figures["hit_rate"], figures["total_return"], figures["annual_sharpe_ratio"].value
    if hits.value is None or not hits.n or not total.n:
        return Consistency(None, None, sharpe, None, "there were no bets, so nothing to check")
    bets = hits.n / total.n * per_year
    implied = implied_sharpe(hits.value, bets)
    shown = "none" if sharpe is None else f"{sharpe:.2f}"
    sentence = (
        f"{hits.value:.1%} of {bets:.0f} bets a year implies a Sharpe ratio of {implied:.2f} if moves are normal and "
        f"as large when right as when wrong; the result shows {shown}"
    )
    if sharpe is not None and sharpe - implied > 2.0:
        sentence += ": the gains must be larger than the losses, or something is wrong"
    return Consistency(hits.value, bets, sharpe, implied, sentence)
