"""From a forecast to signals, and from later prices to their scores. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewright import ids
from tradewright.clock import DAY_US, from_us
from tradewright.market.panel import Floats, Panel
from tradewright.market.reference import reference_prices


@dataclass(frozen=True, slots=True)
class Issuer:
    """What all signals of one run share."""

    organization: str
    environment: str
    feed_session: str
    feed: str
    status: str  # candidate, promoted
    evidence: str
    horizon: int


def issue(
    issuer: Issuer, model: str, row: Panel, probability: Floats, expected_return: Floats, now_us: int
) -> list[dict[str, Any]]:
    """Return the signals of a closed row, one for each instrument the model can speak about.

    row: a panel of one row. probability: (N,) calibrated P(return > 0), NaN where there is none. expected_return: (N,)
    over the horizon.
    """
    time = int(row.times[0])
    valid_until = expiry(row, issuer.horizon)
    signals = []
    for column, instrument in enumerate(row.ids):
        chance, expected = float(probability[column]), float(expected_return[column])
        if not (np.isfinite(chance) and np.isfinite(expected) and row.present[0, column]):
            continue
        key = (issuer.organization, issuer.environment, issuer.feed_session, model, instrument, time, issuer.horizon)
        signals.append(
            {
                "id": ids.derive("sig", *key),
                "organization": issuer.organization,
                "environment": issuer.environment,
                "feed_session": issuer.feed_session,
                "model": model,
                "instrument": instrument,
                "bar_time": time,
                "horizon": issuer.horizon,
                "feed": issuer.feed,
                "status": issuer.status,
                "evidence": issuer.evidence,
                "direction": direction(chance),
                "probability": chance,
                "expected_return": expected,
                "decision_price": float(row.close[0, column]),
                "valid_until": valid_until,
                "created_at": now_us,
            }
        )
    return signals


def direction(probability: float) -> str:
    """Return `up`, `down`, or `flat` at exactly one half."""
    return "up" if probability > 0.5 else "down" if probability < 0.5 else "flat"


def expiry(row: Panel, horizon: int) -> int:
    """Return the market time until which a signal of this row is meant, in microseconds.

    Entry is one bar later and exit `horizon` bars after it. Daily bars of instruments with sessions count weekdays
    (exchange holidays are not known here), all others count `interval` steps.
    """
    time, bars = int(row.times[0]), horizon + 1
    if row.interval.us < DAY_US or all(i.calendar == "24/7" for i in row.instruments):
        return time + bars * row.interval.us
    while bars:
        time += DAY_US
        bars -= from_us(time).weekday() < 5
    return time


def decision_rows_due(window: Panel, horizon: int) -> list[int]:
    """Return the rows of `window` whose exit is its last row for at least one column, ascending."""
    exits = reference_prices(window, horizon).exit_row
    return sorted({int(row) for row in np.flatnonzero((exits == len(window) - 1).any(axis=1))})


def score(signals: list[dict[str, Any]], window: Panel, row: int, horizon: int, now_us: int) -> list[dict[str, Any]]:
    """Return the scores of the signals decided on row `row` of `window` whose exit price is known by its last row."""
    prices = reference_prices(window, horizon)
    column = {instrument: index for index, instrument in enumerate(window.ids)}
    scores = []
    for signal in signals:
        place = column[signal["instrument"]]
        entry, exit_ = float(prices.entry[row, place]), float(prices.exit[row, place])
        if not (np.isfinite(entry) and np.isfinite(exit_)):
            continue
        realized = exit_ / entry - 1.0
        scores.append(
            {
                "signal": signal["id"],
                "organization": signal["organization"],
                "environment": signal["environment"],
                "entry_time": int(window.times[prices.entry_row[row, place]]),
                "entry_price": entry,
                "exit_time": int(window.times[prices.exit_row[row, place]]),
                "exit_price": exit_,
                "realized_return": realized,
                "correct": (realized > 0) == (signal["probability"] > 0.5),
                "created_at": now_us,
            }
        )
    return scores
