"""A measured row, the budgets that the rows of design are held against, and how they are written down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One figure. ours, theirs: in the unit that `what` ends with. ratio: how many times better ours is.

    limit: ours may not exceed it (for rates: may not fall below it, `rate` True). least: the ratio to reach.
    """

    what: str
    peer: str
    ours: float
    theirs: float | None = None
    ratio: float | None = None
    limit: float | None = None
    least: float | None = None
    rate: bool = False

    @property
    def within(self) -> bool | None:
        """Whether the budget is kept, None when there is none."""
        verdicts = []
        if self.limit is not None:
            verdicts.append(self.ours >= self.limit if self.rate else self.ours <= self.limit)
        if self.least is not None:
            verdicts.append(self.ratio is not None and self.ratio >= self.least)
        return all(verdicts) if verdicts else None

    @property
    def budget(self) -> str:
        """The budget in words."""
        parts = []
        if self.limit is not None:
            parts.append(f"{'>=' if self.rate else '<='} {figure(self.limit)}")
        if self.least is not None:
            parts.append(f">= {figure(self.least)} x")
        return ", ".join(parts)


# Benchmarks that return plain rows (what, peer, ours, peer's, ratio) have their budgets here.
# Each: what and peer as patterns, the limit, the least ratio.
BUDGETS: tuple[tuple[str, str, float | None, float | None], ...] = (
    (r"averages, fills and equity", r"vectorbt", None, 20.0),
    (r"the same, checks", r"vectorbt", None, 5.0),
    (r"one prediction, .* p50", r"LightGBM", 5.0, 10.0),
    (r"one prediction, .* p99", r"LightGBM", 10.0, None),
    (r"live bar, ", r"budget", 250.0, None),
)


def row_of(values: Sequence[object]) -> Row:
    """Return the row that a benchmark gave, with the budget that belongs to it."""
    if isinstance(values, Row):
        return values
    row = Row(*values)  # type: ignore[arg-type]
    for what, peer, limit, least in BUDGETS:
        if re.search(what, row.what) and re.search(peer, row.peer):
            row = row._replace(limit=limit, least=least)
    if row.peer == "budget":
        row = row._replace(peer="", theirs=None, ratio=None)
    return row


def figure(value: float | None) -> str:
    """Return a number with three significant digits, thousands grouped."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def verdict(row: Row) -> str:
    """Return yes, NO, or nothing where there is no budget."""
    return {True: "yes", False: "**NO**", None: ""}[row.within]


def markdown(rows: Sequence[Row]) -> str:
    """Return the table of RESULTS.md."""
    lines = ["| what | ours | peer | peer's | ratio | budget | within |", "|---|---:|---|---:|---:|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{figure(row.ratio)} x"
        cells = (row.what, figure(row.ours), row.peer, figure(row.theirs), ratio, row.budget, verdict(row))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
