"""What several sources say of the same bars: who is outvoted, who disagrees, whose prices are on another scale.

Bars are compared with the levels (`levels.py`) taken out, so a split or a dividend that one source adjusts for is no
error. At each time the median of the sources stands for the price; a row further from it than the tolerance deviates.
The tolerance grows with the usual distance between the sources, up to a share of the usual move: sources that never
agree are not the more allowed to differ. Each pair is held against each other, too (`pairs.py`): a series that is one
bar late, that has nothing to do with the other, or whose level leaves and comes back deviates on those rows. Volumes
are not compared: sources count different venues.

Sources that give the prices of one market have one vote together, each a share of it: they are wrong together. Where
nobody else has a bar, each has a vote.

| code               | severity                      | what it says                                                |
| ------------------ | ----------------------------- | ----------------------------------------------------------- |
| source_deviates    | usable up to FEW (*)          | a majority of at least three markets has another price      |
| sources_disagree   | usable up to FEW (*)          | two markets, or several without a majority: it stays open   |
| another_hour       | usable                        | the closes are of another time of the day: a reference rate |
| scaled_differently | usable                        | a constant factor to the others: adjusted by one of them    |
| another_level      | suspect above LEVEL_APART     | the same of what nobody adjusts: coins, currencies, indices |

(*) FEW is that of the checks, a share of the bars that can be compared. Suspect above it, and where LEVEL_LEAST closes
in a row are further than LEVEL_APART from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from tradewright.market.arrays import Flags, Floats, Times
from tradewright.market.checks.thresholds import FEW, MAD_TO_SIGMA, ROWS_KEPT
from tradewright.market.frames import resolve
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.market.levels import LEVEL_LEAST, LEVEL_ROWS, TIE, levels_of, median_of
from tradewright.market.pairs import Pair, compare_pair, usual_move
from tradewright.market.verdicts import Finding, Verdict

CODES = frozenset({"source_deviates", "sources_disagree", "another_hour", "scaled_differently", "another_level"})
UNADJUSTED = (Kind.CRYPTO, Kind.FX, Kind.INDEX)  # no splits, no dividends: nothing to adjust for
LEVEL_APART = 0.01  # relative: venues that trade the same differ by less for long
FLOOR = {Interval.DAY: 2e-3, Interval.HOUR: 1.5e-3}  # relative; official and last prices differ by about as much
FLOOR_WITHIN_THE_HOUR = 1e-3
FLOORS_OPEN = 5.0  # floors: an opening auction and a first trade differ by more than two closes do
FLOORS_EXTREME = 2.5  # floors: one trade that a source leaves out is the high or low of another
SPREADS = 12.0  # a deviation counts from so many of the usual spreads between the sources
FLOORS_MOST = 3.0  # floors that the spreads can raise the tolerance to
MOVES_MOST = 0.5  # usual moves of the price, if that is more
_DECIMALS = 8
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
    compared = _Compared(names, given, prices, allowance, FLOOR.get(interval, FLOOR_WITHIN_THE_HOUR))
    found: dict[str, tuple[Finding, ...]] = {}
    for column, name in enumerate(names):
        instrument = str(current[name]["instrument"][0]) if current[name].height else ""
        told = _Told(instrument, times, column, compared)
        found[name] = tuple(finding for finding in told.findings() if finding.count)
    return found


class _Compared:
    """What the prices of all sources say, each (T, sources).

    outvoted, unclear: rows of a source that deviate, with and without a majority against it. far: those whose close is
    further than LEVEL_APART away. levels: where the source is on a scale of its own, NaN elsewhere.
    """

    def __init__(
        self, names: Sequence[str], markets: Sequence[str], prices: Sequence[Floats], allowance: Floats, floor: float
    ) -> None:
        self.names, self.markets = names, markets
        votes = np.isfinite(prices[0])
        self.compared: Flags = votes & (votes.sum(axis=1) > 1)[:, None]
        weights = _weights(votes, markets)
        levels = levels_of(prices[0], weights)
        aparts = [_apart(logs - levels, _weights(np.isfinite(logs), markets)) for logs in prices]
        close_step = 2.0 * (floor + allowance)
        self.pairs = _pairs(prices[0], self.compared, np.fmax(LEVEL_APART, close_step))
        usual = np.nan if any(pair.another_hour for pair in self.pairs.values()) else _usual_move(prices[0])
        self.outvoted, self.unclear = _votes_on_pairs(self.pairs, votes, weights)
        alone = weights.sum(axis=1) < 2.0 + TIE  # the median of two lies in the middle
        beyond = np.abs(aparts[0]) > LEVEL_APART / np.where(alone, 2.0, 1.0)[:, None]
        at_odds = self.outvoted | self.unclear
        self.far: Flags = beyond | at_odds
        self.fields: dict[str, Flags] = {}
        for (field, floors), apart, logs in zip(_PRICES.items(), aparts, prices, strict=True):
            most = np.fmax(FLOORS_MOST * floor, MOVES_MOST * usual) if np.isfinite(usual) else np.inf
            allowed = floors * max(floor, min(SPREADS * _spread(apart) / floors, most)) + allowance
            wrong, unclear = _judged(apart, allowed, _weights(np.isfinite(logs), markets))
            self.fields[field] = wrong | unclear
            if field == "close":
                self.fields[field] |= at_odds
                close_step = 2.0 * allowed
            self.outvoted |= wrong
            self.unclear |= unclear
        self.unclear &= ~self.outvoted
        self.far &= self.fields["close"]
        scales = _scaled(np.where(self.compared, levels, np.nan), close_step, weights)
        self.scales: Floats = np.where(at_odds, np.nan, scales)


def _usual_move(closes: Floats) -> float:
    # of the calmest source: what one adds is noise
    usual = [each for column in closes.T if np.isfinite(each := usual_move(column))]
    return min(usual, default=np.nan)


def _pairs(closes: Floats, compared: Flags, step: Floats) -> dict[tuple[int, int], Pair]:
    return {
        (one, other): compare_pair(closes[:, one], closes[:, other], step)
        for one, other in combinations(range(closes.shape[1]), 2)
        if (compared[:, one] & compared[:, other]).sum() >= LEVEL_LEAST
    }


def _votes_on_pairs(pairs: Mapping[tuple[int, int], Pair], votes: Flags, weights: Floats) -> tuple[Flags, Flags]:
    """Which rows of which source are outvoted by those it is at odds with, and which are without a majority."""
    against, at_odds = np.zeros_like(weights), np.zeros_like(votes)
    for (one, other), pair in pairs.items():
        for mine, theirs in ((one, other), (other, one)):
            against[pair.odd, mine] += weights[pair.odd, theirs]
            at_odds[:, mine] |= pair.odd
    many = weights.sum(axis=1)
    backed = votes & ((many[:, None] - against) * 2 > many[:, None] + TIE)
    majority = ((many > 3.0 - TIE) & backed.any(axis=1))[:, None]
    return at_odds & majority & ~backed, at_odds & ~majority


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
    column: int
    of: _Compared

    def findings(self) -> tuple[Finding, ...]:
        differ = f"the prices of {_counted(self.of.markets)} differ, and no majority says which is right"
        return (
            self._deviation("source_deviates", "other sources agree on another price", self.of.outvoted),
            self._deviation("sources_disagree", differ, self.of.unclear),
            self._hour(),
            self._scale(),
        )

    def _deviation(self, code: str, detail: str, all_rows: Flags) -> Finding:
        rows, compared = all_rows[:, self.column], self.of.compared[:, self.column]
        lasts = _lasting(rows & self.of.far[:, self.column], compared, LEVEL_LEAST).any()
        severity = Verdict.SUSPECT if lasts or int(rows.sum()) > FEW * int(compared.sum()) else Verdict.USABLE
        each = {field: int((rows & differing[:, self.column]).sum()) for field, differing in self.of.fields.items()}
        why = f"{detail} ({', '.join(f'{f} {n}' for f, n in each.items() if n)})"
        return self._finding(code, severity, "; ".join([why, *self._of_pairs(rows)]), rows)

    def _of_pairs(self, rows: Flags) -> list[str]:
        return [
            text.format(self.of.names[pair_of[1 - side]])
            for pair_of, pair in self.of.pairs.items()
            for side in (0, 1)
            if pair_of[side] == self.column and (rows & pair.odd).any()
            for text in pair.said[side]
        ]

    def _hour(self) -> Finding:
        mine = {of: pair.another_hour for of, pair in self.of.pairs.items() if self.column in of}
        alone = sum(mine.values()) * 2 > len(mine)
        rows = self.of.compared[:, self.column] & alone
        detail = "the moves agree with two bars of the other sources, a part with each: closes of another hour"
        return self._finding("another_hour", Verdict.USABLE, detail, rows)

    def _scale(self) -> Finding:
        logs = self.of.scales[:, self.column]
        rows = np.isfinite(logs)
        level = f"the level is {np.exp(np.median(logs[rows])) if rows.any() else 1.0:.6g} times that of other sources"
        if not self.instrument or Instrument(self.instrument).kind not in UNADJUSTED:
            return self._finding("scaled_differently", Verdict.USABLE, f"{level}: adjusted differently", rows)
        far = rows & (np.abs(np.expm1(np.where(rows, logs, 0.0))) > LEVEL_APART)
        far = _lasting(far, self.of.compared[:, self.column], LEVEL_ROWS)
        if far.any() and not far[rows].all():
            level += f", in {int(far.sum())} of these rows {np.exp(np.median(logs[far])):.6g} times"
        severity = Verdict.SUSPECT if far.any() else Verdict.USABLE
        why = "no split explains that: another currency, or another market"
        return self._finding("another_level", severity, f"{level}, and {why}", rows)

    def _finding(self, code: str, severity: Verdict, detail: str, rows: Flags) -> Finding:
        count, compared = int(rows.sum()), int(self.of.compared[:, self.column].sum())
        first = tuple(int(time) for time in self.times[rows][:ROWS_KEPT])
        return Finding(code, severity, f"{count} of {compared} rows: {detail}", self.instrument, count, first)


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


def _apart(logs: Floats, weights: Floats) -> Floats:
    return np.asarray(logs - median_of(logs, weights)[:, None])


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
    limit = np.where(many < 2.0 + TIE, allowed / 2, allowed)[:, None]  # the median of two lies in the middle
    near = votes & (np.abs(np.where(votes, apart, 0.0)) <= limit)
    majority = ((many > 3.0 - TIE) & _most(near, weights))[:, None]
    far = votes & ~near
    unclear = votes & (far.any(axis=1) & (many > 2.0 - TIE))[:, None] & ~majority
    return far & majority, unclear


def _most(rows: Flags, weights: Floats) -> Flags:
    return np.asarray(np.where(rows, weights, 0.0).sum(axis=1) * 2 > weights.sum(axis=1) + TIE)


def _scaled(levels: Floats, allowed: Floats, weights: Floats) -> Floats:
    """The log factor of each source to the others where no majority shares its scale for LEVEL_ROWS, NaN elsewhere."""
    votes = np.isfinite(levels)
    several = weights.sum(axis=1) > 2.0 - TIE
    scales = np.full_like(levels, np.nan)
    for column in range(levels.shape[1]):
        mine = levels[:, [column]]
        alike = votes & (np.abs(np.where(votes, levels - mine, 0.0)) <= allowed[:, None]) & votes[:, [column]]
        alone = votes[:, column] & several & ~_most(alike, weights)
        rows = _lasting(alone, votes[:, column], LEVEL_ROWS)
        others = median_of(np.delete(levels, column, axis=1), np.delete(weights, column, axis=1))
        scales[rows, column] = (mine[:, 0] - others)[rows]
    return scales


def _lasting(rows: Flags, known: Flags, least: int) -> Flags:
    """Those of `rows` that stand in runs of at least `least`, rows that are not known left out."""
    of_known = np.concatenate([[False], rows[known], [False]])
    edges = np.flatnonzero(np.diff(of_known))
    lengths = edges[1::2] - edges[::2]
    kept_rows = np.zeros(len(of_known) - 2, dtype=np.bool_)
    for_run = np.repeat(lengths >= least, lengths)
    kept_rows[np.flatnonzero(of_known[1:-1])] = for_run
    lasting = np.zeros_like(rows)
    lasting[known] = kept_rows
    return lasting
