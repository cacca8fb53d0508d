"""Near copies among trials: returns so alike that counting them apart would lower the hurdle for the best.

Copies shrink the variance of the Sharpe ratios faster than their number raises the expected maximum, so a ledger full
of them would make the deflated Sharpe ratio lenient. Two daily return series of one lineage and tested span are one
trial when their correlation exceeds 0.999.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tradewright.market.panel import Floats

NEAR = 0.999
"""Returns with a correlation above this are copies."""

FEWEST = 30
"""Shorter series are copies only when they are equal: a few days correlate by chance."""

_PARTS = 64


def unit(content: bytes) -> Floats:
    """Return daily returns (little-endian float32) less their mean, of length one; zeros where they do not vary."""
    values = np.frombuffer(content, "<f4").astype(np.float64)
    if len(values) < FEWEST:
        return np.zeros(len(values))
    centred = values - values.mean()
    length = float(np.sqrt(np.sum(centred * centred)))
    return centred / length if length > 1e-12 * float(np.sqrt(np.sum(values * values))) else np.zeros(len(values))


def sketch(content: bytes) -> bytes:
    """Return up to 64 float32: `unit(content)` projected on blocks of days.

    A projection shortens distances, so two series whose sketches lie further apart than copies may are no copies, and
    the whole series need not be read.
    """
    direction = unit(content)
    if not direction.any():
        return b""
    edges = np.linspace(0, len(direction), min(_PARTS, len(direction)) + 1).astype(np.int64)
    sums = np.add.reduceat(direction, edges[:-1])
    return (sums / np.sqrt(np.diff(edges))).astype("<f4").tobytes()


class Originals:
    """The returns of one lineage and span that are copies of no others."""

    def __init__(self, known: Sequence[tuple[str, bytes]], returns_of: Callable[[str], bytes]) -> None:
        self._names = {name for name, _ in known}
        self._sketched = [name for name, sketched in known if sketched]
        self._table = np.zeros((max(2 * len(known), 16), _PARTS))
        for row, sketched in zip(self._table, (sketched for _, sketched in known if sketched), strict=False):
            row[:] = _padded(sketched)
        self._returns_of = returns_of

    def place(self, name: str, content: bytes, sketched: bytes) -> str:
        """Return the hash of the original that `content`, with hash `name`, is a copy of; it is `name` when of none."""
        if name in self._names:
            return name
        if sketched:
            mine, direction = _padded(sketched), unit(content)
            for at in self._near(mine):
                other = unit(self._returns_of(self._sketched[at]))
                if len(other) == len(direction) and float(other @ direction) > NEAR:
                    return self._sketched[at]
            if len(self._sketched) == len(self._table):
                self._table = np.concatenate([self._table, np.zeros_like(self._table)])
            self._table[len(self._sketched)] = mine
            self._sketched.append(name)
        self._names.add(name)
        return name

    def _near(self, mine: Floats) -> list[int]:
        table = self._table[: len(self._sketched)]
        apart = np.einsum("ij,ij->i", table, table) + mine @ mine - 2 * (table @ mine)
        near = np.flatnonzero(apart <= 2 * (1 - NEAR) + 1e-6)  # room for the rounding of float32
        return [int(k) for k in near[np.argsort(apart[near], kind="stable")]]


def _padded(sketched: bytes) -> Floats:
    row = np.zeros(_PARTS)
    values = np.frombuffer(sketched, "<f4")
    row[: len(values)] = values
    return row
