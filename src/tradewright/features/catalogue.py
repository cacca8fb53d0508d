"""Every feature by name, with what it needs and how many bars it takes to warm up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tradewright.features import averages, calendar, ranges, returns, volatility, volume
from tradewright.market.panel import Floats, Times

Kernel = Callable[[Floats, Floats, int, Floats], None]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. Exactly one of `advance`, `of_time` and `ranks` says how it is computed.

    warm_up: bars of a column before the one that gives its first number. needs: panel columns it reads. span: bars it
    looks back. slots: state numbers per column. advance: kernel (state (N, slots), bars (5, k, N), span, out (k, N)).
    of_time: function of the row times. ranks: the feature whose rank within the row this is.
    """

    name: str
    description: str
    warm_up: int
    needs: tuple[str, ...]
    span: int = 1
    slots: int = 0
    advance: Kernel | None = None
    of_time: Callable[[Times], Floats] | None = None
    ranks: str | None = None


_CLOSE, _BAR, _RANGE = ("close",), ("open", "close"), ("high", "low", "close")
_VOLUME, _TURNOVER = ("volume",), ("close", "volume")

# name, spans, kernel, warm-up beyond span - 1, further slots beside a ring of span, needs, description
_KERNELS: tuple[tuple[str, tuple[int, ...], Kernel, int, int, tuple[str, ...], str], ...] = (
    ("return", (1, 2, 5, 10, 20, 60, 120), returns.trailing_return, 1, 1, _CLOSE, "log return over {} bars"),
    (
        "momentum",
        (60, 120, 240),
        returns.skipping_momentum,
        1,
        1,
        _CLOSE,
        "log return from {} bars ago to a twelfth of that ago",
    ),
    ("efficiency", (10, 20, 60), returns.efficiency, 1, 1, _CLOSE, "net move over {} bars divided by the path walked"),
    (
        "mean_distance",
        (5, 10, 20, 50, 200),
        averages.distance_to_mean,
        0,
        1,
        _CLOSE,
        "log of close over its {}-bar mean",
    ),
    ("ewma_distance", (10, 30, 100), averages.distance_to_ewma, 0, 1, _CLOSE, "log of close over its {}-bar EWMA"),
    ("drawdown", (20, 60, 250), averages.drawdown, 0, 1, _CLOSE, "close over the highest of {} closes, minus 1"),
    (
        "channel",
        (20, 60, 250),
        averages.channel_position,
        0,
        1,
        _CLOSE,
        "place between low and high of {} closes, 0..1",
    ),
    ("strength", (5, 14, 30), averages.strength, 1, 3, _CLOSE, "relative strength over {} bars, -1..1"),
    ("ewma_volatility", (10, 20, 40), volatility.ewma_volatility, 1, 3, _CLOSE, "EWMA volatility, span {}, per bar"),
    ("volatility", (5, 20, 60, 120), volatility.rolling_volatility, 1, 2, _CLOSE, "deviation of {} returns, per bar"),
    ("normalised_return", (20, 60), volatility.normalised_return, 2, 2, _CLOSE, "last return over the deviation of {}"),
    (
        "volatility_ratio",
        (20, 60, 120),
        volatility.volatility_ratio,
        1,
        2,
        _CLOSE,
        "recent over {}-bar volatility, log",
    ),
    ("skewness", (20, 60, 120), volatility.skewness, 1, 2, _CLOSE, "skewness of {} returns"),
    ("body", (1, 5, 20), ranges.body, 0, 1, _BAR, "mean log(close / open) of {} bars"),
    ("gap", (1, 5, 20), ranges.gap, 1, 2, _BAR, "mean log(open / last close) of {} bars"),
    ("close_location", (1, 5, 20), ranges.close_location, 0, 1, _RANGE, "mean place of the close in {} bars, -1..1"),
    ("parkinson", (5, 20, 60), ranges.parkinson, 0, 1, _RANGE, "volatility per bar from high and low of {} bars"),
    ("true_range", (5, 14, 50), ranges.true_range, 1, 2, _RANGE, "mean true range of {} bars over the close"),
    ("relative_volume", (5, 20, 60), volume.relative_volume, 1, 1, _VOLUME, "log volume over the {}-bar mean before"),
    ("turnover_score", (20, 60, 120), volume.turnover_score, 1, 1, _TURNOVER, "score of log close x volume, {} bars"),
)
_CALENDAR: tuple[tuple[str, Callable[[Times], Floats], str], ...] = (
    ("day_of_week", calendar.day_of_week, "0 Monday to 6 Sunday, UTC"),
    ("month_position", calendar.month_position, "share of the month that has passed"),
    ("month_of_year", calendar.month_of_year, "1 to 12, UTC"),
    ("time_of_day", calendar.time_of_day, "share of the UTC day that has passed"),
)
_RANKED = ("return_1", "return_5", "return_20", "return_60", "momentum_240", "volatility_20", "drawdown_250")


def _all() -> dict[str, Feature]:
    found: dict[str, Feature] = {}
    for stem, spans, kernel, more, slots, needs, text in _KERNELS:
        for span in spans:
            name = f"{stem}_{span}"
            warm_up = span - 1 + more
            found[name] = Feature(name, text.format(span), warm_up, needs, span, span + slots, advance=kernel)
    for name, function, text in _CALENDAR:
        found[name] = Feature(name, text, 0, (), of_time=function)
    for ranked in _RANKED:
        feature = found[ranked]
        text = f"rank of {ranked} within the row, 0 lowest to 1 highest"
        found[f"rank_{ranked}"] = Feature(f"rank_{ranked}", text, feature.warm_up, feature.needs, ranks=ranked)
    return found


FEATURES: Mapping[str, Feature] = MappingProxyType(_all())
"""Every built-in feature. Beside these, `field:NAME` reads the panel field NAME as it is."""

DEFAULT_NAMES = (
    *("return_1", "return_2", "return_5", "return_20", "return_60", "momentum_240", "efficiency_20"),
    *("mean_distance_10", "mean_distance_50", "mean_distance_200", "drawdown_60", "drawdown_250", "channel_20"),
    *("strength_14", "ewma_volatility_20", "volatility_60", "volatility_ratio_60", "normalised_return_20"),
    *("skewness_60", "body_1", "gap_1", "close_location_1", "close_location_5", "parkinson_20", "true_range_14"),
    *("relative_volume_20", "turnover_score_60", "day_of_week", "month_position"),
    *("rank_return_1", "rank_return_5", "rank_return_20", "rank_momentum_240", "rank_volatility_20"),
)
