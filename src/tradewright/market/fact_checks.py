"""Checks over the facts of one instrument: what is strange about those that are stored, every vintage of them.

Values of one name, unit and length of period are a line of their own. Its frequency is the usual distance between the
ends of its periods: a day, a week, two weeks, a month, a quarter, half a year or a year; a line is regular when it has
LEAST_PERIODS periods and REGULAR of the distances are of that length. Of a macro series what is absent and overdue is
told by its regular lines. The values of filings have gaps by their nature (the fourth quarter stands in no report of
its own): of a company the next publication is awaited, twice as long as was usual between the last LATEST.

| code               | severity                                   | what it says                                       |
| ------------------ | ------------------------------------------ | -------------------------------------------------- |
| missing_value      | by share of rejected rows, as for bars     | no value, or one that is not finite                |
| known_too_early    | likewise                                   | it was known before its period had ended           |
| future_time        | likewise                                   | it was known only after it was received            |
| conflicting_values | usable up to FEW of the rows, else suspect | two values of one period, known at the same moment |
| unit_jump          | suspect                                    | a steady line moves by a thousand or a million     |
| outlier_value      | usable                                     | a move beyond OUTLIER_Z robust deviations          |
| missing_periods    | usable, suspect above MANY of expected     | periods of a regular line that are absent          |
| stale_facts        | usable up to LATE_BARS, else suspect       | the next period or publication is overdue          |
| no_vintages        | usable                                     | the source gives the values of today               |
| no_rows            | rejected                                   | nothing is left to use                             |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tradewright.clock import DAY_US, format_us
from tradewright.market.checks.moves import OUTLIER_Z
from tradewright.market.checks.thresholds import FEW, MAD_TO_SIGMA, MANY, ROWS_KEPT
from tradewright.market.freshness import LATE_BARS
from tradewright.market.instruments import Instrument, Kind
from tradewright.market.verdicts import Finding, Verdict

LEAST_PERIODS = 8
REGULAR = 0.8
OUTLIER_PERIODS = 30  # of a line, below which no move is called far
UNIT_PERIODS = 6
UNIT_STEPS = (3.0, 6.0)  # decimal digits that a wrong unit moves a value by
UNIT_TOLERANCE = 0.2  # digits
STEADY = 0.15  # digits: the usual move of a line in which a jump of a unit can be told
LATEST = 8  # periods, or publications, that tell what is usual

_FREQUENCIES = (  # the usual distance in days: from, to, and the longest one that leaves nothing out
    (1.0, 1.0, 1.0, 5.0),  # a weekend with holidays on both sides
    (6.0, 8.0, 7.0, 9.0),
    (13.0, 15.0, 14.0, 16.0),
    (27.0, 32.0, 30.4375, 35.0),
    (83.0, 99.0, 91.3125, 105.0),
    (175.0, 190.0, 182.625, 200.0),
    (357.0, 378.0, 365.25, 400.0),
)
_KEY = ["name", "unit", "period_start", "period_end"]
_LINE = ["name", "unit", "length"]


@dataclass(frozen=True, slots=True, eq=False)
class FactsChecked:
    """What the checks saw. current: of each period the vintage known last. due_us: from when on something newer is
    overdue, 0 when nothing says it."""

    findings: tuple[Finding, ...]
    current: pl.DataFrame
    due_us: int


def check_facts(facts: pl.DataFrame, instrument: Instrument, vintages: bool, until_us: int) -> FactsChecked:
    """Return what is strange about the facts of one instrument.

    facts: columns of `dated.FACTS` and observed_at, every vintage a row. vintages: the source says of each since when
    it could be known. until_us: what could be known by then is expected.
    """
    if not facts.height:
        return FactsChecked((Finding("no_rows", Verdict.REJECTED, "no fact can be used", instrument.id),), facts, 0)
    lines, macro = _lines(facts), instrument.kind is Kind.MACRO
    due_us, usual_us = _due(facts, lines, vintages) if macro else _due_publication(facts)
    findings = [
        *_conflicts(facts, instrument.id),
        *_unit_jumps(lines, instrument.id),
        *_outliers(lines, instrument.id),
        *(_gaps(lines, instrument.id) if macro else ()),
        *_stale(lines, instrument.id, due_us, usual_us, until_us),
    ]
    if not vintages:
        detail = "the source gives the values of today: they count as known from when they were fetched"
        findings.append(Finding("no_vintages", Verdict.USABLE, detail, instrument.id))
    return FactsChecked(tuple(findings), lines, due_us)


def _lines(facts: pl.DataFrame) -> pl.DataFrame:
    # of each period the vintage known last, line after line; with what the checks need to know of its line
    days = (pl.col("period_end") - pl.col("period_start")) / DAY_US
    step = (pl.col("period_end").diff().over(_LINE) / DAY_US).alias("step")
    usual = pl.col("step").median().over(_LINE)
    current = facts.sort("known_at", "observed_at").unique(_KEY, keep="last", maintain_order=True)
    lines = current.with_columns(_of_frequency(days, 2).alias("length")).sort(*_LINE, "period_end", nulls_last=False)
    lines = lines.with_columns(step, pl.len().over(_LINE).alias("periods"))
    lines = lines.with_columns(
        pl.col("value").shift().over(_LINE).alias("before"),
        _of_frequency(usual, 2).alias("usual"),
        _of_frequency(usual, 3).alias("longest"),
    )
    share = (pl.col("step") <= pl.col("longest")).mean().over(_LINE)
    regular = (pl.col("periods") >= LEAST_PERIODS) & (share >= REGULAR)
    return lines.with_columns(regular.fill_null(False).alias("regular"))


def _of_frequency(days: pl.Expr, column: int) -> pl.Expr:
    made = pl.lit(None, pl.Float64)
    for frequency in _FREQUENCIES:
        made = pl.when(days.is_between(frequency[0], frequency[1])).then(frequency[column]).otherwise(made)
    return made


def _conflicts(facts: pl.DataFrame, instrument: str) -> Iterator[Finding]:
    moments = facts.group_by(*_KEY, "known_at").agg(pl.col("value").n_unique().alias("values"))
    clash = moments.filter(pl.col("values") > 1).sort("period_end")
    if clash.height:
        severity = Verdict.USABLE if clash.height <= FEW * facts.height else Verdict.SUSPECT
        yield _finding(
            "conflicting_values", severity, "two values of one period, known at one moment", instrument, clash
        )


def _unit_jumps(lines: pl.DataFrame, instrument: str) -> Iterator[Finding]:
    jumps = lines.filter(_unit_jump())
    if jumps.height:
        row = jumps.row(0, named=True)
        detail = f"a steady line moves by a thousand or a million (first: from {row['before']:g} to {row['value']:g})"
        yield _finding("unit_jump", Verdict.SUSPECT, detail, instrument, jumps)


def _unit_jump() -> pl.Expr:
    digits = (pl.col("value").abs().log10() - pl.col("before").abs().log10()).abs()
    steady = (digits.median().over(_LINE) < STEADY) & (pl.col("periods") >= UNIT_PERIODS)
    return steady & pl.any_horizontal((digits - step).abs() < UNIT_TOLERANCE for step in UNIT_STEPS)


def _outliers(lines: pl.DataFrame, instrument: str) -> Iterator[Finding]:
    long = lines.filter(pl.col("periods") >= OUTLIER_PERIODS)
    positive = (pl.col("value") > 0).all().over(_LINE)
    move = pl.when(positive).then(pl.col("value").log() - pl.col("before").log())
    long = long.with_columns(move.otherwise(pl.col("value") - pl.col("before")).alias("move"))
    long = long.with_columns((pl.col("move") - pl.col("move").median().over(_LINE)).abs().alias("size"))
    robust = MAD_TO_SIGMA * pl.col("size").median().over(_LINE)
    sigma = pl.when(robust > 0).then(robust).otherwise(pl.col("move").std().over(_LINE))
    far = long.filter((pl.col("size") > OUTLIER_Z * sigma) & (sigma > 0) & ~_unit_jump().fill_null(False))
    if far.height:
        row = far.row(0, named=True)
        detail = f"a move beyond {OUTLIER_Z:g} robust deviations (first: from {row['before']:g} to {row['value']:g})"
        yield _finding("outlier_value", Verdict.USABLE, detail, instrument, far)


def _gaps(lines: pl.DataFrame, instrument: str) -> Iterator[Finding]:
    regular = lines.filter("regular")
    day = pl.from_epoch(pl.col("period_end") - 1, time_unit="us").dt.date()
    weekdays = pl.business_day_count((day - pl.duration(days=pl.col("step").fill_null(0))), day)
    absent = pl.when(pl.col("usual") == 1.0).then(weekdays).otherwise((pl.col("step") / pl.col("usual")).round()) - 1
    gaps = regular.filter(pl.col("step") > pl.col("longest")).with_columns(absent.alias("absent"))
    if gaps.height:
        count = int(gaps["absent"].sum())
        severity = Verdict.SUSPECT if count > MANY * (regular.height + count) else Verdict.USABLE
        detail = f"{count} periods are absent among {regular.height} of regular lines"
        yield _finding("missing_periods", severity, detail, instrument, gaps, count)


def _due(facts: pl.DataFrame, lines: pl.DataFrame, vintages: bool) -> tuple[int, int]:
    first = facts.group_by(_KEY).agg((pl.col("known_at") - pl.col("period_end")).min().alias("lag"))
    known = lines.filter("regular").join(first, on=_KEY, nulls_equal=True, maintain_order="left")
    if not known.height:
        return 0, 0
    newest = known.group_by(_LINE, maintain_order=True).agg(
        pl.col("period_end").max(), (pl.col("usual").first() * DAY_US).cast(pl.Int64), pl.col("lag").tail(LATEST).max()
    )
    grace = pl.max_horizontal(pl.col("usual") // 4, 3 * DAY_US)
    wait = pl.col("usual") + pl.col("lag") + grace if vintages else 3 * pl.col("usual")
    row = newest.with_columns((pl.col("period_end") + wait).alias("due")).sort("due").row(-1, named=True)
    return int(row["due"]), int(row["usual"])


def _due_publication(facts: pl.DataFrame) -> tuple[int, int]:
    moments = facts["known_at"].unique().sort().tail(LATEST + 1)
    if moments.len() <= LATEST:
        return 0, 0
    usual_us = int(moments.diff().median())  # type: ignore[arg-type] # of integers
    return int(moments[-1]) + 2 * usual_us, usual_us


def _stale(lines: pl.DataFrame, instrument: str, due_us: int, usual_us: int, until_us: int) -> Iterator[Finding]:
    if not due_us or until_us <= due_us:
        return
    overdue = 1 + (until_us - due_us) // usual_us
    severity = Verdict.USABLE if overdue <= LATE_BARS else Verdict.SUSPECT
    newest_us = int(lines["period_end"].max())  # type: ignore[arg-type] # of integers
    newest = f"the newest period ended {format_us(newest_us)}"
    detail = f"{newest}; by what is usual something newer was to be known by {format_us(due_us)}"
    yield Finding("stale_facts", severity, detail, instrument, int(overdue), (newest_us,))


def _finding(
    code: str, severity: Verdict, detail: str, instrument: str, rows: pl.DataFrame, count: int | None = None
) -> Finding:
    about = sorted({name for name in rows["name"].to_list() if name})
    names = f" ({', '.join(about[:3])}{' and others' if len(about) > 3 else ''})" if about else ""
    number = rows.height if count is None else count
    told = detail if count is not None else f"{number} rows: {detail}"
    times = tuple(rows["period_end"].sort().head(ROWS_KEPT).to_list())
    return Finding(code, severity, f"{told}{names}", instrument, number, times)
