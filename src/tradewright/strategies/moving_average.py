"""The moving-average cross: hold while the short mean is above the long one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel
from tradewright.strategies.contract import LARGEST, State, TargetKind, Targets
from tradewright.strategies.growth import NEVER, growth_steps

TIE = 1e-12
"""Means closer than this share of the price are equal: below it lies rounding, not information."""

LAPS = 64
"""Running sums are taken anew from the closes every so many times the slow length."""

LONGEST = 100_000
"""Bars that an average may look back: its memory is as long."""

GROUP = 8
"""Running sums grow by sums of so many rows, which begin where the count of closes is a multiple of it. So the sums of
one group do not wait for those of the one before, and batch, resume and row by row still add in the same order."""

BLOCK = 256
"""Rows that a batch takes at once, so that what lies between the steps stays in the fastest cache."""


@dataclass(frozen=True, slots=True)
class MovingAverageCross:
    """Holds `units` of each instrument while the mean of its last `fast` closes is above that of its last `slow`.

    Else flat; undecided (NaN) until `slow` closes are there and on rows without a bar. The target is repeated on every
    row. Means are taken over the total-return index, so a split or dividend is no signal; after a split the target is
    left alone (NaN) until it changes, since the units held have changed with the split. Means that differ by less than
    one part in 10^12 count as equal. Raises InvalidInput unless 1 <= fast < slow <= 100,000 and units is above 0 and at
    most 10^15.
    """

    fast: int = field(default=20, metadata={"minimum": 1, "maximum": LONGEST - 1})
    slow: int = field(default=50, metadata={"minimum": 2, "maximum": LONGEST})
    units: float = field(default=1.0, metadata={"exclusiveMinimum": 0, "maximum": LARGEST})

    def __post_init__(self) -> None:
        whole = isinstance(self.fast, int) and isinstance(self.slow, int)
        if not (whole and 1 <= self.fast < self.slow <= LONGEST):
            seen = f"{self.fast!r}"[:40], f"{self.slow!r}"[:40]
            raise InvalidInput(
                f"moving averages need whole numbers 1 <= fast < slow <= {LONGEST}, got {', '.join(seen)}"
            )
        if not 0 < self.units <= LARGEST:
            raise InvalidInput(f"units must be above 0 and at most {LARGEST:g}, got {self.units!r}")

    @property
    def name(self) -> str:
        """The name in registry, reports and ledger."""
        return "moving_average_cross"

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters, by name."""
        return asdict(self)

    @property
    def kind(self) -> TargetKind:
        """Targets are units."""
        return TargetKind.UNITS

    @property
    def warm_up(self) -> int:
        """Rows before the first decision."""
        return self.slow - 1

    def start(self, panel: Panel) -> State:
        """Return the state before the first row."""
        n = panel.shape[1]
        return {
            "history": np.zeros((n, self.slow)),
            "seen": np.zeros(n, np.int64),
            "sums": np.zeros((n, 4)),
            "anchor": np.zeros(n),
            "factor": np.ones(n),
            "target": np.full(n, np.nan),
            "quiet": np.zeros(n, np.bool_),
            "last_time": np.full(n, NEVER, np.int64),
        }

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return the targets of `rows`, (len(rows), N), and move `state` past them in place."""
        out = np.empty(rows.shape)
        self.advance_into(state, rows, out)
        return out

    def advance_into(self, state: State, rows: Panel, out: Floats) -> None:
        """As `advance`, writing the targets to `out`, (len(rows), N) and contiguous."""
        total, split = growth_steps(rows, state["last_time"])
        _advance(
            rows.close,
            total,
            split,
            self.fast,
            float(self.units),
            state["history"],
            state["seen"],
            state["sums"],
            state["anchor"],
            state["factor"],
            state["target"],
            state["quiet"],
            out,
        )

    def targets(self, panel: Panel) -> Targets:
        """Return the targets of the whole panel: `advance` from `start`."""
        return Targets(self.advance(self.start(panel), panel), self.kind)


@kernel
def _advance(
    close: Floats,
    total: Floats,
    split: Floats,
    fast: int,
    units: float,
    history: Floats,
    seen: NDArray[np.int64],
    sums: Floats,
    anchor: Floats,
    factor: Floats,
    target: Floats,
    quiet: NDArray[np.bool_],
    out: Floats,
) -> None:
    rows, n = close.shape
    slow, size = history.shape[1], min(BLOCK, rows)
    steps, place, parted = np.empty(slow + size), np.empty(size, np.int64), np.zeros(size, np.bool_)
    price, short, long = np.empty(size), np.empty(size), np.empty(size)
    flat_close, flat_out = close.reshape(-1), out.reshape(-1)
    for c in range(n):
        steps[:slow] = history[c]
        t = 0
        while t < rows:
            room = min(size, slow * LAPS - seen[c] % (slow * LAPS))
            count = min(room, rows - t)
            straight = n == 1 and len(total) == 0 and not quiet[c] and _copied(flat_close, t, count, price)
            if straight:
                t += count
            else:
                t, count, factor[c] = _gathered(close, total, split, c, t, room, factor[c], price, place, parted, out)
            if count == 0:
                continue
            if seen[c] == 0:
                anchor[c] = price[0]
            _differences(price, anchor[c], fast, slow, count, steps, short, long)
            _running(short, long, count, seen[c], sums[c])
            _decided(price, short, long, fast, slow, units, count, min(max(slow - 1 - seen[c], 0), count))
            seen[c] += count
            if straight:
                flat_out[t - count : t] = price[:count]
                target[c] = price[count - 1]
            else:
                target[c], quiet[c] = _spread(price, place, parted, count, c, target[c], quiet[c], out)
            newest = steps[count:]
            for k in range(slow):
                steps[k] = newest[k]
            if seen[c] % (slow * LAPS) == 0:
                _sum_anew(steps, fast, slow, sums[c])
        history[c] = steps[:slow]


@kernel
def _copied(close: Floats, first: int, count: int, price: Floats) -> bool:
    part = close[first : first + count]
    missing = 0
    for k in range(count):
        x = part[k]
        price[k] = x
        missing += x - x != 0.0
    return missing == 0


@kernel
def _gathered(
    close: Floats,
    total: Floats,
    split: Floats,
    column: int,
    row: int,
    room: int,
    grown: float,
    price: Floats,
    place: NDArray[np.int64],
    parted: NDArray[np.bool_],
    out: Floats,
) -> tuple[int, int, float]:
    count, actions = 0, len(total) > 0
    while row < len(close) and count < room:
        x = close[row, column]
        if np.isfinite(x):
            if actions:
                grown *= total[row, column]
            parted[count] = actions and split[row, column] != 1.0
            price[count] = x * grown
            place[count] = row
            count += 1
        else:
            out[row, column] = np.nan
        row += 1
    return row, count, grown


@kernel
def _differences(
    price: Floats, base: float, fast: int, slow: int, count: int, steps: Floats, short: Floats, long: Floats
) -> None:
    newest, before = steps[slow:], steps[slow - fast :]  # views: an index that cannot be negative is not checked
    for k in range(count):
        newest[k] = price[k] - base
    for k in range(count):
        short[k] = newest[k] - before[k]
        long[k] = newest[k] - steps[k]


@kernel
def _running(short: Floats, long: Floats, count: int, seen: int, sums: Floats) -> None:
    sum_short, sum_long, part_short, part_long = sums[0], sums[1], sums[2], sums[3]
    k = 0
    while k < count:
        if seen % GROUP == 0 and k + GROUP <= count:
            part_short, part_long = 0.0, 0.0
            for j in range(k, k + GROUP):
                part_short += short[j]
                part_long += long[j]
                short[j] = sum_short + part_short
                long[j] = sum_long + part_long
            k += GROUP
            seen += GROUP
        else:
            part_short += short[k]
            part_long += long[k]
            short[k] = sum_short + part_short
            long[k] = sum_long + part_long
            k += 1
            seen += 1
        if seen % GROUP == 0:
            sum_short, sum_long, part_short, part_long = short[k - 1], long[k - 1], 0.0, 0.0
    sums[0], sums[1], sums[2], sums[3] = sum_short, sum_long, part_short, part_long


@kernel
def _decided(
    price: Floats, short: Floats, long: Floats, fast: int, slow: int, units: float, count: int, waiting: int
) -> None:
    tie = TIE * fast * slow
    for k in range(count):
        price[k] = units if short[k] * slow - long[k] * fast > tie * abs(price[k]) else 0.0
    price[:waiting] = np.nan


@kernel
def _spread(
    wanted: Floats,
    place: NDArray[np.int64],
    parted: NDArray[np.bool_],
    count: int,
    column: int,
    held: float,
    silent: bool,
    out: Floats,
) -> tuple[float, bool]:
    for k in range(count):
        silent = silent or parted[k]
        now = wanted[k]
        if now == now and now != held:
            held, silent = now, False
        out[place[k], column] = np.nan if silent and now != 0.0 else now
    return held, silent


@kernel
def _sum_anew(steps: Floats, fast: int, slow: int, sums: Floats) -> None:
    sums[:] = 0.0
    for k in range(slow):
        sums[1] += steps[k]
    for k in range(slow - fast, slow):
        sums[0] += steps[k]
