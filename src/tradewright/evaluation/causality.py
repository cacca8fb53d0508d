"""Prefix replay, the leak detector for decisions.

Prefix replay asks whether the decisions of row t stay the same when everything after row t is taken away. It never
reads the strategy's code. A finding whose code begins with `leak.` is blocking: a result that has one shows nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tradewright.clock import format_us
from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel
from tradewright.market.verdicts import Finding, Verdict
from tradewright.strategies.contract import KernelStrategy, State, Strategy, Targets

RANDOM_CUTS, CHANGE_CUTS, LAST_CUTS = 200, 50, 50
WINDOW_ROWS, TAIL_ROWS = 1_000, 8
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
    if not getattr(strategy, "given", False):
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

    A kernel strategy is advanced through the panel with its state stored at four places (the head, a third, two thirds,
    the tail); from each it is resumed on at most 1,000 rows with all later ones taken away, up to a row where its
    target changes, and over the last rows one by one as live does: every target must be equal bit for bit. Another
    strategy is recomputed on prefixes ending at 200 random rows, 50 rows of change and the last 50, and must give the
    same targets in every row up to 1e-9 + 1e-7 |x|. checks="full" takes every row. Missing equals missing.
    Raises InvalidInput for other checks, or for targets that do not fit the panel.
    """
    if checks not in CHECKS:
        raise InvalidInput(f"checks must be 'sampled' or 'full', got {checks!r}")
    if isinstance(strategy, KernelStrategy):
        return _decide_kernel(strategy, panel, checks == "full")

    def whole(part: Panel) -> Targets:
        targets = strategy.targets(part)
        if not isinstance(targets, Targets) or targets.values.shape != part.shape:
            got = getattr(getattr(targets, "values", targets), "shape", type(targets).__name__)
            raise InvalidInput(f"{strategy.name}: targets() must return Targets of shape {part.shape}, got {got}")
        return targets

    batch = whole(panel)
    cuts = prefix_cuts(batch.values, checks == "full", np.random.default_rng(seed))
    findings = replay_prefixes(lambda part: whole(part).values, panel, batch.values, cuts, progress=progress)
    return Decided(batch, findings, len(cuts))


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
        part = pipeline(panel.rows(0, cut + 1))
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


def _decide_kernel(strategy: KernelStrategy, panel: Panel, full: bool) -> Decided:
    rows = len(panel)
    starts = sorted({0, rows // 3, 2 * rows // 3, max(rows - 1 - WINDOW_ROWS, 0)})
    tail_row = max(rows - TAIL_ROWS, starts[-1])
    state = strategy.start(panel)
    states: list[State] = []
    values = np.empty(panel.shape)
    stops = [*starts, tail_row, rows] if tail_row > starts[-1] else [*starts, rows]
    for first, last in itertools.pairwise(stops):
        states.append(_copy(state))
        _advance_into(strategy, state, panel.rows(first, last), values[first:last])
    batch = Targets(values, strategy.kind)
    if full:
        return Decided(batch, _one_by_one(strategy, strategy.start(panel.rows(0, 1)), panel, values, 0, rows), rows)
    findings: tuple[Finding, ...] = ()
    for first, stored in zip(starts, states, strict=False):
        cut = _cut(values, first, min(first + WINDOW_ROWS, rows - 1))
        if cut > first:
            replayed = _advanced(strategy, _copy(stored), panel.rows(first, cut))
            findings += _compared(panel, values, replayed, first, cut)
    findings += _one_by_one(strategy, states[-1], panel, values, tail_row, rows)
    findings += _from_truncated_start(strategy, panel, values, starts)
    return Decided(batch, findings[:1], len(starts) + TAIL_ROWS)


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


def _compared(panel: Panel, values: Floats, replayed: Floats, first: int, cut: int) -> tuple[Finding, ...]:
    different = _different(replayed, values[first:cut], 0.0, 0.0)
    if not different.any():
        return ()
    row, column = (int(k) for k in np.argwhere(different)[0])
    known, alone = float(values[first + row, column]), float(replayed[row, column])
    detail = _words(panel, "target", first + row, panel.ids[column], known, alone, cut - 1)
    where = np.flatnonzero(different.any(axis=1))
    times = tuple(int(panel.times[first + k]) for k in where[:20])
    return (Finding("leak.prefix_replay", Verdict.REJECTED, detail, panel.ids[column], len(where), times),)


def _one_by_one(
    strategy: KernelStrategy, state: State, panel: Panel, values: Floats, first: int, last: int
) -> tuple[Finding, ...]:
    replayed = [_advanced(strategy, state, panel.rows(t, t + 1)) for t in range(first, last)]
    return _compared(panel, values, np.vstack(replayed), first, last) if replayed else ()


def _from_truncated_start(
    strategy: KernelStrategy, panel: Panel, values: Floats, starts: Sequence[int]
) -> tuple[Finding, ...]:
    short, whole = strategy.start(panel.rows(0, 1)), strategy.start(panel)
    same = short.keys() == whole.keys() and all(
        short[k].shape == whole[k].shape and short[k].tobytes() == whole[k].tobytes() for k in short
    )
    if same:
        return ()
    findings: tuple[Finding, ...] = ()
    for cut in [*starts[1:], len(panel) - 1]:  # the start depends on later rows: replay whole prefixes from their own
        if cut > 0:
            part = panel.rows(0, cut)
            findings += _compared(panel, values, _advanced(strategy, strategy.start(part), part), 0, cut)
    return findings
