"""Comparing sources: order is nothing, one that is wrong is found alone, a scale is no error."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewright.market.consensus import consensus
from tradewright.market.frames import canonical
from tradewright.market.instruments import Interval
from tradewright.market.verdicts import Verdict

STEP = Interval.DAY.us
NAMES = "abcdefg"


def _frame(close: np.ndarray, keep: np.ndarray | None = None, close_only: bool = False) -> pl.DataFrame:
    time = STEP * np.arange(1, len(close) + 1)
    columns = {"time": time, "close": close}
    if not close_only:
        columns |= {"open": close * 1.001, "high": close * 1.01, "low": close * 0.99, "volume": close}
    frame = pl.DataFrame(columns)
    if keep is not None:
        frame = frame.filter(pl.Series(keep))
    return canonical(frame, source="s", instrument="equity:XYZ", interval="1d")


def _prices(draw: np.random.Generator, rows: int) -> np.ndarray:
    return np.asarray(50.0 * np.exp(np.cumsum(draw.standard_normal(rows) * 0.02)))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.random.Generator, int, int]:
    seed, rows, sources = draw(st.integers(0, 2**32)), draw(st.integers(20, 300)), draw(st.integers(3, 7))
    return np.random.default_rng(seed), rows, sources


@settings(deadline=None, max_examples=60)
@given(worlds())
def test_equal_sources_give_no_finding(world: tuple[np.random.Generator, int, int]) -> None:
    draw, rows, sources = world
    close = _prices(draw, rows)
    frames = {
        name: _frame(close, draw.random(rows) < 0.8, close_only=bool(draw.random() < 0.3)) for name in NAMES[:sources]
    }
    assert not any(consensus(frames, Interval.DAY).values())


@settings(deadline=None, max_examples=60)
@given(worlds(), st.data())
def test_one_wrong_source_is_found_at_its_rows_and_no_other_is_marked(
    world: tuple[np.random.Generator, int, int], data: st.DataObject
) -> None:
    draw, rows, sources = world
    close = _prices(draw, rows)
    noisy = [close * np.exp(draw.standard_normal(rows) * 1e-4) for _ in range(sources)]
    scale = np.exp(draw.choice([0.0, 0.0, np.log(7.0), -np.log(2.0)], sources))
    bad = draw.integers(sources)
    at = 5 * np.unique(draw.integers(0, rows // 5, max(rows // 20, 1)))
    noisy[bad] = noisy[bad].copy()
    noisy[bad][at] *= np.exp(draw.choice([-1, 1], len(at)) * draw.uniform(0.02, 2.0, len(at)))
    names = data.draw(st.permutations(NAMES[:sources]))
    found = consensus({n: _frame(c * s) for n, c, s in zip(names, noisy, scale, strict=True)}, Interval.DAY)
    for name, findings in found.items():
        codes = {f.code: f for f in findings}
        assert "sources_disagree" not in codes
        if name == names[bad]:
            assert codes["source_deviates"].count == len(at)
            assert codes["source_deviates"].rows == tuple(((at + 1) * STEP).tolist()[:20])
        else:
            assert "source_deviates" not in codes


@settings(deadline=None, max_examples=60)
@given(worlds(), st.data())
def test_the_order_of_the_sources_changes_nothing(
    world: tuple[np.random.Generator, int, int], data: st.DataObject
) -> None:
    draw, rows, sources = world
    frames = {}
    for name in NAMES[:sources]:
        close = _prices(draw, rows) if draw.random() < 0.3 else np.full(rows, 50.0)
        frames[name] = _frame(close * draw.choice([1.0, 2.0]), draw.random(rows) < 0.9)
    order = data.draw(st.permutations(list(frames)))
    assert consensus({name: frames[name] for name in order}, Interval.DAY) == consensus(frames, Interval.DAY)


@settings(deadline=None, max_examples=60)
@given(worlds(), st.sampled_from([2.0, 7.0, 0.1, 1.5]))
def test_a_split_that_one_source_adjusts_for_is_a_scale_and_no_error(
    world: tuple[np.random.Generator, int, int], ratio: float
) -> None:
    draw, rows, sources = world
    close = _prices(draw, rows)
    day = int(draw.integers(8, rows - 7))
    adjusted = close / np.where(np.arange(rows) < day, ratio, 1.0)
    found = consensus({"raw": _frame(close), "adjusted": _frame(adjusted)}, Interval.DAY)
    for findings in found.values():
        (only,) = findings
        assert (only.code, only.count, only.severity) == ("scaled_differently", day, Verdict.USABLE)
    several = consensus({**{n: _frame(close) for n in NAMES[:sources]}, "x": _frame(adjusted)}, Interval.DAY)
    assert [name for name, findings in several.items() if findings] == ["x"]
    assert f"{1 / ratio:.6g} times" in several["x"][0].detail


@settings(deadline=None, max_examples=60)
@given(worlds())
def test_of_two_sources_neither_is_called_wrong(world: tuple[np.random.Generator, int, int]) -> None:
    draw, rows, _ = world
    close = _prices(draw, rows)
    other = close.copy()
    other[rows // 2] *= 1.05
    found = consensus({"a": _frame(close), "b": _frame(other)}, Interval.DAY)
    for findings in found.values():
        (only,) = findings
        assert (only.code, only.rows) == ("sources_disagree", ((rows // 2 + 1) * STEP,))
