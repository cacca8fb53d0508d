"""Rows that can be used, and those that cannot, with a code and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from tradewright.market.checks.thresholds import FEW, MOST, ROUNDING, ROWS_KEPT
from tradewright.market.frames import VALUES
from tradewright.market.instruments import Instrument
from tradewright.market.verdicts import Finding, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """What can be used of a frame of bars and what cannot.

    accepted: canonical frame, ascending by time. rejected: the rows as they came, with `position` (row in the input),
    `code` and `detail`. duplicates: rows left out because an equal one is accepted. len(accepted) + len(rejected) +
    duplicates is the number of rows read. findings: what they say about the rows as they came.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    duplicates: int
    findings: tuple[Finding, ...]


def sift(frame: pl.DataFrame, instrument: Instrument, *, close_only: bool) -> Sifted:
    """Return what can be used of a canonical frame of one series and what cannot.

    frame: rows of one source, instrument and interval, in any order; rows of the same time but another `observed_at`
    are revisions and stay. close_only: open, high and low are not expected.
    """
    rows = frame.with_row_index("position").with_columns(_reason(close_only).alias("code"))
    rejected = rows.filter(pl.col("code").is_not_null())
    usable = (rows.filter(pl.col("code").is_null()) if rejected.height else rows).drop("code")
    distinct, conflicting = _distinct(usable)
    duplicates = usable.height - distinct.height - conflicting.height
    rejected = pl.concat([rejected, conflicting]).with_columns(_detail()).sort("position")
    accepted = distinct.sort("time", "observed_at").drop("position")
    findings = [*_rejections(rejected, frame.height, instrument.id)]
    findings += _input_findings(frame, usable, pl.concat([distinct, conflicting.drop("code")]), instrument.id)
    return Sifted(accepted, rejected, duplicates, tuple(findings))


def rejection_findings(
    counts: Mapping[str, int], read: int, instrument: str, texts: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return one finding for each code of rejected rows. read: how many rows came in, the rejected ones included.
    texts: what a code says, where it is not of bars."""
    said = _TEXT if texts is None else texts
    share = sum(counts.values()) / max(read, 1)
    severity = Verdict.USABLE if share <= FEW else Verdict.SUSPECT if share <= MOST else Verdict.REJECTED
    return [
        Finding(code, severity, f"{count} of {read} rows rejected: {said.get(code, code)}", instrument, count)
        for code, count in sorted(counts.items())
    ]


_TEXT = {
    "missing_time": "the time is missing",
    "missing_close": "the close is missing",
    "not_finite": "a price or the volume is infinite, or too large for a number",
    "non_positive_price": "a price is not positive",
    "high_below_low": "high lies below low",
    "negative_volume": "the volume is negative",
    "future_time": "the bar ends after it was observed",
    "known_too_early": "known_at lies before the end of the bar",
    "conflicting_rows": "another row has the same time and other values",
    "unparseable": "a value cannot be read",
}


def _reason(close_only: bool) -> pl.Expr:
    prices = [pl.col("close")] if close_only else [pl.col(name) for name in VALUES[:4]]
    endless = pl.any_horizontal(each.is_infinite().fill_null(False) for each in (*prices, pl.col("volume")))
    bad = pl.any_horizontal((price <= 0).fill_null(False) for price in prices)
    return (
        pl.when(pl.col("time").is_null()).then(pl.lit("missing_time"))
        .when(pl.col("close").is_null()).then(pl.lit("missing_close"))
        .when(endless).then(pl.lit("not_finite"))
        .when(bad).then(pl.lit("non_positive_price"))
        .when(((pl.col("low") - pl.col("high")) > ROUNDING * pl.col("close")).fill_null(False) & (not close_only))
        .then(pl.lit("high_below_low"))
        .when((pl.col("volume") < 0).fill_null(False)).then(pl.lit("negative_volume"))
        .when((pl.col("time") > pl.col("observed_at")).fill_null(False)).then(pl.lit("future_time"))
        .when((pl.col("known_at") < pl.col("time")).fill_null(False)).then(pl.lit("known_too_early"))
    )  # fmt: skip


def _detail() -> pl.Expr:
    seen = pl.format(
        "open {}, high {}, low {}, close {}, volume {}",
        *(pl.col(name).cast(pl.String).fill_null("missing") for name in VALUES),
    )
    return (pl.col("code").replace(_TEXT) + ": " + seen).alias("detail")


def _distinct(usable: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    if (usable["time"].diff() > 0).fill_null(True).all():
        return usable, usable.clear().with_columns(pl.lit("conflicting_rows").alias("code"))
    distinct = usable.unique(subset=["time", "observed_at", *VALUES], keep="first", maintain_order=True)
    clash = pl.len().over("time", "observed_at") > 1
    conflicting = distinct.filter(clash).with_columns(pl.lit("conflicting_rows").alias("code"))
    return distinct.filter(~clash), conflicting


def _rejections(rejected: pl.DataFrame, read: int, instrument: str) -> Iterator[Finding]:
    counts = dict(rejected.group_by("code").len().iter_rows())
    for finding in rejection_findings(counts, read, instrument):
        times = rejected.filter(pl.col("code") == finding.code)["time"].drop_nulls().head(ROWS_KEPT).to_list()
        yield Finding(finding.code, finding.severity, finding.detail, finding.instrument, finding.count, tuple(times))


def _input_findings(
    frame: pl.DataFrame, usable: pl.DataFrame, distinct: pl.DataFrame, instrument: str
) -> Iterator[Finding]:
    duplicates = usable.height - distinct.height
    if duplicates:
        left_out = usable.join(distinct.select("position"), on="position", how="anti")
        times = tuple(left_out["time"].head(ROWS_KEPT).to_list())
        detail = f"{duplicates} of {frame.height} rows repeat another row in every value; one of each was kept"
        yield Finding("duplicate_rows", Verdict.USABLE, detail, instrument, duplicates, times)
    order = frame["time"].drop_nulls()
    back = (order.diff() < 0).fill_null(False)
    if back.any():
        where = tuple(order.filter(back).head(ROWS_KEPT).to_list())
        detail = f"{back.sum()} of {frame.height} rows come after a later one; they were sorted"
        yield Finding("unordered_rows", Verdict.USABLE, detail, instrument, int(back.sum()), where)
