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
| outlier_return      | kept     | usable, suspect above MANY of the rows    | far outside of what is usual around it  |
| range_outlier       | kept     | usable, suspect above FEW of the rows     | high or low out of all proportion       |
| repeated_block      | kept     | suspect                                   | closes and volumes of an earlier time   |
| stale_run           | kept     | usable, suspect above MANY of the rows    | the same close again and again          |
| zero_volume         | kept     | usable, suspect above MANY (no index)     | no volume while other bars have some    |
| missing_volume      | kept     | usable, suspect above MANY (no index)     | no volume is given while others have it |
| volume_level        | kept     | usable                                    | the usual volume changes for good       |
| flat_bars           | kept     | from FEW usable, above MOST suspect       | one price for open, high, low and close |
| no_volume           | kept     | usable                                    | no bar has any volume                   |
| close_only          | -        | usable                                    | the source has closes only              |
| pre_adjusted        | -        | usable                                    | prices were adjusted by the source      |
| no_rows             | -        | rejected                                  | nothing is left to use                  |

(*) usable up to FEW of the rows read, suspect up to MOST, above that rejected.

Where actions are known, moves are total returns: a split or a dividend is neither a jump nor an outlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from tradewright.market.arrays import Action
from tradewright.market.checks.moves import actions_without_jump, outliers, split_like_jumps
from tradewright.market.checks.presence import gaps
from tradewright.market.checks.repetition import repeated_blocks, stale_runs
from tradewright.market.checks.series import Series
from tradewright.market.checks.shapes import flat_bars, missing_prices, price_outside_range, range_outliers
from tradewright.market.checks.sifting import sift
from tradewright.market.checks.volumes import volume_levels, zero_volumes
from tradewright.market.frames import resolve
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import DataVerdict, Finding, Verdict


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
    series = Series(instrument, interval, current, close_only, pre_adjusted, () if pre_adjusted else actions)
    flags = []
    if close_only:
        flags.append(Finding("close_only", Verdict.USABLE, "only closes: fills happen at closes", instrument.id))
    if pre_adjusted:
        detail = "prices were adjusted by the source: traded as if raw, without actions"
        flags.append(Finding("pre_adjusted", Verdict.USABLE, detail, instrument.id))
    return flags + [finding for check in _CHECKS for finding in check(series)]


_CHECKS: tuple[Callable[[Series], Iterator[Finding]], ...] = (
    missing_prices,
    price_outside_range,
    gaps,
    split_like_jumps,
    actions_without_jump,
    outliers,
    stale_runs,
    zero_volumes,
    flat_bars,
    range_outliers,
    repeated_blocks,
    volume_levels,
)
