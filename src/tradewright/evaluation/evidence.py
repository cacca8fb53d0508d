"""What a result shows: none, weak, supported or leaking, by one rule, with the reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from tradewright.compiled import kernel
from tradewright.evaluation.causality import blocking, unproven
from tradewright.evaluation.figures import significant_autocorrelation, simple_returns
from tradewright.evaluation.moments import BLOCK, SUMS, Moments, add_block, of_sums
from tradewright.evaluation.sharpe import (
    deflated_sharpe_ratio,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)
from tradewright.evaluation.values import Value
from tradewright.market.panel import Flags, Floats
from tradewright.market.verdicts import Finding, Verdict

CONFIDENCE = 0.95
STILL = 0.01
"""An excess over the constant-exposure twin whose deviation is below this share of the net one is no timing at all."""


class Evidence(StrEnum):
    """What a result shows."""

    NONE = "none"
    WEAK = "weak"
    SUPPORTED = "supported"
    LEAKING = "leaking"

    @property
    def label(self) -> str:
        """The words in reports: "no evidence", "weak", "supported", "leaking"."""
        return "no evidence" if self is Evidence.NONE else self.value


@dataclass(frozen=True, slots=True)
class Trials:
    """How many trials a result was chosen from: all, the distinct ones, and the variance of their Sharpe ratios."""

    raw: int
    distinct: int
    variance: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The evidence, why, what it would take to know more, and the four probabilities it rests on."""

    evidence: Evidence
    reasons: tuple[str, ...]
    to_know_more: str
    probabilistic: Value
    probabilistic_excess: Value
    deflated: Value
    deflated_excess: Value

    def to_json(self) -> dict[str, Any]:
        """Return the judgement as plain values."""
        parts = ("probabilistic", "probabilistic_excess", "deflated", "deflated_excess")
        return {
            "evidence": self.evidence.value,
            "label": self.evidence.label,
            "reasons": list(self.reasons),
            "to_know_more": self.to_know_more,
            **{part: getattr(self, part).to_json() for part in parts},
        }


UNCOUNTED = "uncounted: there is no trial ledger, so nobody knows how many trials this one was chosen from"


def judge(
    net: Moments,
    excess: Moments,
    *,
    decisions: int,
    trials: Trials | None,
    data_verdict: Verdict,
    findings: Sequence[Finding],
) -> Judgement:
    """Return the evidence of a tested span.

    net: moments of the returns after costs. excess: of those minus the constant-exposure twin (`twin_excess`).
    decisions: distinct rows on which a filled target was decided. trials: None when they are not counted.
    `supported`: deflated Sharpe ratio of at least 0.95 for both. `weak`: probabilistic Sharpe ratio against 0 of at
    least 0.95 for both. Both ask for data that was not rejected and for no `unproven.` finding (targets handed in, an
    audit). `leaking`: a blocking finding. Else `none`. The excess is asked because on a market of survivors that rose,
    holding alone passes the test of the net returns.
    """
    still = excess.sharpe is None or not excess.std > STILL * net.std
    standstill = Value(None, "the returns do not differ from those of a constant exposure: nothing was timed")
    psr, psr_excess = _probabilistic(net), standstill if still else _probabilistic(excess)
    dsr, dsr_excess = _deflated(net, trials), standstill if still else _deflated(excess, trials)
    leaks = blocking(findings)
    if leaks:
        reasons = tuple(f"{f.code}: {f.detail}" for f in leaks)
        advice = "mend the leak; until then no figure here means anything"
        return Judgement(Evidence.LEAKING, reasons, advice, psr, psr_excess, dsr, dsr_excess)
    missing = [f.detail for f in unproven(findings)]
    if data_verdict is Verdict.REJECTED:
        missing.append("the data was rejected by its checks")
    if decisions < 2:
        missing.append(f"there were {decisions} decisions; one choice is no sample of skill")
    missing += _short(psr, "probabilistic Sharpe ratio of the net returns")
    missing += _short(psr_excess, "probabilistic Sharpe ratio of the excess over a constant exposure")
    doubts = _short(dsr, "deflated Sharpe ratio of the net returns")
    doubts += _short(dsr_excess, "deflated Sharpe ratio of the excess over a constant exposure")
    level = Evidence.NONE if missing else Evidence.WEAK if doubts else Evidence.SUPPORTED
    reasons = tuple(missing or doubts or [f"every probability asked for reaches {CONFIDENCE}"])
    more = _more(net, None if still else excess) + ("" if trials else "; and a trial ledger that counts")
    return Judgement(level, reasons, more, psr, psr_excess, dsr, dsr_excess)


def _probabilistic(m: Moments) -> Value:
    if m.sharpe is None:
        return Value(None, "the returns have no variance" if m.n > 1 else f"there are only {m.n} returns")
    return probabilistic_sharpe_ratio.explained(
        sharpe=m.sharpe, n=m.n, skew=m.skew, kurtosis=m.kurtosis, autocorrelation=significant_autocorrelation(m)
    )


def _deflated(m: Moments, trials: Trials | None) -> Value:
    if trials is None:
        return Value(None, UNCOUNTED)
    if m.sharpe is None:
        return Value(None, "the returns have no variance" if m.n > 1 else f"there are only {m.n} returns")
    return deflated_sharpe_ratio.explained(
        sharpe=m.sharpe,
        n=m.n,
        trials=max(trials.distinct, 1),
        variance=trials.variance or 0.0,
        skew=m.skew,
        kurtosis=m.kurtosis,
        autocorrelation=significant_autocorrelation(m),
    )


def _short(value: Value, name: str) -> list[str]:
    if value.value is None:
        return [f"{name}: none, because {value.reason}"]
    return [] if value.value >= CONFIDENCE else [f"{name} is {value.value:.3f}, below {CONFIDENCE}"]


def _more(net: Moments, excess: Moments | None) -> str:
    if excess is None or net.sharpe is None or excess.sharpe is None:
        return "a strategy that changes its exposure and a span in which it did"
    needs = []
    for name, m in (("net", net), ("excess", excess)):
        sharpe = m.sharpe or 0.0
        length = minimum_track_record_length.explained(
            sharpe=sharpe, skew=m.skew, kurtosis=m.kurtosis, autocorrelation=significant_autocorrelation(m)
        )
        if length.value is None:
            needs.append(f"the {name} Sharpe ratio is {sharpe:.4f} a row: no length of track record would do")
        else:
            needs.append(f"at the {name} Sharpe ratio of {sharpe:.4f} a row it takes {math.ceil(length.value)} rows")
    return f"{'; '.join(needs)}; there are {net.n}"


@kernel
def twin_excess(returns: Floats, close: Floats, present: Flags, growth: Floats, weight: Floats, start: int) -> Floats:
    """Return returns[k] - sum_i weight[i] r_i of row start + 1 + k, (T - 1 - start,).

    r_i: return of column i from its close before to this row's close, 0 where it has no bar. growth: (T, N) factor by
    which actions multiply the return of a row, or (0, N) for none. weight: (N,) mean weight held, the constant twin.
    """
    n = close.shape[1]
    out = returns.copy()
    actions = len(growth) > 0
    for c in range(n):
        share, last = weight[c], np.nan
        if share == 0.0:
            continue
        for t in range(len(close)):
            price = close[t, c]
            if not (present[t, c] and price == price):
                continue
            if t > start and last == last:
                step = price / last
                if actions:
                    step *= growth[t, c]
                out[t - start - 1] -= share * (step - 1.0)
            last = price
    return out


def span_moments(
    equity: Floats, close: Floats, present: Flags, growth: Floats, weight: Floats, start: int
) -> tuple[Moments, Moments]:
    """Return the moments of `simple_returns(equity, start)` and of its `twin_excess`, without making either array.

    Arguments as in `twin_excess`. Raises InvalidInput when a return is not finite.
    """
    sums = np.zeros((2, SUMS))
    if close.shape[1] == 1 and len(growth) == 0 and bool(present[start:, 0].all()):
        _add_one(equity[start:], close[start:, 0], float(weight[0]), sums)
        if math.isfinite(sums[1, 2]):
            return of_sums(sums[0]), of_sums(sums[1])
        sums[:] = 0.0  # a close is missing
    _add_span(equity, close, present, growth, weight, start, sums)
    return of_sums(sums[0]), of_sums(sums[1])


@kernel
def _add_one(equity: Floats, close: Floats, share: float, sums: Floats) -> None:
    net, excess = np.empty(BLOCK), np.empty(BLOCK)
    for first in range(1, len(equity), BLOCK):
        count = min(BLOCK, len(equity) - first)
        before, after = equity[first - 1 :], equity[first:]
        last, price = close[first - 1 :], close[first:]
        for k in range(count):
            net[k] = after[k] / before[k] - 1.0 if before[k] > 0.0 else 0.0
        for k in range(count):
            excess[k] = net[k] - share * (price[k] / last[k] - 1.0)
        add_block(net, count, sums[0])
        add_block(excess, count, sums[1])


@kernel
def _add_span(
    equity: Floats, close: Floats, present: Flags, growth: Floats, weight: Floats, start: int, sums: Floats
) -> None:
    returns = simple_returns(equity, start)
    excess = twin_excess(returns, close, present, growth, weight, start)
    block = np.empty(BLOCK)
    for first in range(0, len(returns), BLOCK):
        for place, values in enumerate((returns, excess)):
            part = values[first : first + BLOCK]
            block[: len(part)] = part
            add_block(block, len(part), sums[place])
