"""What several sources say of the same bars: who is outvoted, who disagrees, whose prices are on another scale.

Each source has a level, the usual ratio of its prices to those of the others around a bar: 1 where both are raw, 7
before a split that only one of them adjusts for. Bars are compared with the levels taken out, so a split or a dividend
that one source adjusts for is no error. The level is the nearer one of the medians before and after the bar, without
the bar itself: it changes where a ratio changes for good, and a wrong row does not move it. At each time the median of
the sources stands for the price; a row further from it than the tolerance deviates. Volumes are not compared: sources
count different venues.

Sources that give the prices of one market have one vote together, each a share of it: they are wrong together. Where
nobody else has a bar, each has a vote.

| code               | severity                       | what it says                                               |
| ------------------ | ------------------------------ | ---------------------------------------------------------- |
| source_deviates    | usable up to FEW, else suspect | a majority of at least three markets has another price     |
| sources_disagree   | usable up to FEW, else suspect | two markets, or several without a majority: it stays open  |
| scaled_differently | usable                         | a constant factor to the others: adjusted by one of them   |
| another_level      | suspect above LEVEL_APART      | the same of coins and currencies, which nobody adjusts     |

FEW is that of the checks, a share of the bars that can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from tradewright.ids import Owner
from tradewright.market.arrays import Flags, Floats, Times
from tradewright.market.catalog import Catalog
from tradewright.market.checks import FEW, MAD_TO_SIGMA, ROWS_KEPT
from tradewright.market.frames import resolve
from tradewright.market.instruments import FACT, Instrument, Interval, Kind
from tradewright.market.records import finding_from_json, finding_to_json
from tradewright.market.verdicts import DataVerdict, Finding, Verdict
from tradewright.storage import series as store
from tradewright.storage.database import Tx

CODES = frozenset({"source_deviates", "sources_disagree", "scaled_differently", "another_level"})
UNADJUSTED = (Kind.CRYPTO, Kind.FX)  # no splits, no dividends: nothing to adjust for
LEVEL_APART = 0.01  # relative: venues that trade the same differ by less for long
FLOOR = {Interval.DAY: 2e-3, Interval.HOUR: 1.5e-3}  # relative; official and last prices differ by about as much
FLOOR_WITHIN_THE_HOUR = 1e-3
FLOORS_OPEN = 5.0  # floors: an opening auction and a first trade differ by more than two closes do
FLOORS_EXTREME = 2.5  # floors: one trade that a source leaves out is the high or low of another
SPREADS = 12.0  # a deviation counts from so many of the usual spreads between the sources
LEVEL_ROWS = 7  # bars on one side whose ratio is the level there: up to three wrong ones in a row do not move it
LEVEL_LEAST = 3  # fewer bars have no level of their own
_ROUNDS = 3  # of estimating prices from levels and levels from prices
_DECIMALS = 8
_TIE = 1e-9  # of a vote
_PRICES = {"close": 1.0, "open": FLOORS_OPEN, "high": FLOORS_EXTREME, "low": FLOORS_EXTREME}


def consensus(
    frames: Mapping[str, pl.DataFrame], interval: Interval, markets: Mapping[str, str] | None = None
) -> dict[str, tuple[Finding, ...]]:
    """Return what comparing them says of each source.

    frames: canonical frames of one instrument and interval by source, raw or adjusted, with closes at least; of
    revisions the latest counts. markets: whose prices a source gives, where that is not its own. Sources without a bar
    that another has too get no finding.
    """
    names = sorted(frames)
    current = {name: resolve(frames[name]) for name in names}
    if len(names) < 2:
        return dict.fromkeys(names, ())
    times, prices, allowance = _wide([current[name] for name in names])
    given = [(markets or {}).get(name, name) for name in names]
    votes = np.isfinite(prices[0])
    compared = votes & (votes.sum(axis=1) > 1)[:, None]
    weights = _weights(votes, given)
    levels = _levels(prices[0], weights)
    floor = FLOOR.get(interval, FLOOR_WITHIN_THE_HOUR)
    outvoted, open_question = np.zeros_like(votes), np.zeros_like(votes)
    fields: dict[str, Flags] = {}
    tolerances: list[Floats] = []
    for (field, floors), logs in zip(_PRICES.items(), prices, strict=True):
        shares = _weights(np.isfinite(logs), given)
        apart = _apart(logs - levels, shares)
        allowed = max(floors * floor, SPREADS * _spread(apart)) + allowance
        tolerances.append(allowed)
        wrong, unclear = _judged(apart, allowed, shares)
        fields[field] = wrong | unclear
        outvoted |= wrong
        open_question |= unclear
    open_question &= ~outvoted
    scaled, factors = _scaled(np.where(compared, levels, np.nan), 2.0 * tolerances[0], weights)
    differ = f"the prices of {_counted(given)} differ, and no majority says which is right"
    found: dict[str, tuple[Finding, ...]] = {}
    for column, name in enumerate(names):
        instrument = str(current[name]["instrument"][0]) if current[name].height else ""
        differing = {field: rows[:, column] for field, rows in fields.items()}
        told = _Told(instrument, times, int(compared[:, column].sum()), differing)
        findings = (
            told.deviation("source_deviates", "other sources agree on another price", outvoted[:, column]),
            told.deviation("sources_disagree", differ, open_question[:, column]),
            told.scale(factors[column], scaled[:, column]),
        )
        found[name] = tuple(finding for finding in findings if finding.count)
    return found


def _counted(markets: Sequence[str]) -> str:
    several = len(set(markets))
    return f"{len(markets)} sources" + ("" if several in (1, len(markets)) else f" of {several} markets")


def _weights(votes: Flags, markets: Sequence[str]) -> Floats:
    """The vote of each source in each row, (T, sources), 0 without a value: a whole one for each market, and for each
    source where there is one market."""
    weights = votes.astype(np.float64)
    if len(set(markets)) == len(markets):
        return weights
    columns = [np.array([each == market for each in markets]) for market in dict.fromkeys(markets)]
    present = np.column_stack([votes[:, mine].any(axis=1) for mine in columns])
    several = present.sum(axis=1) > 1
    for mine in columns:
        together = votes[:, mine].sum(axis=1)
        weights[:, mine] /= np.where(several & (together > 0), together, 1)[:, None]
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    instrument: str
    times: Times
    compared: int
    fields: Mapping[str, Flags]

    def deviation(self, code: str, detail: str, rows: Flags) -> Finding:
        severity = Verdict.SUSPECT if int(rows.sum()) > FEW * self.compared else Verdict.USABLE
        each = {field: int((rows & differing).sum()) for field, differing in self.fields.items()}
        return self._finding(code, severity, f"{detail} ({', '.join(f'{f} {n}' for f, n in each.items() if n)})", rows)

    def scale(self, factor: float, rows: Flags) -> Finding:
        level = f"the level is {factor:.6g} times that of other sources"
        if not self.instrument or Instrument(self.instrument).kind not in UNADJUSTED:
            return self._finding("scaled_differently", Verdict.USABLE, f"{level}: adjusted differently", rows)
        severity = Verdict.SUSPECT if abs(factor - 1.0) > LEVEL_APART else Verdict.USABLE
        why = "no split explains that: another currency, or another market"
        return self._finding("another_level", severity, f"{level}, and {why}", rows)

    def _finding(self, code: str, severity: Verdict, detail: str, rows: Flags) -> Finding:
        count = int(rows.sum())
        first = tuple(int(time) for time in self.times[rows][:ROWS_KEPT])
        return Finding(code, severity, f"{count} of {self.compared} rows: {detail}", self.instrument, count, first)


def _wide(frames: Sequence[pl.DataFrame]) -> tuple[Times, list[Floats], Floats]:
    """Times, log prices (T, sources) of each field, and the relative steps (T,) of the coarsest rounding."""
    times = np.unique(np.concatenate([frame["time"].to_numpy() for frame in frames]))
    logs = [np.full((len(times), len(frames)), np.nan) for _ in _PRICES]
    step = np.zeros(len(times))
    for column, frame in enumerate(frames):
        at = np.searchsorted(times, frame["time"].to_numpy())
        for wide, name in zip(logs, _PRICES, strict=True):
            values = frame[name].fill_null(np.nan).to_numpy()
            wide[at, column] = np.log(np.where(values > 0, values, np.nan))
        closes = frame["close"].fill_null(np.nan).to_numpy()
        step[at] = np.fmax(step[at], _rounded_to(closes) / closes)
    return times, logs, step


def _rounded_to(values: Floats) -> float:
    known = values[np.isfinite(values)]
    for decimals in range(_DECIMALS):
        if np.all(np.abs(np.round(known, decimals) - known) <= 1e-9 * np.abs(known)):
            return 10.0**-decimals if decimals else 0.0  # whole numbers may be whole for another reason
    return 0.0


def _levels(logs: Floats, weights: Floats) -> Floats:
    levels = np.zeros_like(logs)
    for _ in range(_ROUNDS):
        ratios = logs - _median(logs - levels, weights)[:, None]
        levels = np.column_stack([_level(ratios[:, column]) for column in range(logs.shape[1])])
    return np.where(np.isfinite(logs), levels, np.nan)


def _level(ratios: Floats) -> Floats:
    known = np.isfinite(ratios)
    if known.sum() < LEVEL_LEAST:
        return np.zeros_like(ratios)
    mine = pl.Series(ratios[known])
    before = _trailing(mine)
    after = _trailing(mine.reverse())[::-1]
    values = ratios[known]
    nearer = np.where(np.abs(values - before) <= np.abs(values - after), before, after)
    nearer = np.where(np.isnan(before), after, np.where(np.isnan(after), before, nearer))
    levels = np.zeros_like(ratios)
    levels[known] = np.where(np.isnan(nearer), np.median(values), nearer)
    return levels


def _trailing(values: pl.Series) -> Floats:
    medians = values.rolling_median(LEVEL_ROWS, min_samples=LEVEL_LEAST).shift(1)
    return np.asarray(medians.fill_null(np.nan).to_numpy(), dtype=np.float64)


def _apart(logs: Floats, weights: Floats) -> Floats:
    return np.asarray(logs - _median(logs, weights)[:, None])


def _median(logs: Floats, weights: Floats) -> Floats:
    """The median of each row by the votes of its values, NaN for one without a value."""
    order = np.argsort(logs, axis=1, kind="stable")  # NaN last
    ordered = np.take_along_axis(logs, order, axis=1)
    votes = np.take_along_axis(np.where(np.isfinite(logs), weights, 0.0), order, axis=1).cumsum(axis=1)
    half = votes[:, -1:] / 2.0
    row = np.arange(len(logs))
    lower, upper = np.argmax(votes >= half - _TIE, axis=1), np.argmax(votes > half + _TIE, axis=1)
    return np.asarray((ordered[row, lower] + ordered[row, upper]) / 2)


def _spread(apart: Floats) -> float:
    """The usual distance of a source from the median: the middle one of the sources, so that one bad source is none."""
    several = np.isfinite(apart).sum(axis=1) > 1
    each = [column[np.isfinite(column) & several] for column in apart.T]
    spreads = [MAD_TO_SIGMA * float(np.median(np.abs(values))) for values in each if len(values)]
    return float(np.median(spreads)) if spreads else 0.0


def _judged(apart: Floats, allowed: Floats, weights: Floats) -> tuple[Flags, Flags]:
    """Which rows of which source are outvoted, and which differ without a majority, both (T, sources)."""
    votes = np.isfinite(apart)
    many = weights.sum(axis=1)
    limit = np.where(many < 2.0 + _TIE, allowed / 2, allowed)[:, None]  # the median of two lies in the middle
    near = votes & (np.abs(np.where(votes, apart, 0.0)) <= limit)
    majority = ((many > 3.0 - _TIE) & _most(near, weights))[:, None]
    far = votes & ~near
    unclear = votes & (far.any(axis=1) & (many > 2.0 - _TIE))[:, None] & ~majority
    return far & majority, unclear


def _most(rows: Flags, weights: Floats) -> Flags:
    return np.asarray(np.where(rows, weights, 0.0).sum(axis=1) * 2 > weights.sum(axis=1) + _TIE)


def _scaled(levels: Floats, allowed: Floats, weights: Floats) -> tuple[Flags, list[float]]:
    """Which rows are on a scale that no majority shares, and the usual factor of each source to the others."""
    votes = np.isfinite(levels)
    several = weights.sum(axis=1) > 2.0 - _TIE
    scaled = np.zeros_like(votes)
    factors = []
    for column in range(levels.shape[1]):
        mine = levels[:, [column]]
        alike = votes & (np.abs(np.where(votes, levels - mine, 0.0)) <= allowed[:, None]) & votes[:, [column]]
        alone = votes[:, column] & several & ~_most(alike, weights)
        scaled[:, column] = _lasting(alone, votes[:, column])
        others = _median(np.delete(levels, column, axis=1), np.delete(weights, column, axis=1))
        known = (mine[:, 0] - others)[scaled[:, column]]
        factors.append(float(np.exp(np.median(known))) if len(known) else 1.0)
    return scaled, factors


def _lasting(rows: Flags, known: Flags) -> Flags:
    """Those of `rows` that stand in runs of at least LEVEL_ROWS, rows that are not known left out."""
    of_known = np.concatenate([[False], rows[known], [False]])
    edges = np.flatnonzero(np.diff(of_known))
    lengths = edges[1::2] - edges[::2]
    kept_rows = np.zeros(len(of_known) - 2, dtype=np.bool_)
    for_run = np.repeat(lengths >= LEVEL_ROWS, lengths)
    kept_rows[np.flatnonzero(of_known[1:-1])] = for_run
    lasting = np.zeros_like(rows)
    lasting[known] = kept_rows
    return lasting


def compare_sources(
    catalog: Catalog,
    owner: Owner,
    now_us: int,
    *,
    instruments: Sequence[str] | None = None,
    interval: Interval | None = None,
    market_of: Callable[[str, Kind], str] = lambda source, kind: source,
) -> dict[tuple[str, str, str], tuple[Finding, ...]]:
    """Compare the sources of each instrument that `owner` can read and write the findings into the verdicts of the
    series that are the owner's; return the findings by (source, instrument, interval).

    market_of: from a source and a kind of instrument to whose prices those are. Findings of an earlier comparison are
    replaced, those of the checks stay; a series that is checked again keeps
    those of the last comparison. Another verdict than before is told as an event. Raises StorageFailed.
    """
    step = None if interval is None else interval.value
    rows = catalog.database.read(store.list_series, owner, instruments=instruments, interval=step)
    groups: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["owner"] == owner):  # of one source the owner's series counts
        if row["rows"] and row["interval"] != FACT:
            groups.setdefault((row["instrument"], row["interval"]), {})[row["source"]] = row
    found: dict[tuple[str, str, str], tuple[Finding, ...]] = {}
    for (instrument, name), by_source in sorted(groups.items()):
        frames = {source: catalog.read(owner, source, [instrument], name) for source in by_source}
        markets = {source: market_of(source, Instrument(instrument).kind) for source in frames}
        for source, findings in consensus(frames, Interval.parse(name), markets).items():
            key = (source, instrument, name)
            found[key] = findings
            if by_source[source]["owner"] == owner:
                catalog.database.write(_write_down, owner, key, findings, now_us)
    return found


def _write_down(
    tx: Tx,
    owner: Owner,
    key: tuple[str, str, str],
    findings: Sequence[Finding],
    now_us: int,
) -> None:
    row = store.get_series(tx, owner, *key, lock=True)  # an ingestion may be writing down its bars
    if row is None or kept(row) == list(findings):
        return
    of_the_checks = [f for stored in row["findings"] if (f := finding_from_json(stored)).code not in CODES]
    verdict = DataVerdict.of([*of_the_checks, *(replace(f, instrument=key[1]) for f in findings)])
    told = [finding_to_json(finding) for finding in verdict.findings]
    store.save_series(tx, row | {"verdict": verdict.verdict.label, "findings": told, "checked_at": now_us})


def kept(row: Mapping[str, Any] | None) -> list[Finding]:
    """Return the findings of the last comparison in a row of table `series`, which a new check of it keeps."""
    stored = [] if row is None else row["findings"]
    return [finding_from_json(each) for each in stored if each["code"] in CODES]
