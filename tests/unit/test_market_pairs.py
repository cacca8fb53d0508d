"""Sources that are wrong as a whole, or for a while, are found, however far they always were from each other."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tradewright.market.arrays import Floats
from tradewright.market.consensus import consensus
from tradewright.market.frames import canonical
from tradewright.market.instruments import Interval
from tradewright.market.verdicts import Finding, Verdict

SHARE, COIN = ("equity:XYZ", Interval.DAY), ("crypto:BTC-USD", Interval.MINUTE)
Of = tuple[str, Interval]


def _frame(close: Floats, of: Of) -> pl.DataFrame:
    opened = np.append(close[:1], close[:-1])
    columns = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    time = of[1].us * np.arange(1, len(close) + 1)
    frame = pl.DataFrame({"time": time, **columns, "volume": np.ones(len(close))})
    return canonical(frame, source="s", instrument=of[0], interval=of[1].value)


def _walk(rows: int, move: float, seed: int) -> Floats:
    return np.asarray(100.0 * np.exp(np.random.default_rng(seed).normal(0.0, move, rows).cumsum()))


def _noisy(close: Floats, size: float, seed: int) -> Floats:
    return np.asarray(close * np.exp(np.random.default_rng(seed).normal(0.0, size, len(close))))


def _late(close: Floats) -> Floats:
    return np.append(close[:1], close[:-1])


def _found(of: Of, *closes: Floats) -> list[tuple[Finding, ...]]:
    frames = {name: _frame(close, of) for name, close in zip("abc", closes, strict=False)}
    return list(consensus(frames, of[1]).values())


@pytest.mark.parametrize("of", [SHARE, COIN])
def test_a_source_that_is_one_bar_late_is_named_as_that(of: Of) -> None:
    close = _walk(600, 0.02 if of is SHARE else 0.0005, 1)
    (one,), (other,) = _found(of, close, _late(close))
    assert (one.code, one.severity, one.count) == ("sources_disagree", Verdict.SUSPECT, 600)
    assert "one bar ahead of b" in one.detail
    assert "one bar behind a" in other.detail
    good, late, also_good = _found(of, close, _late(close), _noisy(close, 1e-5, 2))
    assert good == also_good == ()
    assert [(f.code, f.severity, f.count) for f in late] == [("source_deviates", Verdict.SUSPECT, 600)]


def test_a_part_that_is_one_bar_late_is_found_where_it_is() -> None:
    close = _walk(2_000, 0.0005, 3)
    part = close.copy()
    part[1_000:] = _late(close[1_000:])
    (one,), (other,) = _found(COIN, close, part)
    assert (one.severity, one.rows) == (Verdict.SUSPECT, other.rows)
    assert one.count == pytest.approx(1_000, abs=260)
    assert one.rows[0] >= 740 * COIN[1].us


@pytest.mark.parametrize("of", [SHARE, COIN])
def test_two_series_that_have_nothing_to_do_with_each_other_disagree(of: Of) -> None:
    move = 0.02 if of is SHARE else 0.0005
    close = _walk(800, move, 4)
    for other in (_walk(800, move, 5), close[::-1].copy()):
        (one,), _ = _found(of, close, other)
        assert (one.code, one.severity, one.count) == ("sources_disagree", Verdict.SUSPECT, 800)
        assert "moves have little to do with those of b" in one.detail


def test_noise_is_not_allowed_for_because_it_is_everywhere() -> None:
    close = _walk(500, 0.02, 6)
    for others in ([_noisy(close, 0.02, 7)], [_noisy(close, 0.015, 8), _noisy(close, 0.015, 9)]):
        for findings in _found(SHARE, close, *others):
            assert max(f.severity for f in findings) is Verdict.SUSPECT


def test_noise_of_one_source_is_no_move_of_the_price() -> None:
    close = _walk(2_000, 0.002, 6)
    for findings in _found(SHARE, close, _noisy(close, 0.02, 7)):
        (told,) = (each for each in findings if each.code == "sources_disagree")
        assert told.count > 0.7 * 2_000  # the moves of the noisy one would excuse half of them


def test_venues_that_differ_a_little_by_the_minute_do_not_disagree() -> None:
    close = _walk(5_000, 0.0005, 10)
    venues = [_noisy(close, 0.0003, seed) for seed in (11, 12, 13)]
    for compared in (venues, venues[:2]):
        found = [each for findings in _found(COIN, *compared) for each in findings]
        assert all(each.severity is Verdict.USABLE and each.count < 10 for each in found)


def test_a_rate_that_is_fixed_at_another_hour_is_told_and_allowed_for() -> None:
    hours = _walk(24 * 500, 0.001, 14)
    close, fixing = hours[23::24], hours[12::24]
    for findings in _found(("fx:EUR-USD", Interval.DAY), close, fixing):
        assert [(f.code, f.severity) for f in findings] == [("another_hour", Verdict.USABLE)]


@pytest.mark.parametrize(("of", "rows"), [(SHARE, 10), (COIN, 20), (COIN, 6)])
def test_a_level_that_comes_back_is_no_scale(of: Of, rows: int) -> None:
    close = _walk(5_000, 0.0005, 15)
    wrong = close.copy()
    wrong[200 : 200 + rows] *= 1.05
    good, also_good, bad = _found(of, close, close, wrong)
    assert good == also_good == ()
    assert [(f.code, f.severity) for f in bad] == [("source_deviates", Verdict.SUSPECT)]
    assert bad[0].rows[:rows] == tuple(of[1].us * np.arange(201, 201 + rows))
    for findings in _found(of, close, wrong):
        assert [(f.code, f.severity) for f in findings] == [("sources_disagree", Verdict.SUSPECT)]


def test_more_wrong_rows_make_no_better_verdict() -> None:
    close = _walk(5_000, 0.0005, 16)
    wrong = close.copy()
    wrong[4_980:] *= 1.05  # to the end: no detour
    more = wrong.copy()
    more[4_000:4_980] *= 1.0095
    for bad in (wrong, more):
        found = {each.code: each for each in _found(COIN, close, close, bad)[2]}["another_level"]
        assert found.severity is Verdict.SUSPECT
    assert "in 20 of these rows 1.05 times" in found.detail


def test_the_shorter_of_two_levels_is_the_detour() -> None:
    close = _walk(400, 0.01, 17)
    wrong = close.copy()
    for begin in (60, 160, 260):
        wrong[begin : begin + 12] *= 1.1
    (found,) = _found(SHARE, close, close, wrong)[2]
    assert found.count == 36 + 3  # and the first open after each, which is the last wrong close
