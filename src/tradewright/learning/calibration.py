"""From a learner's score to a probability, fitted on a later slice of the training rows and kept as plain arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tradewright.compiled import kernel
from tradewright.market.panel import Flags, Floats

ISOTONIC_FROM = 1_000
_BIN = 100  # labels that one step of the isotonic curve stands on, at least


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A rising map from margin (log odds) to P(y > 0).

    knots (2, k): isotonic, margins ascending and their probabilities, linear between and flat outside. knots (2, 1):
    sigmoid, p = 1 / (1 + exp(-(slope x margin + offset))) with knots = [[slope], [offset]].
    """

    knots: Floats

    @property
    def kind(self) -> str:
        """`sigmoid` or `isotonic`."""
        return "sigmoid" if self.knots.shape[1] == 1 else "isotonic"

    def apply(self, margins: Floats) -> Floats:
        """Return (n,) probabilities of (n,) margins; the same bits for one as for many."""
        return _apply(margins, self.knots)


def calibrate(margins: Floats, rising: Flags, horizon: int, base_rate: float | None = None) -> Calibration:
    """Return the calibration fitted to (n,) margins and outcomes.

    base_rate: share of rising labels among all training rows, 0 to 1 exclusive. The slice is short and says little
    about it, so the curve is then shifted in log odds until its mean over the slice is the base rate.

    Labels of `horizon` bars overlap, so n / horizon points count: below 1,000 a sigmoid (Platt 1999, with his smoothed
    targets), else isotonic regression over bins of at least 100 labels. A falling relation becomes a flat one at the
    base rate: a score that points the wrong way on later rows says nothing.
    """
    few = len(margins) / horizon < ISOTONIC_FROM
    fitted = _sigmoid(margins, rising) if few else _isotonic(margins, rising)
    return fitted if base_rate is None else _shifted(fitted, margins, base_rate)


def _shifted(fitted: Calibration, margins: Floats, base_rate: float) -> Calibration:
    p = np.clip(fitted.apply(margins), 1e-6, 1.0 - 1e-6)
    odds = np.log(p / (1.0 - p))
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float(np.mean(1.0 / (1.0 + np.exp(-(odds + middle))))) < base_rate:
            low = middle
        else:
            high = middle
    knots = fitted.knots.copy()
    if fitted.kind == "sigmoid":
        knots[1, 0] += high
    else:
        inside = np.clip(knots[1], 1e-6, 1.0 - 1e-6)
        knots[1] = 1.0 / (1.0 + np.exp(-(np.log(inside / (1.0 - inside)) + high)))
    return Calibration(knots)


def _sigmoid(margins: Floats, rising: Flags) -> Calibration:
    up, down = int(rising.sum()), int((~rising).sum())
    target = np.where(rising, (up + 1.0) / (up + 2.0), 1.0 / (down + 2.0))
    base = math.log((up + 1.0) / (down + 1.0))
    spread = float(margins.std()) if len(margins) else 0.0
    if spread < 1e-12:
        return Calibration(np.array([[0.0], [base]]))
    middle = float(margins.mean())
    z = (margins - middle) / spread
    slope, offset = _newton(z, target, base)
    if slope <= 0.0:
        return Calibration(np.array([[0.0], [base]]))
    return Calibration(np.array([[slope / spread], [offset - slope * middle / spread]]))


def _newton(z: Floats, target: Floats, base: float) -> tuple[float, float]:
    slope, offset = 0.0, base
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-(slope * z + offset)))
        w = p * (1.0 - p)
        gradient = np.array([np.sum((target - p) * z), np.sum(target - p)])
        curvature = np.array([[np.sum(w * z * z), np.sum(w * z)], [np.sum(w * z), np.sum(w)]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        slope, offset = slope + float(step[0]), offset + float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    return slope, offset


def _isotonic(margins: Floats, rising: Flags) -> Calibration:
    from sklearn.isotonic import IsotonicRegression  # training only

    order = np.argsort(margins, kind="stable")
    parts = np.array_split(order, max(len(order) // max(_BIN, len(order) // 50), 2))
    x = np.array([margins[part].mean() for part in parts])
    y = np.array([rising[part].mean() for part in parts])
    weight = np.array([float(len(part)) for part in parts])
    x, first = np.unique(x, return_index=True)
    if len(x) < 2:
        return _sigmoid(margins, rising)
    fitted = IsotonicRegression(increasing=True, out_of_bounds="clip").fit(x, y[first], sample_weight=weight[first])
    return Calibration(np.stack([x, fitted.predict(x)]).astype(np.float64))


@kernel
def _apply(margins: Floats, knots: Floats) -> Floats:
    out = np.empty(len(margins))
    last = knots.shape[1] - 1
    for n in range(len(margins)):
        x = margins[n]
        if math.isnan(x):
            out[n] = math.nan
        elif last == 0:
            out[n] = 1.0 / (1.0 + math.exp(-(knots[0, 0] * x + knots[1, 0])))
        elif x <= knots[0, 0]:
            out[n] = knots[1, 0]
        elif x >= knots[0, last]:
            out[n] = knots[1, last]
        else:
            i = np.searchsorted(knots[0], x)
            share = (x - knots[0, i - 1]) / (knots[0, i] - knots[0, i - 1])
            out[n] = knots[1, i - 1] + share * (knots[1, i] - knots[1, i - 1])
    return out
