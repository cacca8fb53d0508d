"""Audits by bookkeeping: was a model tested on what it learned, could the fills have happened.

| code | what was seen |
|---|---|
| leak.prefix_replay | a decision changes when later rows are taken away (`causality`) |
| leak.in_sample | a model was tested on rows that it, or a later one, learned from |
| leak.fill_before_decision | a fill on or before the row it was decided on |
| leak.fill_outside_bar | a fill at a price that the bar, with spread and slippage, did not reach |
| leak.fill_untradable | a fill in a row without a tradable bar |
| leak.fill_costs | a fill that paid less than its costs |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tradewright.clock import format_us
from tradewright.market.panel import Flags, Panel
from tradewright.market.verdicts import Finding, Verdict
from tradewright.simulation.bars import Simulation
from tradewright.simulation.costs import Costs


def in_sample(
    spans: Sequence[tuple[int, ...]], panel: Panel, start_row: int, name: str = "the strategy"
) -> tuple[Finding, ...]:
    """Return a `leak.in_sample` finding for the first model in force on rows that it learned from, or that came before.

    spans: for each model (first_us, last_us) of the rows its training touched, labels included, in force over the whole
    test; or (first_us, last_us, valid_from_us), in force from then until the next one. Tested are the rows from
    start_row on.
    """
    begins = [span[2] if len(span) > 2 else int(panel.times[0]) for span in spans]
    end = int(panel.times[-1])
    for number, span in enumerate(spans):
        first_tested = max(begins[number], int(panel.times[start_row]))
        until = min([b for b in begins if b > begins[number]], default=end + 1)
        if first_tested <= min(end, until - 1) and span[1] >= first_tested:
            touched = panel.times[(panel.times >= first_tested) & (panel.times < until) & (panel.times <= span[1])]
            detail = (
                f"{name}: model {number + 1} of {len(spans)} learned from data up to {format_us(int(span[1]))} and is "
                f"tested from {format_us(first_tested)} on; train on rows before the test, or ask for in_sample=True "
                "to see the figures marked as leaking"
            )
            rows = tuple(int(t) for t in touched[:20])
            return (Finding("leak.in_sample", Verdict.REJECTED, detail, "", len(touched), rows),)
    return ()


def audit_fills(panel: Panel, simulation: Simulation, costs: Costs) -> tuple[Finding, ...]:
    """Return what is wrong with the fills of a simulation, from the fills and the bars alone.

    Each fill must come after its decision, in a row with a tradable bar, at a price inside the bar widened by spread
    and slippage (at the close when the panel is close_only), and must have paid its fee. A position closed because the
    instrument was delisted is filled at its last close and exempt from the bar.
    """
    fills = simulation.fills
    if not len(fills):
        return ()
    row, column, price = fills["row_filled"], fills["column"], fills["price"]
    closed = {f.instrument for f in simulation.findings if f.code == "simulation.delisted"}
    settled = np.array([panel.ids[c] in closed for c in range(panel.shape[1])])[column] & ~panel.present[row, column]
    rate, per_unit, minimum, edge = costs.columns(panel.shape[1])[:, column]
    low, high = (panel.close, panel.close) if panel.close_only else (panel.low, panel.high)
    cheap = low[row, column] * (1 - edge) * (1 - 1e-9)
    dear = high[row, column] * (1 + edge) * (1 + 1e-9)
    with np.errstate(invalid="ignore"):
        outside = ~settled & ((price < cheap) | (price > dear))
    multiplier = np.array([float(i.multiplier) for i in panel.instruments])[column]
    rates = np.ones(len(fills)) if panel.fx is None else panel.fx[row, column]
    due = np.maximum(
        minimum, rate * np.abs(fills["units"]) * price * multiplier * rates + per_unit * abs(fills["units"])
    )
    seen = [
        ("leak.fill_before_decision", row <= fills["row_decided"], "filled on or before the row of the decision"),
        ("leak.fill_outside_bar", outside, "filled at a price that the bar did not reach"),
        ("leak.fill_untradable", ~settled & ~panel.tradable[row, column], "filled in a row without a tradable bar"),
        ("leak.fill_costs", fills["fee"] < due * (1 - 1e-9) - 1e-12, "filled below cost"),
    ]
    return tuple(_fill_finding(panel, simulation, code, wrong, words) for code, wrong, words in seen if wrong.any())


def _fill_finding(panel: Panel, simulation: Simulation, code: str, wrong: Flags, words: str) -> Finding:
    first = simulation.fills[int(np.argmax(wrong))]
    identity = panel.ids[int(first["column"])]
    where = f"row {int(first['row_filled'])}, decided on row {int(first['row_decided'])}, at {float(first['price']):g}"
    rows = tuple(int(panel.times[r]) for r in simulation.fills["row_filled"][wrong][:20])
    count = int(wrong.sum())
    return Finding(code, Verdict.REJECTED, f"{count} fills {words}; the first: {where}", identity, count, rows)
