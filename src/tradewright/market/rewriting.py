"""What says that bars were rewritten: stored already, and brought in again with other values.

Nothing is lost by it: every row is kept, the one that came last counts, and a reader `as of` before sees the other.

| code           | severity                              | what it says                                              |
| -------------- | ------------------------------------- | --------------------------------------------------------- |
| rewritten_rows | usable, raw closes above MANY suspect | bars that came again with other values, when, by how much |
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from tradewright.clock import format_us
from tradewright.market.checks.thresholds import MANY, ROUNDING, ROWS_KEPT
from tradewright.market.frames import TOTAL_ORDER, VALUES, ascends
from tradewright.market.verdicts import Finding, Verdict

_SAME = 1e-9  # relative: what adding the same trades in another order does to a volume


def differs(suffix: str) -> pl.Expr:
    """Return an expression: some value is another than in the columns with this suffix, missing ones included."""
    return pl.any_horizontal(
        (pl.col(name).is_null() != pl.col(name + suffix).is_null())
        | (_moved(name, suffix) > _SAME * pl.max_horizontal(pl.col(name).abs(), pl.col(name + suffix).abs()))
        for name in VALUES
    ).fill_null(False)


def rewriting_findings(stored: pl.DataFrame, instrument: str, *, pre_adjusted: bool) -> list[Finding]:
    """Return what was rewritten of a series. stored: every row ever stored of one instrument, canonical.

    pre_adjusted: the source rewrites its prices at each split or dividend, which is no fault.
    """
    if ascends(stored):
        return []
    rows = stored.sort(TOTAL_ORDER)
    before = rows.select(pl.col("time", *VALUES).shift().name.suffix("_before"))
    pairs = pl.concat([rows, before], how="horizontal").filter(pl.col("time") == pl.col("time_before"))
    changed = pairs.filter(differs("_before"))
    if not changed.height:
        return []
    times, bars = changed["time"].unique().sort(), rows["time"].n_unique()
    far = (_moved("close", "_before") > ROUNDING * pl.col("close_before")).fill_null(False)
    closes = changed.filter(far)["time"].n_unique()
    severity = Verdict.SUSPECT if not pre_adjusted and closes > MANY * bars else Verdict.USABLE
    first, last = (format_us(at)[:19] + "Z" for at in (changed["observed_at"].min(), changed["observed_at"].max()))  # type: ignore[arg-type] # of integers
    when = f"on {first}" if first == last else f"between {first} and {last}"
    detail = f"{len(times)} of {bars} bars came again with other values, {when}; {_most(changed)}"
    return [Finding("rewritten_rows", severity, detail, instrument, len(times), tuple(times.head(ROWS_KEPT)))]


def _moved(name: str, suffix: str) -> pl.Expr:
    return (pl.col(name) - pl.col(name + suffix)).abs()


def _most(changed: pl.DataFrame) -> str:
    """Say which value changed most: a price where any did, else the volume, else one that was or is missing."""
    for names in (VALUES[:4], VALUES[4:]):
        shares = {f"{name}_share": _moved(name, "_before") / pl.col(f"{name}_before").abs() for name in names}
        finite = {name: pl.when(share.is_finite()).then(share) for name, share in shares.items()}  # a volume may be 0
        found = changed.with_columns(**finite)
        by_name = [(found[f"{name}_share"].max(), name) for name in names]
        share, name = max(((share, name) for share, name in by_name if share is not None), default=(0.0, ""))
        if share > _SAME:  # type: ignore[operator] # of floats
            row = found.filter(pl.col(f"{name}_share") == share).row(0, named=True)
            return f"most: {_told(row, name)}, {row[name] / row[f'{name}_before'] - 1.0:+.3%}"
    row = changed.row(0, named=True)
    name = next(name for name in VALUES if not _same(row[name], row[f"{name}_before"]))
    return f"first: {_told(row, name)}"


def _same(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else math.isclose(one, other, rel_tol=_SAME)


def _told(row: dict[str, Any], name: str) -> str:
    old, new = ("missing" if row[each] is None else f"{row[each]:.10g}" for each in (f"{name}_before", name))
    return f"the {name} of {format_us(row['time'])[:19]}Z went from {old} to {new}"
