"""Synthetic markets whose truth is known, to ask whether the engine finds what is there and nothing else."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from tradewright.clock import DAY_US
from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Floats, Panel

_FIRST_US = 946_933_200_000_000  # 2000-01-03 21:00 UTC
_LONG_WICK, _SHORT_WICK = 4.0, 0.1


def planted_sign_world(
    p: float,
    rows: int = 2_000,
    instruments: int = 1,
    seed: int = 0,
    *,
    volatility: float = 0.01,
    clustering: bool = False,
    visible: bool = True,
) -> Panel:
    """Return daily bars in which a sign seen at the close of row t is the sign of the return of row t + 1 with chance
    p.

    p: the Bayes accuracy exactly, 0.5 plants nothing. volatility: of a day. clustering: magnitudes follow GARCH(1,1)
    with alpha 0.08, beta 0.90 instead of being independent; the accuracy stays p. Opens equal the previous close, signs
    are fair coins and returns have no drift. The sign is `panel.fields["x"]`, +1 or -1, and shows in the bar itself:
    the lower wick is long when it is +1, the upper one when it is -1 (visible=False draws both wicks alike and leaves
    only the field). Instruments are independent, traded every day, `equity:W0`, `equity:W1` ...
    Raises InvalidInput unless 0 <= p <= 1, rows >= 2 and instruments >= 1.
    """
    if not (0 <= p <= 1 and rows >= 2 and instruments >= 1):
        raise InvalidInput(f"a world needs 0 <= p <= 1, 2 rows and 1 instrument, got {p!r}, {rows!r}, {instruments!r}")
    draw = np.random.default_rng([seed, rows, instruments])
    x = np.where(draw.random((rows, instruments)) < 0.5, 1.0, -1.0)
    right = np.where(draw.random((rows, instruments)) < p, 1.0, -1.0)
    size = np.abs(draw.standard_normal((rows, instruments)))
    if clustering:
        size = _garch(size, 0.08, 0.90)
    moves = np.empty((rows, instruments))
    moves[0] = 0.0
    moves[1:] = x[:-1] * right[1:] * np.minimum(volatility * size[1:], 0.5)
    close: Floats = (100.0 * np.cumprod(1.0 + moves, axis=0)).astype(np.float64)
    opened = np.vstack([np.full((1, instruments), 100.0), close[:-1]]).astype(np.float64)
    long, short = (_LONG_WICK, _SHORT_WICK) if visible else (1.0, 1.0)
    jitter = volatility * draw.uniform(0.75, 1.25, (2, rows, instruments))
    low: Floats = np.minimum(opened, close) * (1.0 - np.minimum(jitter[0] * np.where(x > 0, long, short), 0.9))
    high: Floats = (np.maximum(opened, close) * (1.0 + jitter[1] * np.where(x > 0, short, long))).astype(np.float64)
    return Panel.of(
        _FIRST_US + DAY_US * np.arange(rows, dtype=np.int64),
        tuple(Instrument(f"equity:W{i}") for i in range(instruments)),
        Interval.DAY,
        close,
        opened,
        high,
        low,
        np.exp(draw.normal(12.0, 0.3, (rows, instruments))),
        fields=MappingProxyType({"x": x}),
        sources=("synthetic",) * instruments,
    )


@kernel
def _garch(noise: Floats, alpha: float, beta: float) -> Floats:
    out = np.empty_like(noise)
    for c in range(noise.shape[1]):
        variance = 1.0
        for t in range(len(noise)):
            out[t, c] = np.sqrt(variance) * noise[t, c]
            variance = (1.0 - alpha - beta) + alpha * out[t, c] * out[t, c] + beta * variance
    return out
