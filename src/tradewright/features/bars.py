"""The rows a kernel sees: one array of five columns in total-return terms, made causally, row by row or at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tradewright.market.panel import Action, Flags, Floats, Panel

State = dict[str, np.ndarray[Any, Any]]
OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)

_FACTOR, _LAST_TIME = "bars.factor", "bars.last_time"


def start_bars(columns: int) -> State:
    """Return the state before the first row: growth factors of 1, no row seen."""
    return {_FACTOR: np.ones(columns), _LAST_TIME: np.full(columns, -1, dtype=np.int64)}


def take_bars(state: State, rows: Panel) -> Floats:
    """Return (5, k, N) open, high, low, close, volume of `rows` in terms of the first bar; move `state` past them.

    Prices are multiplied with the growth that splits and dividends gave so far (`Panel.total_return_close`), volume is
    divided by it. What is absent, not finite or not a possible price is NaN; without a close nothing else counts.
    """
    close = np.where(rows.present & (rows.close > 0) & np.isfinite(rows.close), rows.close, np.nan)
    absent = np.isnan(close)
    out = np.empty((5, *close.shape))
    for place, prices in ((OPEN, rows.open), (HIGH, rows.high), (LOW, rows.low)):
        out[place] = np.where(absent | ~(prices > 0) | ~np.isfinite(prices), np.nan, prices)
    out[CLOSE] = close
    out[VOLUME] = np.where(absent | ~(rows.volume >= 0) | ~np.isfinite(rows.volume), np.nan, rows.volume)
    if rows.actions or bool(np.any(state[_FACTOR] != 1.0)):
        factor = _growth(state, rows, close, absent)
        out[:VOLUME] *= factor
        out[VOLUME] /= factor
    _remember(state, rows, absent)
    return out


def _growth(state: State, rows: Panel, close: Floats, absent: Flags) -> Floats:
    factor = np.repeat(state[_FACTOR][None, :], len(rows), axis=0)
    last = int(rows.times[-1]) if len(rows) else -1
    for action in sorted(rows.actions, key=_order):
        column, since = action.instrument, int(state[_LAST_TIME][action.instrument])
        if not since < _effective_us(action) <= last:
            continue
        present = np.flatnonzero(~absent[:, column])
        place = int(np.searchsorted(rows.times[present], _effective_us(action)))
        if place == len(present) or (place == 0 and since < 0):
            continue  # no bar yet on the new terms, or none on the old ones
        row = present[place]
        now = close[row, column]
        factor[row:, column] *= (now * action.split + action.dividend) / now
    if len(rows):
        state[_FACTOR][:] = factor[-1]
    return factor


def _remember(state: State, rows: Panel, absent: Flags) -> None:
    if len(rows) == 0:
        return
    seen = ~absent
    last = len(rows) - 1 - np.argmax(seen[::-1], axis=0)
    some = seen.any(axis=0)
    state[_LAST_TIME][some] = rows.times[last[some]]


def _effective_us(action: Action) -> int:
    return max(action.time_us, action.known_at_us)


def _order(action: Action) -> tuple[int, int]:
    return _effective_us(action), action.time_us
