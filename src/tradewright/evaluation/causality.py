"""Prefix replay, the leak detector for decisions.

Prefix replay asks whether the decisions of row t stay the same when everything after row t is taken away or replaced by
other numbers. It never reads the strategy's code: it runs a copy made before the first call, on copied arrays. A
finding whose code begins with `leak.` is blocking: a result that has one shows nothing. One whose code begins with
`unproven.` says why there can be no evidence.

What this cannot see: foresight that was put into the strategy before the test (parameters chosen with hindsight, a
model trained elsewhere, a table of later prices looked up by date), and code that finds out that it is being tested and
behaves. A strategy that answers the same whatever the rows say is `unproven.unread`; one that mixes such answers with
what it reads passes. Nor does it see anything at rows that no replay looks at; checks="full" looks at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tradewright.clock import format_us
from tradewright.errors import InvalidInput
from tradewright.evaluation.isolation import copier, isolated, scrambled
from tradewright.market.panel import Flags, Floats, Panel, Times
from tradewright.market.verdicts import Finding, Verdict
from tradewright.strategies.contract import KernelStrategy, State, Strategy, Targets

RANDOM_CUTS, CHANGE_CUTS, LAST_CUTS = 200, 50, 50
WINDOW_ROWS = 1_000
LONG_ROWS, LONG_CUTS = 200_000, 10
"""Kernel strategies are resumed at so few random rows of a panel longer than that."""
FEWEST_CHANGES = 10
"""Targets that change less often after the cut say nothing when they are the same on other numbers."""
CHECKS = ("sampled", "full")


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """The targets of a panel, what prefix replay found in them, and at how many cuts it looked."""

    targets: Targets
    findings: tuple[Finding, ...]
    cuts: int


def blocking(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that forbid any evidence: those whose code begins with `leak.`."""
    return tuple(f for f in findings if f.code.startswith("leak."))


def unproven(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without which there might be evidence: those whose code begins with `unproven.`."""
    return tuple(f for f in findings if f.code.startswith("unproven."))


def handed_in(strategy: Strategy) -> tuple[Finding, ...]:
    """Return an `unproven.given` finding when the strategy says that it does not decide (`given` is True)."""
    if getattr(strategy, "given", False) is not True:
        return ()
    words = "the targets were handed in; whether they were made with foresight cannot be checked"
    return (Finding("unproven.given", Verdict.USABLE, words),)


def decide(
    strategy: Strategy,
    panel: Panel,
    *,
    checks: str = "sampled",
    seed: int = 7,
    progress: Callable[[float], None] | None = None,
) -> Decided:
    """Return the targets of `strategy` over `panel`, checked by prefix replay.

    A kernel strategy is advanced through the panel with its state copied on the way. At 200 random rows (10 of a panel
    above 200,000) it is resumed on that row alone, from every fourth of them up to the next row where the target
    changes and on that row alone, and over the last 50 rows one by one as live does; from the head, a third, two thirds
    and the tail it is resumed on at most 1,000 rows with all later ones taken away: every target must be equal bit for
    bit. Another strategy is recomputed on prefixes ending at 200 random rows, 50 rows of change and the last 50, and
    must give the same targets in every row up to 1e-9 + 1e-7 |x|. checks="full" takes every row. Both are also replayed
    with the later rows scrambled: earlier targets must be the same, and later ones that are the same too were not
    decided from the panel (`unproven.unread`). Missing equals missing.
    Raises InvalidInput for other checks, or for targets that do not fit the panel.
    """
    if checks not in CHECKS:
        raise InvalidInput(f"checks must be 'sampled' or 'full', got {checks!r}")
    if isinstance(strategy, KernelStrategy):
        return _decide_kernel(strategy, panel, checks == "full", np.random.default_rng(seed))
    fresh, hindered = copier(strategy)
    batch = _whole(strategy, panel)
    values, draw = batch.values, np.random.default_rng(seed)
    cuts = prefix_cuts(values, checks == "full", draw)
    findings = replay_prefixes(lambda part: _whole(fresh(), part).values, panel, values, cuts, progress=progress)
    keep = len(panel) // 3
    other, failed = _tried(lambda: _whole(fresh(), scrambled(panel, 0, len(panel), keep, draw)).values)
    if other is not None:
        different = _different(other[:keep], values[:keep], 1e-9, 1e-7)
        findings = findings or _compared(panel, values, other, different, np.arange(keep), keep - 1)
        failed = _unread([values[keep:]], [other[keep:]])
    return Decided(batch, (*findings, *failed, *hindered), len(cuts) + 1)


def _whole(strategy: Strategy, part: Panel) -> Targets:
    targets = strategy.targets(part)
    if not isinstance(targets, Targets) or targets.values.shape != part.shape:
        got = getattr(getattr(targets, "values", targets), "shape", type(targets).__name__)
        raise InvalidInput(f"{strategy.name}: targets() must return Targets of shape {part.shape}, got {got}")
    return targets


def _tried(replay: Callable[[], Floats]) -> tuple[Floats | None, tuple[Finding, ...]]:
    try:
        return replay(), ()
    except Exception as error:  # noqa: BLE001 - the strategy's own; without this check there is no evidence
        words = (
            f"on other numbers the strategy fails with {type(error).__name__}: {str(error)[:200]}; whether it decides "
            "from the panel could not be checked"
        )
        return None, (Finding("unproven.replay", Verdict.USABLE, words),)


def _unread(real: Sequence[Floats], other: Sequence[Floats]) -> tuple[Finding, ...]:
    changes = sum(int(_changes(part).sum()) for part in real)
    same = all(not _different(a, b, 0.0, 0.0).any() for a, b in zip(real, other, strict=True))
    if not same or changes < FEWEST_CHANGES:
        return ()
    words = (
        "the targets stay the same when later prices and dates are others: they are not decided from the panel but "
        "kept or handed in; whether they were made with foresight cannot be checked"
    )
    return (Finding("unproven.unread", Verdict.USABLE, words, count=changes),)


def prefix_cuts(values: Floats, full: bool, draw: np.random.Generator) -> list[int]:
    """Return the rows t at which `panel[:t + 1]` is to be replayed, ascending; never the last row."""
    last = len(values) - 1
    if full or last <= RANDOM_CUTS:
        return list(range(last))
    chosen = set(draw.choice(last, RANDOM_CUTS, replace=False).tolist())
    changes = np.flatnonzero(_changes(values)[:-1])
    if len(changes):
        chosen.update(draw.choice(changes, min(CHANGE_CUTS, len(changes)), replace=False).tolist())
    chosen.update(range(max(last - LAST_CUTS, 0), last))
    return sorted(chosen)


def _changes(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    changed = np.zeros(len(values), np.bool_)
    before, after = values[:-1], values[1:]
    changed[1:] = (~((before == after) | (np.isnan(before) & np.isnan(after)))).any(axis=1)
    return changed


def replay_prefixes(
    pipeline: Callable[[Panel], Floats],
    panel: Panel,
    batch: Floats,
    cuts: Sequence[int],
    *,
    what: str = "target",
    progress: Callable[[float], None] | None = None,
) -> tuple[Finding, ...]:
    """Return a `leak.prefix_replay` finding when `pipeline(panel[:t + 1])` differs from `batch[:t + 1]` at a cut t.

    pipeline: returns (rows, ...) for a panel of so many rows, decisions or features. The finding names the earliest cut
    that differs, in it the first row and instrument, and both values; `count` is the number of differing rows over all
    cuts.
    """
    rows: list[int] = []
    count, detail, instrument = 0, "", ""
    for done, cut in enumerate(cuts):
        part = pipeline(isolated(panel, 0, cut + 1))
        different = _different(part, batch[: cut + 1], 1e-9, 1e-7)
        if different.any():
            at = tuple(int(k) for k in np.argwhere(different)[0])
            if not rows:
                instrument = panel.ids[at[1]] if len(at) > 1 else ""
                detail = _words(panel, what, at[0], instrument, float(batch[at]), float(part[at]), cut)
            count += int(different.reshape(len(different), -1).any(axis=1).sum())
            rows.append(int(panel.times[at[0]]))
        if progress is not None:
            progress((done + 1) / len(cuts))
    if not rows:
        return ()
    detail += f"; {len(rows)} of {len(cuts)} cuts differ"
    return (Finding("leak.prefix_replay", Verdict.REJECTED, detail, instrument, count, tuple(rows[:20])),)


def _different(
    a: Floats, b: Floats, absolute: float, relative: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    missing = np.isnan(a) | np.isnan(b)
    both = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        close = (a == b) | (np.abs(a - b) <= absolute + relative * np.abs(b))
    return np.where(missing, ~both, ~close)


def _words(panel: Panel, what: str, row: int, instrument: str, batch: float, replay: float, cut: int) -> str:
    return (
        f"the {what} of row {row} ({format_us(int(panel.times[row]))}) for {instrument} is {batch:g} when later rows "
        f"are known and {replay:g} when the data ends at row {cut}: it was made with knowledge of the future"
    )


def _decide_kernel(strategy: KernelStrategy, panel: Panel, full: bool, draw: np.random.Generator) -> Decided:
    rows = len(panel)
    fresh, hindered = copier(strategy)
    begin = strategy.start(panel)
    state = _copy(begin)
    tail = max(rows - LAST_CUTS, 0)
    windows = sorted({0, rows // 3, 2 * rows // 3, max(rows - 1 - WINDOW_ROWS, 0)})
    chosen = draw.choice(rows, min(rows, LONG_CUTS if rows > LONG_ROWS else RANDOM_CUTS), replace=False)
    stops = sorted({0, tail, *windows, *(int(row) for row in chosen)})
    values, stored = np.empty(panel.shape), dict[int, State]()
    resumed, alone = fresh(), list[tuple[int, Floats]]()  # in ascending order: it has never seen a later row
    for number, (first, last) in enumerate(itertools.pairwise([*stops, rows])):
        before = _copy(state)
        _advance_into(strategy, state, panel.rows(first, last), values[first:last])
        if first in windows or first == tail:
            stored[first] = before
        if not full:
            alone += _resumed(resumed, _copy(before), panel, values, first, last if number % 4 == 0 else first)
    batch = Targets(values, strategy.kind)
    if full:
        findings = _one_by_one(fresh(), fresh().start(isolated(panel, 0, 1)), panel, values, 0)
    else:
        findings = _all_compared(panel, values, alone, None)
        findings += _one_by_one(fresh(), _copy(stored[tail]), panel, values, tail)
        findings += _windows(fresh, {first: stored[first] for first in windows}, panel, values)
        findings += _from_truncated_start(fresh, begin, panel, values, windows)
    other = _scrambled_windows(fresh, {first: stored[first] for first in windows}, panel, values, draw)
    count = rows if full else len(alone) + len(windows) + rows - tail
    return Decided(batch, (*findings[:1], *(f for f in other if not (findings and _leak(f))), *hindered), count)


def _leak(finding: Finding) -> bool:
    return bool(blocking((finding,)))


def _resumed(
    strategy: KernelStrategy, state: State, panel: Panel, values: Floats, first: int, last: int
) -> list[tuple[int, Floats]]:
    found = [(first, _advanced(strategy, state, isolated(panel, first, first + 1)))]
    changes = np.flatnonzero(_changes(values[first : min(last, first + WINDOW_ROWS)]))
    if len(changes):
        change = first + int(changes[0])
        if change > first + 1:
            found.append((first + 1, _advanced(strategy, state, isolated(panel, first + 1, change))))
        found.append((change, _advanced(strategy, state, isolated(panel, change, change + 1))))
    return found


def _windows(
    fresh: Callable[[], KernelStrategy], stored: dict[int, State], panel: Panel, values: Floats
) -> tuple[Finding, ...]:
    findings: tuple[Finding, ...] = ()
    for first, state in stored.items():
        cut = _cut(values, first, min(first + WINDOW_ROWS, len(panel) - 1))
        if cut > first:
            replayed = _advanced(fresh(), _copy(state), isolated(panel, first, cut))
            findings += _all_compared(panel, values, [(first, replayed)], cut - 1)
    return findings


def _scrambled_windows(
    fresh: Callable[[], KernelStrategy],
    stored: dict[int, State],
    panel: Panel,
    values: Floats,
    draw: np.random.Generator,
) -> tuple[Finding, ...]:
    findings, real, others = tuple[Finding, ...](), list[Floats](), list[Floats]()
    for first, state in stored.items():
        last = min(first + WINDOW_ROWS, len(panel))
        keep = (last - first) // 2
        part = scrambled(panel, first, last, keep, draw)
        other, failed = _tried(partial(_advanced, fresh(), _copy(state), part))
        if other is None:
            return failed
        findings += _all_compared(panel, values, [(first, other[:keep])], first + keep - 1)
        real.append(values[first + keep : last])
        others.append(other[keep:])
    return (*findings[:1], *_unread(real, others))


def _copy(state: State) -> State:
    return {name: array.copy() for name, array in state.items()}


def _cut(values: Floats, first: int, last: int) -> int:
    changes = np.flatnonzero(_changes(values[first:last]))
    return first + int(changes[-1]) + 1 if len(changes) else last


def _advance_into(strategy: KernelStrategy, state: State, rows: Panel, out: Floats) -> None:
    into = getattr(strategy, "advance_into", None)
    if into is None:
        out[:] = _advanced(strategy, state, rows)
    else:
        into(state, rows, out)


def _advanced(strategy: KernelStrategy, state: State, rows: Panel) -> Floats:
    out = strategy.advance(state, rows)
    if out.shape != rows.shape or out.dtype != np.float64:
        raise InvalidInput(f"{strategy.name}: advance() must return float64 {rows.shape}, got {out.dtype} {out.shape}")
    return out


def _all_compared(
    panel: Panel, values: Floats, replayed: Sequence[tuple[int, Floats]], cut: int | None
) -> tuple[Finding, ...]:
    if all(part.tobytes() == values[first : first + len(part)].tobytes() for first, part in replayed):
        return ()
    rows = np.concatenate([np.arange(first, first + len(part)) for first, part in replayed])
    other = np.vstack([part for _, part in replayed])
    return _compared(panel, values, other, _different(other, values[rows], 0.0, 0.0), rows, cut)


def _compared(
    panel: Panel, values: Floats, other: Floats, different: Flags, rows: Times, cut: int | None
) -> tuple[Finding, ...]:
    # cut: the last row that was known; None when each row was the last one
    if not different.any():
        return ()
    at, column = (int(k) for k in np.argwhere(different)[0])
    row = int(rows[at])
    known, alone = float(values[row, column]), float(other[at, column])
    detail = _words(panel, "target", row, panel.ids[column], known, alone, row if cut is None else cut)
    where = rows[different.any(axis=1)]
    times = tuple(int(panel.times[k]) for k in where[:20])
    return (Finding("leak.prefix_replay", Verdict.REJECTED, detail, panel.ids[column], len(where), times),)


def _one_by_one(
    strategy: KernelStrategy, state: State, panel: Panel, values: Floats, first: int
) -> tuple[Finding, ...]:
    replayed = [(t, _advanced(strategy, state, isolated(panel, t, t + 1))) for t in range(first, len(panel))]
    return _all_compared(panel, values, replayed, None)


def _from_truncated_start(
    fresh: Callable[[], KernelStrategy], whole: State, panel: Panel, values: Floats, starts: Sequence[int]
) -> tuple[Finding, ...]:
    short = fresh().start(isolated(panel, 0, 1))
    same = short.keys() == whole.keys() and all(
        short[k].shape == whole[k].shape and short[k].tobytes() == whole[k].tobytes() for k in short
    )
    if same:
        return ()
    findings: tuple[Finding, ...] = ()
    for cut in [*starts[1:], len(panel) - 1]:  # the start depends on later rows: replay whole prefixes from their own
        if cut > 0:
            part, strategy = isolated(panel, 0, cut), fresh()
            replayed = _advanced(strategy, strategy.start(part), part)
            findings += _all_compared(panel, values, [(0, replayed)], cut - 1)
    return findings
