"""Two series of closes of one instrument, held against each other: do they move together, and on one level?

Each is judged by its own moves and not by how far it usually is from the other, so that two that never agree are found,
too. They are not the same thing where

- in a block of bars the moves agree with those one bar earlier or later, and hardly with the same bar: one is late;
- the moves have little to do with each other, over one bar, ten, or a twentieth of all;
- the level leaves and comes back, which no split and no dividend does.

Another hour, a rate that is fixed at noon against a close, is none of them: its moves agree with two bars in part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradewright.market.arrays import Flags, Floats, Positions
from tradewright.market.checks.thresholds import MAD_TO_SIGMA
from tradewright.market.levels import level_of

LEAST_MOVES = 40  # fewer say nothing about who follows whom
BLOCK = 250  # bars that are judged together: a shift may begin and end
TOGETHER = 0.5  # correlation; real pairs have 0.73 and more in every block
SHIFT_RATIO = 3.0  # of the correlation one bar apart to that of the same bar
HOURS_TOGETHER = 0.75  # the sum of the correlations with two bars, more than that with the same one
HOURS_EACH = 0.2  # the least of the two
CLIPPED = 5.0  # usual moves: a split in one of them is not what is compared
DETOUR_SPREADS = 6.0  # usual distances of a bar from the level
DETOUR_STEPS = 50  # of a level, between leaving and coming back


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """How two series go together.

    odd: (T,) rows on which they are not the same thing. said: why, from the side of the first and of the second.
    another_hour: the moves agree, each with a part of two bars of the other.
    """

    odd: Flags
    said: tuple[tuple[str, ...], tuple[str, ...]]
    another_hour: bool


def usual_move(logs: Floats) -> float:
    """Return the robust standard deviation of the moves from bar to bar, NaN without any. logs: (T,), NaN is absent."""
    moves = np.diff(logs[np.isfinite(logs)])
    return MAD_TO_SIGMA * float(np.median(np.abs(moves))) if len(moves) else np.nan


def compare_pair(one: Floats, other: Floats, step: Floats) -> Pair:
    """Return how two series of log closes go together.

    one, other: (T,), NaN is absent. step: (T,) from which on a change of the level is one.
    """
    both = np.isfinite(one) & np.isfinite(other)
    odd = np.zeros(len(one), dtype=np.bool_)
    detour = _detours((one - other)[both], step[both])
    shifted, late, unrelated, another_hour = _moves(one[both], other[both])
    odd[both] = detour | shifted | unrelated
    mine, theirs = [], []
    if unrelated:
        mine.append("its moves have little to do with those of {}")
        theirs = mine
    elif shifted.any():
        words = [f"{int(shifted.sum())} bars in which it is one bar {way} {{}}" for way in ("behind", "ahead of")]
        mine, theirs = words[:1], words[1:]
        if late < 0:
            mine, theirs = theirs, mine
    if detour.any() and not unrelated:
        said = f"{int(detour.sum())} bars on a level apart from {{}} that is left again"
        mine, theirs = [*mine, said], [*theirs, said]
    return Pair(odd, (tuple(mine), tuple(theirs)), another_hour)


def _moves(one: Floats, other: Floats) -> tuple[Flags, int, bool, bool]:
    """Rows that are shifted and which way, whether all is unrelated, whether it is another hour."""
    rows = np.zeros(len(one), dtype=np.bool_)
    a, b = _clipped(np.diff(one)), _clipped(np.diff(other))
    if len(a) < LEAST_MOVES:
        return rows, 0, False, False
    same, behind, ahead = (float(each[0]) for each in _correlations(a[None], b[None]))
    part = np.fmax(behind, ahead)
    hour = bool(part > HOURS_EACH and HOURS_EACH < same < HOURS_TOGETHER < same + part)
    known = [each for each in (same, part, *_over_longer(a, b)) if np.isfinite(each)]
    unrelated = bool(known) and not hour and max(known) < TOGETHER
    size = min(BLOCK, len(a))
    starts = np.arange(0, len(a) - size + 1, size)
    if len(a) % size:
        starts = np.append(starts, len(a) - size)
    windows = (np.lib.stride_tricks.sliding_window_view(moves, size)[starts] for moves in (a, b))
    same_in, behind_in, ahead_in = _correlations(*windows)
    best = np.fmax(behind_in, ahead_in)
    shifted = (best > TOGETHER) & (best > SHIFT_RATIO * same_in)
    for start in starts[shifted]:
        rows[start : start + size + 1] = True
    way = int(np.sign(np.sum(np.where(behind_in > ahead_in, 1, -1)[shifted])))
    return rows, way, unrelated and not shifted.any(), hour and not shifted.any()


def _clipped(moves: Floats) -> Floats:
    sizes = np.abs(moves)
    usual = float(np.median(sizes)) if len(sizes) else 0.0
    most = CLIPPED * MAD_TO_SIGMA * (usual or float(sizes.mean() if len(sizes) else 0.0))
    return np.clip(moves, -most, most)


def _correlations(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each row of (N, size): with the same bar, with a bar of `b` before it, with one after it."""
    return _correlation(a, b), _correlation(a[:, 1:], b[:, :-1]), _correlation(a[:, :-1], b[:, 1:])


def _correlation(a: Floats, b: Floats) -> Floats:
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (a, b))
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((a * b).sum(axis=1) / scale)  # NaN where one does not move: no answer


def _over_longer(a: Floats, b: Floats) -> list[float]:
    found = []
    for bars in (10, len(a) // 20):
        x, y = (np.concatenate([[0.0], moves.cumsum()]) for moves in (a, b))
        if 1 < bars < len(a) // 2:
            found.append(float(_correlation((x[bars:] - x[:-bars])[None], (y[bars:] - y[:-bars])[None])[0]))
    return found


def _detours(ratios: Floats, step: Floats) -> Flags:
    """Rows between a step of the level and the one that takes it back: the shorter of two levels, if there is one."""
    levels = level_of(ratios)
    step = np.fmax(step, DETOUR_SPREADS * MAD_TO_SIGMA * float(np.median(np.abs(ratios - levels))))
    steps = np.flatnonzero(np.abs(np.diff(levels)) > step[1:]) + 1
    first, last = np.append(0, steps), np.append(steps, len(levels)) - 1  # of each stretch
    lengths = last - first + 1
    detour, returned = np.zeros((2, len(first)), dtype=np.bool_)
    for longest in (False, True):
        for apart in range(2, min(DETOUR_STEPS, len(steps)) + 1):
            again = np.abs(levels[last[:-apart]] - levels[first[apart:]]) < step[first[apart:]] / 2
            between = first[apart:] - last[:-apart] - 1
            again &= longest | (between <= lengths[:-apart] + lengths[apart:])
            again &= ~(returned[:-apart] | detour[:-apart] | detour[apart:])
            returned[:-apart] |= again
            detour |= _covered(np.flatnonzero(again) + 1, apart - 1, len(first))
    return np.repeat(detour, lengths)


def _covered(starts: Positions, length: int, size: int) -> Flags:
    edges = np.bincount(starts, minlength=size + 1) - np.bincount(starts + length, minlength=size + 1)
    return np.asarray(edges[:size].cumsum() > 0)
