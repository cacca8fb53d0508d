"""Moves of the price: splits that nobody told of, wrong prints, what is far outside of the usual."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.arrays import Flags, Floats, Positions
from tradewright.market.checks.series import Series
from tradewright.market.checks.thresholds import MAD_TO_SIGMA, MANY, TICKS
from tradewright.market.instruments import Kind
from tradewright.market.verdicts import Finding, Verdict

OUTLIER_Z = 20.0
SPIKE_RETURN = 0.2  # a spike is taken back to within this share of itself
SPIKE_ALWAYS = 0.2  # a move that is taken back is a spike from here on, even if the market traded on from it
SPLIT_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0)
FIVE_FOR_FOUR = 1.25
FIVE_TOLERANCE = 0.02  # of the logarithm, from close to open
CALM = 1.5  # usual volumes and ranges: a fall by a fifth that is news has more of both
SPLIT_TOLERANCE = 0.03  # from close to open; the market moves overnight, too
SPLIT_CLOSE_TOLERANCE = 0.02  # from close to close, where the open is still on the old terms
SPLIT_ONLY_CLOSES = 0.06  # from close to close, where there is no open: a day's move comes on top


def split_like_jumps(series: Series) -> Iterator[Finding]:
    """Yield jumps of raw share prices by a usual split ratio."""
    if series.pre_adjusted or series.instrument.kind is not Kind.EQUITY or len(series) < 2:
        return
    opening = series.opening
    stayed = np.abs(series.returns) > 0.5 * np.abs(opening)  # else the open alone is wrong
    by_open = _like_split(opening, SPLIT_TOLERANCE) & stayed
    by_close = _like_split(series.returns, SPLIT_CLOSE_TOLERANCE)
    closes_only = np.isnan(opening) & _like_split(series.returns, SPLIT_ONLY_CLOSES)
    jumps = np.flatnonzero(by_open | by_close | closes_only | _five_for_four(series)) + 1
    if len(jumps):
        seen = series.close[jumps[0]] / series.close[jumps[0] - 1]
        detail = (
            f"the close moves by a usual split ratio (first: times {seen:.4g}); if it is a split, ask for that time "
            "again (`tradewright ingest` with --start), or for a source that tells of splits or adjusts for them"
        )
        yield series.finding("split_like_jump", Verdict.SUSPECT, detail, jumps)


def actions_without_jump(series: Series) -> Iterator[Finding]:
    """Yield splits that the prices do not show."""
    if series.unshown.any():
        detail = "a split that the prices do not show: the action is wrong, or the prices are adjusted for it"
        yield series.finding("action_without_jump", Verdict.SUSPECT, detail, series.unshown)


def _like_split(moves: Floats, tolerance: float) -> Flags:
    ratios = np.asarray(SPLIT_RATIOS)
    allowed = tolerance * np.minimum(np.log2(ratios), 1.0)  # the smaller the split, the more moves are about as large
    like = np.zeros(len(moves), dtype=np.bool_)
    large = np.flatnonzero(np.abs(moves) > np.log(ratios[0]) - tolerance)
    ratio = np.exp(np.abs(moves[large]))
    like[large] = np.any(np.abs(ratio[:, None] / ratios - 1.0) < allowed, axis=1)
    return like


def _five_for_four(series: Series) -> Flags:
    """A fall by a fifth overnight that nobody took notice of: volume and range of the day are as usual."""
    like = np.zeros(len(series) - 1, dtype=np.bool_)
    at = np.flatnonzero(np.abs(series.opening + np.log(FIVE_FOR_FOUR)) < FIVE_TOLERANCE) + 1
    ranges = series.high / series.low - 1.0
    at = at[(series.volume[at] > 0.0) & np.isfinite(ranges[at])]
    if len(at):
        calm = series.volume[at] < CALM * series.around(series.volume, at)
        calm &= ranges[at] < CALM * np.fmin(series.around(ranges, at), np.nanmedian(ranges))
        like[at[calm] - 1] = True
    return like


def outliers(series: Series) -> Iterator[Finding]:
    """Yield moves far outside of the usual: those that are taken back, and the others."""
    moves = series.returns
    if len(moves) < 30:
        return
    centre = np.median(moves)
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(moves - centre)))
    if sigma <= 0.0:
        sigma = float(np.std(moves))
    if sigma <= 0.0:
        return
    sizes = np.abs(moves - centre)
    far = _far(series, sizes, sigma)
    if not len(far):
        return
    spikes = far[_taken_back(series, far)]
    others = np.setdiff1d(far, np.concatenate([spikes, spikes + 1]))
    others = others[_far_for_their_place(series, sizes, sigma, others)]
    many = Verdict.SUSPECT if len(others) > MANY * len(series) else Verdict.USABLE
    for code, severity, which, text in (
        ("price_spike", Verdict.SUSPECT, spikes, "an outlier that the next bar takes back"),
        ("outlier_return", many, others, f"a log return beyond {OUTLIER_Z:g} robust standard deviations"),
    ):
        if len(which):
            yield series.finding(code, severity, text, which + 1)


def _far(series: Series, sizes: Floats, sigma: float) -> Positions:
    far = np.flatnonzero(sizes > OUTLIER_Z * sigma)
    if len(far):
        far = far[np.abs(series.close[far + 1] - series.close[far]) > TICKS * series.step]
    return far


def _taken_back(series: Series, far: Positions) -> Flags:
    """Which moves the next bar takes back, at its open already or so large that no market does both."""
    last = len(series.returns) - 1
    moves, following = series.returns[far], np.where(far < last, series.returns[np.minimum(far + 1, last)], 0.0)
    back = series.opening[np.minimum(far + 1, last)]
    traded_on = (np.abs(moves + back) >= SPIKE_RETURN * np.abs(moves)) & (np.abs(moves) < SPIKE_ALWAYS)
    return np.asarray((np.abs(moves + following) < SPIKE_RETURN * np.abs(moves)) & ~traded_on)


def _far_for_their_place(series: Series, sizes: Floats, sigma: float, at: Positions) -> Flags:
    """Which moves are far among their neighbours, and for the time that passed, too."""
    local = series.around(sizes, at)
    passed = np.maximum((series.times[at + 1] - series.times[at]) / series.interval.us, 1.0)
    return np.asarray(sizes[at] > OUTLIER_Z * np.maximum(sigma, MAD_TO_SIGMA * local) * np.sqrt(passed))
