"""A set of features computed together: whole panels at once or row by row from a state, with the same bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tradewright.errors import InvalidInput, UnknownName
from tradewright.features.bars import State, start_bars, take_bars
from tradewright.features.catalogue import DEFAULT_NAMES, FEATURES, Feature
from tradewright.features.ranks import rank
from tradewright.market.panel import COLUMNS, Floats, Panel

FIELD = "field:"


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Named features, in order. `field:NAME` reads `panel.fields[NAME]` as it is.

    Raises UnknownName for a name that is no feature, InvalidInput for none at all or one given twice.
    """

    names: tuple[str, ...]

    def __init__(self, names: Iterable[str]) -> None:
        object.__setattr__(self, "names", tuple(names))
        for name in self.names:
            if not name.startswith(FIELD) and name not in FEATURES:
                raise UnknownName.of("feature", name, FEATURES, "GET /v1/features lists them")
        if not self.names or len(set(self.names)) < len(self.names):
            raise InvalidInput(
                f"a feature set needs one or more different names, got {', '.join(self.names) or 'none'}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def warm_up(self) -> int:
        """Bars before the one in which every feature can have a number."""
        return max(0 if name.startswith(FIELD) else FEATURES[name].warm_up for name in self.names)

    def available(self, panel: Panel) -> tuple[str, ...]:
        """Return the names that this panel's columns and fields can give; a column without any number gives none."""
        empty = [n for n in COLUMNS if not bool(np.isfinite(getattr(panel, n)).any())]
        return tuple(n for n in self.names if _missing(n, panel) is None and not set(empty) & set(_needs(n)))

    def start(self, panel: Panel) -> State:
        """Return the state before the first row of `panel`: arrays by name, to be copied to keep a moment.

        Raises InvalidInput naming the features this panel cannot give.
        """
        lacking = [
            f"{name} (needs {_missing(name, panel)})" for name in self.names if _missing(name, panel) is not None
        ]
        if lacking:
            raise InvalidInput(f"this panel cannot give {'; '.join(lacking)}; leave them out or hand in those columns")
        columns = panel.shape[1]
        state = start_bars(columns)
        for name in self.names:
            feature = _computed(name)
            if feature is not None and feature.advance is not None:
                state[name] = np.zeros((columns, feature.slots))
        return state

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return (k, N, F) values of `rows` and move `state` past them in place.

        NaN where a column has no bar, has not warmed up, or misses what the feature reads; an absent bar leaves the
        state of its column as it is. A thousand rows at once or one by one give the same bits.
        """
        bars = take_bars(state, rows)
        out = np.full((len(self.names), *rows.shape), np.nan)
        for place, name in enumerate(self.names):
            if name.startswith(FIELD):
                values = rows.fields[name.removeprefix(FIELD)]
                out[place] = values if values.ndim == 2 else values[:, None]
                continue
            feature = FEATURES[name]
            if feature.of_time is not None:
                out[place] = np.where(np.isnan(bars[3]), np.nan, feature.of_time(rows.times)[:, None])
            elif feature.ranks is None:
                _advance(state, name, feature, bars, out[place])
            else:
                values = np.full(rows.shape, np.nan)
                _advance(state, name, FEATURES[feature.ranks], bars, values)
                rank(values, out[place])
        return np.ascontiguousarray(np.moveaxis(out, 0, 2))


def default_features(panel: Panel) -> FeatureSet:
    """Return the default features that `panel` can give, with all its fields; ranks only among several instruments."""
    names = [n for n in DEFAULT_NAMES if panel.shape[1] > 1 or FEATURES[n].ranks is None]
    wanted = FeatureSet([*names, *(FIELD + name for name in sorted(panel.fields))])
    return FeatureSet(wanted.available(panel))


def _computed(name: str) -> Feature | None:
    if name.startswith(FIELD):
        return None
    feature = FEATURES[name]
    return FEATURES[feature.ranks] if feature.ranks is not None else feature


def _advance(state: State, name: str, feature: Feature, bars: Floats, out: Floats) -> None:
    assert feature.advance is not None
    feature.advance(state[name], bars, feature.span, out)


def _missing(name: str, panel: Panel) -> str | None:
    if name.startswith(FIELD):
        field = name.removeprefix(FIELD)
        return None if field in panel.fields else f"the field {field!r}"
    lacking = [n for n in _needs(name) if n != "close"] if panel.close_only else []
    return " and ".join(lacking) if lacking else None


def _needs(name: str) -> tuple[str, ...]:
    return () if name.startswith(FIELD) else FEATURES[name].needs
