"""Checks over the bars of one instrument: which rows can be used, and what is wrong with the rest and the whole.

Rows that cannot be used are handed back with a code and a sentence; nothing disappears. Of rows that are equal in every
value one is kept and the others are counted.

| code                | row is   | severity                                  | what it says                            |
| ------------------- | -------- | ----------------------------------------- | --------------------------------------- |
| missing_time        | rejected | by share of rejected rows (*)             | no time                                 |
| missing_close       | rejected | (*)                                       | close is missing or NaN                 |
| not_finite          | rejected | (*)                                       | a price or the volume is infinite       |
| non_positive_price  | rejected | (*)                                       | a price is zero or negative             |
| high_below_low      | rejected | (*)                                       | high < low by more than ROUNDING        |
| negative_volume     | rejected | (*)                                       | the volume is negative                  |
| future_time         | rejected | (*)                                       | the bar ends after it was observed      |
| known_too_early     | rejected | (*)                                       | known_at lies before the bar's end      |
| conflicting_rows    | rejected | (*)                                       | same time and arrival, different values |
| duplicate_rows      | one kept | usable                                    | same time, equal in every value         |
| unordered_rows      | kept     | usable                                    | times did not ascend; sorted            |
| missing_prices      | kept     | usable, suspect above MANY of the rows    | open, high or low is missing            |
| price_outside_range | kept     | usable within ROUNDING, else suspect      | open or close outside low..high         |
| missing_rows        | kept     | usable, suspect above MANY of expected    | bars of the calendar that are absent    |
| off_calendar        | kept     | suspect for closed days, else usable      | a bar at a time that is not expected    |
| split_like_jump     | kept     | suspect (raw equity prices only)          | a split that no action tells of         |
| action_without_jump | kept     | suspect (raw prices only)                 | a split that the prices do not show     |
| price_spike         | kept     | suspect                                   | an outlier that the next bar takes back |
| outlier_return      | kept     | usable                                    | far outside of what is usual around it  |
| stale_run           | kept     | usable, suspect above MANY of the rows    | the same close again and again          |
| zero_volume         | kept     | usable, suspect above MANY (no index)     | no volume while other bars have some    |
| flat_bars           | kept     | from FEW usable, above MOST suspect       | one price for open, high, low and close |
| no_volume           | kept     | usable                                    | no bar has any volume                   |
| close_only          | -        | usable                                    | the source has closes only              |
| pre_adjusted        | -        | usable                                    | prices were adjusted by the source      |
| revised             | -        | usable                                    | history is filled in without vintages   |
| no_rows             | -        | rejected                                  | nothing is left to use                  |

(*) usable up to FEW of the rows read, suspect up to MOST, above that rejected.

Where actions are known, moves are total returns: a split or a dividend is neither a jump nor an outlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewright.market.actions import became_of_a_unit
from tradewright.market.arrays import Action, Flags, Floats, Positions, Times
from tradewright.market.calendars import coverage, on_closed_days
from tradewright.market.frames import VALUES, resolve
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.market.verdicts import DataVerdict, Finding, Verdict

ROUNDING = 2e-3  # relative; published prices are rounded, adjusted ones twice
FEW = 0.01
MANY = 0.05
MOST = 0.20
OUTLIER_Z = 20.0
NEARBY = 30  # bars on each side whose moves say what is usual there
TICKS = 2.5  # a move of so many of the smallest steps of price is none, however rarely the price moves
SPIKE_RETURN = 0.2  # a spike is taken back to within this share of itself
SPIKE_ALWAYS = 0.2  # a move that is taken back is a spike from here on, even if the market traded on from it
STALE_ROWS = {Interval.DAY: 10, Interval.HOUR: 24}
STALE_ROWS_INTRADAY = 60
SPLIT_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0)
SPLIT_TOLERANCE = 0.03  # from close to open; the market moves overnight, too
SPLIT_CLOSE_TOLERANCE = 0.02  # from close to close, where the open is still on the old terms
SPLIT_ONLY_CLOSES = 0.06  # from close to close, where there is no open: a day's move comes on top
SPLIT_SEEN = 1.2  # a smaller one than this, or its inverse, cannot be told from the moves of a day
ROWS_KEPT = 20  # times named in a finding
MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, normal law
REVISED = Finding(
    "revised",
    Verdict.USABLE,
    "history is filled in without vintages: a value may not be what was published at its time",
)


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


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What the checks made of a frame of bars: as in `Sifted`, and the verdict over all that was found."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    duplicates: int
    verdict: DataVerdict


def check_bars(
    frame: pl.DataFrame, instrument: Instrument, interval: Interval, *, close_only: bool, pre_adjusted: bool
) -> Checked:
    """Return what can be used of a canonical frame of one series, what cannot, and the verdict.

    pre_adjusted: jumps are not read as splits. The rest is as in `sift`.
    """
    sifted = sift(frame, instrument, close_only=close_only)
    series = series_findings(sifted.accepted, instrument, interval, close_only=close_only, pre_adjusted=pre_adjusted)
    verdict = DataVerdict.of([*sifted.findings, *series])
    return Checked(sifted.accepted, sifted.rejected, sifted.duplicates, verdict)


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


def series_findings(
    frame: pl.DataFrame,
    instrument: Instrument,
    interval: Interval,
    *,
    close_only: bool,
    pre_adjusted: bool,
    actions: Sequence[Action] = (),
) -> list[Finding]:
    """Return what the checks see in accepted rows: everything of the table above that rejects no row.

    frame: usable rows of one series; of revisions the latest counts. actions: those of this instrument; raw prices
    show them.
    """
    current = resolve(frame)
    if current.height == 0:
        return [Finding("no_rows", Verdict.REJECTED, "no row can be used", instrument.id)]
    series = _Series(instrument, interval, current, close_only, pre_adjusted, () if pre_adjusted else actions)
    flags = []
    if close_only:
        flags.append(Finding("close_only", Verdict.USABLE, "only closes: fills happen at closes", instrument.id))
    if pre_adjusted:
        detail = "prices were adjusted by the source: traded as if raw, without actions"
        flags.append(Finding("pre_adjusted", Verdict.USABLE, detail, instrument.id))
    return flags + [finding for check in _CHECKS for finding in check(series)]


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


class _Series:
    """Arrays of one resolved series, as the checks below read them.

    returns, opening: (T - 1,) log total returns from close to close and from close to open. unshown: (T,) rows on whose
    splits the prices say nothing.
    """

    def __init__(
        self,
        instrument: Instrument,
        interval: Interval,
        frame: pl.DataFrame,
        close_only: bool,
        pre_adjusted: bool,
        actions: Sequence[Action],
    ) -> None:
        self.instrument, self.interval = instrument, interval
        self.close_only, self.pre_adjusted = close_only, pre_adjusted
        self.times: Times = frame["time"].to_numpy()
        self.open, self.high, self.low, self.close, self.volume = (
            frame[name].fill_null(np.nan).to_numpy() for name in VALUES
        )
        units, self._cash = became_of_a_unit(self.times, actions)
        self.unshown = self._unshown(np.log(units[1:]))
        self._units = np.where(self.unshown, 1.0, units)
        self.returns = self._grown(self.close)

    @cached_property
    def opening(self) -> Floats:
        return self._grown(self.open)

    def _grown(self, price: Floats) -> Floats:
        return np.asarray(np.log((price * self._units + self._cash)[1:] / self.close[:-1]))

    def _unshown(self, splits: Floats) -> Flags:
        unshown = np.zeros(len(self.close), dtype=np.bool_)
        large = np.flatnonzero(np.abs(splits) > np.log(SPLIT_SEEN))
        for price in (self.open, self.close):  # both must be nearer to no split than to this one, if there are both
            moves = np.log(price[large + 1] / self.close[large])
            unshown[large + 1] = ~(np.abs(moves + splits[large]) < np.abs(moves))
            large = large[unshown[large + 1]]
        return unshown

    def __len__(self) -> int:
        return len(self.times)

    def finding(self, code: str, severity: Verdict, detail: str, rows: NDArray[Any]) -> Finding:
        """rows: a mask over, or positions in, the series."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        times = tuple(int(t) for t in self.times[at[:ROWS_KEPT]])
        return Finding(code, severity, f"{len(at)} of {len(self)} rows: {detail}", self.instrument.id, len(at), times)

    def by_share(self, rows: Flags) -> Verdict:
        return Verdict.SUSPECT if rows.mean() > MANY else Verdict.USABLE


def _missing_prices(series: _Series) -> Iterator[Finding]:
    missing = np.isnan(series.open) | np.isnan(series.high) | np.isnan(series.low)
    if not series.close_only and missing.any():
        detail = "open, high or low is missing"
        yield series.finding("missing_prices", series.by_share(missing), detail, missing)


def _price_outside_range(series: _Series) -> Iterator[Finding]:
    if series.close_only:
        return
    top, bottom = np.fmax(series.open, series.close), np.fmin(series.open, series.close)
    beyond = np.fmax(top - series.high, series.low - bottom)
    rounding = ROUNDING * series.close
    far, near = beyond > rounding, (beyond > 1e-9 * series.close) & (beyond <= rounding)
    if far.any():
        yield series.finding("price_outside_range", Verdict.SUSPECT, "open or close lies outside low..high", far)
    if near.any():
        detail = "open or close lies outside low..high by no more than rounding"
        yield series.finding("price_outside_range", Verdict.USABLE, detail, near)


def _gaps(series: _Series) -> Iterator[Finding]:
    calendar = series.instrument.calendar
    seen = coverage(calendar, series.interval, series.times, ROWS_KEPT)
    if seen.absent:
        severity = Verdict.SUSPECT if seen.absent / seen.expected > MANY else Verdict.USABLE
        detail = f"{seen.absent} of {seen.expected} bars that calendar {calendar} expects are absent"
        rows = tuple(int(t) for t in seen.first_absent)
        yield Finding("missing_rows", severity, detail, series.instrument.id, seen.absent, rows)
    if seen.off.any():
        detail = f"at times that calendar {calendar} does not expect"
        if series.interval is Interval.DAY:
            yield series.finding("off_calendar", Verdict.SUSPECT, detail, seen.off)
            return
        off = np.flatnonzero(seen.off)
        closed = on_closed_days(calendar, series.times[off])
        if closed.any():
            made_up = f"on days on which calendar {calendar} has no session"
            yield series.finding("off_calendar", Verdict.SUSPECT, made_up, off[closed])
        if not closed.all():
            yield series.finding("off_calendar", Verdict.USABLE, detail, off[~closed])


def _split_like_jumps(series: _Series) -> Iterator[Finding]:
    if series.pre_adjusted or series.instrument.kind is not Kind.EQUITY or len(series) < 2:
        return
    opening = series.opening
    stayed = np.abs(series.returns) > 0.5 * np.abs(opening)  # else the open alone is wrong
    by_open = _like_split(opening, SPLIT_TOLERANCE) & stayed
    by_close = _like_split(series.returns, SPLIT_CLOSE_TOLERANCE)
    closes_only = np.isnan(opening) & _like_split(series.returns, SPLIT_ONLY_CLOSES)
    jumps = np.flatnonzero(by_open | by_close | closes_only) + 1
    if len(jumps):
        seen = series.close[jumps[0]] / series.close[jumps[0] - 1]
        detail = (
            f"the close moves by a usual split ratio (first: times {seen:.4g}); if it is a split, ask for that time "
            "again (`tradewright ingest` with --start), or for a source that tells of splits or adjusts for them"
        )
        yield series.finding("split_like_jump", Verdict.SUSPECT, detail, jumps)


def _actions_without_jump(series: _Series) -> Iterator[Finding]:
    if series.unshown.any():
        detail = "a split that the prices do not show: the action is wrong, or the prices are adjusted for it"
        yield series.finding("action_without_jump", Verdict.SUSPECT, detail, series.unshown)


def _like_split(moves: Floats, tolerance: float) -> Flags:
    ratios = np.asarray(SPLIT_RATIOS)
    allowed = tolerance * np.minimum(np.log2(ratios), 1.0)  # the smaller the split, the more moves are about as large
    like = np.zeros(len(moves), dtype=np.bool_)
    large = np.flatnonzero(np.abs(moves) > np.log(ratios[0]) - tolerance)
    ratio = np.exp(np.abs(moves[large]))
    like[large] = np.any(np.abs(ratio[:, None] / ratios - 1.0) < allowed, axis=1)
    return like


def _outliers(series: _Series) -> Iterator[Finding]:
    moves = series.returns
    if len(moves) < 30:
        return
    centre = np.median(moves)
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(moves - centre)))
    if sigma <= 0.0:
        sigma = float(np.std(moves))
    if sigma <= 0.0:
        return
    sizes = np.abs(moves - centre)
    far = _far(series, sizes, sigma)
    if not len(far):
        return
    spikes = far[_taken_back(series, far)]
    others = np.setdiff1d(far, np.concatenate([spikes, spikes + 1]))
    others = others[_far_for_their_place(series, sizes, sigma, others)]
    for code, severity, which, text in (
        ("price_spike", Verdict.SUSPECT, spikes, "an outlier that the next bar takes back"),
        ("outlier_return", Verdict.USABLE, others, f"a log return beyond {OUTLIER_Z:g} robust standard deviations"),
    ):
        if len(which):
            yield series.finding(code, severity, text, which + 1)


def _far(series: _Series, sizes: Floats, sigma: float) -> Positions:
    far = np.flatnonzero(sizes > OUTLIER_Z * sigma)
    if len(far):
        steps = np.abs(np.diff(series.close))
        far = far[steps[far] > TICKS * steps[steps > 0.0].min()]
    return far


def _taken_back(series: _Series, far: Positions) -> Flags:
    """Which moves the next bar takes back, at its open already or so large that no market does both."""
    last = len(series.returns) - 1
    moves, following = series.returns[far], np.where(far < last, series.returns[np.minimum(far + 1, last)], 0.0)
    back = series.opening[np.minimum(far + 1, last)]
    traded_on = (np.abs(moves + back) >= SPIKE_RETURN * np.abs(moves)) & (np.abs(moves) < SPIKE_ALWAYS)
    return np.asarray((np.abs(moves + following) < SPIKE_RETURN * np.abs(moves)) & ~traded_on)


def _far_for_their_place(series: _Series, sizes: Floats, sigma: float, at: Positions) -> Flags:
    """Which moves are far among their neighbours, and for the time that passed, too."""
    window = min(2 * NEARBY + 1, len(sizes))
    begin = np.clip(at - NEARBY, 0, len(sizes) - window)
    local = np.median(np.lib.stride_tricks.sliding_window_view(sizes, window)[begin], axis=1)
    passed = np.maximum((series.times[at + 1] - series.times[at]) / series.interval.us, 1.0)
    return np.asarray(sizes[at] > OUTLIER_Z * np.maximum(sigma, MAD_TO_SIGMA * local) * np.sqrt(passed))


def _stale_runs(series: _Series) -> Iterator[Finding]:
    least = STALE_ROWS.get(series.interval, STALE_ROWS_INTRADAY)
    starts = np.flatnonzero(np.append(True, np.diff(series.close) != 0))
    lengths = np.diff(np.append(starts, len(series)))
    stale = np.repeat(lengths >= least, lengths)
    if stale.any():
        detail = f"the same close {least} times in a row or more (longest: {lengths.max()})"
        yield series.finding("stale_run", series.by_share(stale), detail, stale)


def _volumes(series: _Series) -> Iterator[Finding]:
    if series.close_only:
        return
    if not np.any(series.volume > 0):
        yield Finding("no_volume", Verdict.USABLE, "no bar has any volume", series.instrument.id, len(series))
        return
    zero = series.volume == 0
    if zero.any():
        severity = Verdict.USABLE if series.instrument.kind is Kind.INDEX else series.by_share(zero)
        yield series.finding("zero_volume", severity, "the volume is zero", zero)


def _flat_bars(series: _Series) -> Iterator[Finding]:
    if series.close_only:
        return
    flat = np.flatnonzero(series.high == series.low)
    if len(flat) <= FEW * len(series):
        return
    traded = bool(np.any(series.volume > 0))
    one_price = (series.open[flat] == series.close[flat]) & (series.close[flat] == series.high[flat])
    flat = flat[one_price & ((series.volume[flat] > 0) | (not traded))]
    share = len(flat) / len(series)
    if share > FEW:
        severity = Verdict.SUSPECT if share > MOST and traded else Verdict.USABLE
        detail = "open, high, low and close are one price: a single trade, or a bar that somebody made of one"
        yield series.finding("flat_bars", severity, detail, flat)


_CHECKS: tuple[Callable[[_Series], Iterator[Finding]], ...] = (
    _missing_prices,
    _price_outside_range,
    _gaps,
    _split_like_jumps,
    _actions_without_jump,
    _outliers,
    _stale_runs,
    _volumes,
    _flat_bars,
)
