"""Every feature says what its name says, from the row it promises to."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from tradewright.clock import parse_us
from tradewright.errors import InvalidInput, UnknownName
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.bars import CLOSE, start_bars, take_bars
from tradewright.features.calendar import day_of_week, month_of_year, month_position, time_of_day
from tradewright.features.catalogue import FEATURES
from tradewright.features.sets import FeatureSet, default_features
from tradewright.market.instruments import Interval
from tradewright.market.panel import Action, Floats, Panel

PANEL = planted_sign_world(0.5, 320, 4, seed=1)


def _values(name: str, panel: Panel = PANEL) -> Floats:
    features = FeatureSet((name,))
    return features.advance(features.start(panel), panel)[:, :, 0]


def _expected(name: str) -> float:
    """The last row of column 1 by plain numpy, written from the description alone."""
    c, o, h, low, v = (a[:, 1] for a in (PANEL.close, PANEL.open, PANEL.high, PANEL.low, PANEL.volume))
    r = np.diff(np.log(c))
    ewma = np.array([(19 / 21) ** k for k in range(len(r))])[::-1]
    turnover = np.log(1 + c * v)
    level = c[0]
    for x in c[1:]:
        level += (x - level) * 2 / 11
    gain, loss = 0.0, 0.0
    for n, x in enumerate(r, start=1):
        gain += (max(x, 0) - gain) / min(n, 14)
        loss += (max(-x, 0) - loss) / min(n, 14)
    high_20 = np.maximum(h[-14:], c[-15:-1])
    return {
        "return_5": math.log(c[-1] / c[-6]),
        "momentum_240": math.log(c[-21] / c[-241]),
        "efficiency_10": (c[-1] - c[-11]) / np.abs(np.diff(c[-11:])).sum(),
        "mean_distance_20": math.log(c[-1] / c[-20:].mean()),
        "ewma_distance_10": math.log(c[-1] / level),
        "drawdown_60": c[-1] / c[-60:].max() - 1,
        "channel_20": (c[-1] - c[-20:].min()) / np.ptp(c[-20:]),
        "strength_14": (gain - loss) / (gain + loss),
        "ewma_volatility_20": math.sqrt((ewma * r * r).sum() / ewma.sum()),
        "volatility_20": r[-20:].std(ddof=1),
        "normalised_return_20": r[-1] / r[-21:-1].std(ddof=1),
        "volatility_ratio_20": math.log(np.abs(r[-5:]).mean() / np.abs(r[-20:]).mean()),
        "skewness_60": ((r[-60:] - r[-60:].mean()) ** 3).mean() / r[-60:].std() ** 3,
        "body_5": np.log(c / o)[-5:].mean(),
        "gap_5": np.log(o[1:] / c[:-1])[-5:].mean(),
        "close_location_5": ((2 * c - h - low) / (h - low))[-5:].mean(),
        "parkinson_20": math.sqrt((np.log(h / low)[-20:] ** 2).mean() / (4 * math.log(2))),
        "true_range_14": (high_20 - np.minimum(low[-14:], c[-15:-1])).mean() / c[-1],
        "relative_volume_20": math.log((1 + v[-1]) / (1 + v[-21:-1].mean())),
        "turnover_score_60": (turnover[-1] - turnover[-61:-1].mean()) / turnover[-61:-1].std(ddof=1),
        "rank_return_5": (np.argsort(np.argsort(np.log(PANEL.close[-1] / PANEL.close[-6])))[1]) / 3,
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        *("return_5", "momentum_240", "efficiency_10", "mean_distance_20", "ewma_distance_10", "drawdown_60"),
        *("channel_20", "strength_14", "ewma_volatility_20", "volatility_20", "normalised_return_20"),
        *("volatility_ratio_20", "skewness_60", "body_5", "gap_5", "close_location_5", "parkinson_20"),
        *("true_range_14", "relative_volume_20", "turnover_score_60", "rank_return_5"),
    ],
)
def test_a_feature_equals_its_plain_formula(name: str) -> None:
    assert _values(name)[-1, 1] == pytest.approx(_expected(name), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_the_first_number_comes_after_exactly_the_declared_warm_up(name: str) -> None:
    finite = np.isfinite(_values(name)).all(axis=1)
    assert int(np.argmax(finite)) == FEATURES[name].warm_up
    assert finite[FEATURES[name].warm_up :].all()


def test_there_are_more_than_twenty_features_of_every_family() -> None:
    assert len(FEATURES) >= 20
    assert all(f.description and f.warm_up >= 0 for f in FEATURES.values())


def test_prices_that_do_not_move_give_no_infinities() -> None:
    flat = np.full((300, 2), 5.0)
    panel = replace(PANEL.rows(0, 300).columns([0, 1]), open=flat, high=flat, low=flat, close=flat, volume=flat * 0)
    features = FeatureSet(FEATURES)
    values = features.advance(features.start(panel), panel)
    assert np.isfinite(values[-1]).all()


def test_a_split_and_a_dividend_do_not_look_like_moves() -> None:
    times = PANEL.times
    actions = (Action(2, int(times[200]), 0, split=4.0), Action(2, int(times[250]), int(times[252]), dividend=3.0))
    panel = replace(PANEL, actions=actions, data_version="")
    state = start_bars(4)
    assert np.allclose(take_bars(state, panel)[CLOSE], panel.total_return_close, rtol=1e-12)
    assert _values("return_1", panel)[200, 2] == pytest.approx(math.log(panel.close[200, 2] * 4 / panel.close[199, 2]))


def test_a_close_only_panel_declares_range_and_volume_features_unavailable() -> None:
    panel = Panel.of(PANEL.times, PANEL.instruments, Interval.DAY, PANEL.close)
    available = default_features(panel).names
    assert "return_1" in available
    assert not {"parkinson_20", "relative_volume_20", "body_1", "gap_1"} & set(available)
    with pytest.raises(InvalidInput, match=r"parkinson_20 \(needs high and low\)"):
        FeatureSet(("return_1", "parkinson_20")).start(panel)


def test_fields_are_read_as_they_are_and_broadcast_over_instruments() -> None:
    rate = np.arange(320.0)
    panel = replace(PANEL, fields=MappingProxyType({"rate": rate, "x": PANEL.fields["x"]}), data_version="")
    assert default_features(panel).names[-2:] == ("field:rate", "field:x")
    assert np.array_equal(_values("field:rate", panel), np.repeat(rate[:, None], 4, axis=1))
    with pytest.raises(InvalidInput, match="the field 'rate'"):
        FeatureSet(("field:rate",)).start(PANEL)


def test_ties_share_their_rank_and_a_missing_value_takes_no_place() -> None:
    close = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 3.0, np.nan]])
    panel = Panel.of(PANEL.times[:2], PANEL.instruments, Interval.DAY, close)
    assert np.array_equal(_values("rank_return_1", panel)[1], [0.25, 0.25, 1.0, np.nan], equal_nan=True)


def test_calendar_features_follow_the_utc_calendar() -> None:
    times = np.array([parse_us("2024-02-01T21:00:00Z"), parse_us("2024-02-29T12:00:00Z")])
    assert day_of_week(times).tolist() == [3, 3]
    assert month_position(times).tolist() == [0, 28 / 29]
    assert month_of_year(times).tolist() == [2, 2]
    assert time_of_day(times).tolist() == [0.875, 0.5]


def test_an_unknown_feature_is_answered_with_the_closest_name() -> None:
    with pytest.raises(UnknownName, match="return_20"):
        FeatureSet(("retrun_20",))
    with pytest.raises(InvalidInput, match="different names"):
        FeatureSet(("return_1", "return_1"))
