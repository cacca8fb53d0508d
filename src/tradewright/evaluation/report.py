"""The report: one HTML page that stands alone and is read on a phone; what it shows comes first, the figures after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from tradewright.clock import from_us
from tradewright.evaluation.baselines import Baseline
from tradewright.evaluation.charts import bar_chart, line_chart
from tradewright.market.panel import Floats, Times


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a report is made from: the summary of a result, and its tested span's times and equity, (n + 1,) each."""

    summary: Mapping[str, Any]
    times: Times
    equity: Floats
    cash: float
    hold: Baseline | None


_STYLE = """
:root{color-scheme:light dark;--ink:#16202b;--soft:#5b6875;--paper:#fff;--card:#f4f6f8;--line:#d9dfe5;--blue:#1f6feb;
--good:#12805c;--bad:#c0362c;--warn:#9a6700}
@media (prefers-color-scheme:dark){:root{--ink:#e7edf3;--soft:#9fb0c0;--paper:#0f151b;--card:#18212a;--line:#2c3945;
--blue:#6cb0ff;--good:#4cc79b;--bad:#ff8177;--warn:#e0b04c}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:760px;margin:0 auto;padding:16px}h1{font-size:1.3rem;margin:0 0 4px}
h2{font-size:1.05rem;margin:28px 0 8px}
8px} p{margin:6px 0}.soft{color:var(--soft);font-size:.9rem}.verdict{border-left:6px solid
var(--soft);background:var(--card); padding:12px 14px;border-radius:6px;margin:12px 0}.verdict
b{font-size:1.35rem;display:block}
.supported{border-color:var(--good)}.weak{border-color:var(--warn)}.leaking{border-color:var(--bad)} ul{margin:6px
0;padding-left:20px}svg{width:100%;max-width:600px;height:auto;display:block}
svg text{font:11.5px system-ui;fill:var(--soft)}
polyline{fill:none;stroke:var(--blue);stroke-width:1.2}.area{fill:var(--bad);opacity:.18;stroke:none}
polyline.fall{stroke:var(--bad)}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.gain{fill:var(--good)}
.loss{fill:var(--bad)}table{width:100%;border-collapse:collapse;font-size:.92rem}th,td{padding:5px
6px;text-align:right; border-bottom:1px solid
var(--line);vertical-align:top}th:first-child,td:first-child{text-align:left}
th{color:var(--soft);font-weight:600}.scroll{overflow-x:auto}.scroll table{font-size:.8rem;white-space:nowrap}
.up{color:var(--good)}.down{color:var(--bad)}.cards{display:grid;grid-template-columns:repeat(2,1fr);gap:8px} .cards
div{background:var(--card);border-radius:6px;padding:8px 12px}.cards b{display:block;font-size:1.15rem} @media
(min-width:620px){.cards{grid-template-columns:repeat(4,1fr)}}
"""

_SHARES = {
    "total_return",
    "annual_return",
    "annual_volatility",
    "maximum_drawdown",
    "hit_rate",
    "exposure",
    "probabilistic_sharpe_ratio",
    "probabilistic_sharpe_ratio_2026",
    "probabilistic_sharpe_ratio_excess",
    "deflated_sharpe_ratio",
    "deflated_sharpe_ratio_excess",
}
_NAMES = {
    "probabilistic_sharpe_ratio": "PSR: chance that the true Sharpe ratio is above 0",
    "probabilistic_sharpe_ratio_2026": "the same, 2026 form",
    "probabilistic_sharpe_ratio_excess": "PSR of the excess over a constant exposure",
    "deflated_sharpe_ratio": "DSR: the same after all trials",
    "deflated_sharpe_ratio_excess": "DSR of the excess over a constant exposure",
    "minimum_track_record_length": "rows needed for a PSR of 95 %",
    "sharpe_ratio": "Sharpe ratio, per row",
    "annual_sharpe_ratio": "Sharpe ratio, annual",
    "bootstrap_annual_sharpe_ratio": "Sharpe ratio, annual, bootstrap interval",
}


def render(report: Report) -> str:
    """Return the page."""
    summary = report.summary
    title = f"{summary['strategy']['name']} on {_instruments(summary['instruments'])}"
    parts = [
        _head(title, summary),
        _evidence(summary),
        _cards(summary),
        _equity(report),
        _drawdown(report),
        _months(report),
        _costs(summary),
        _baselines(summary),
        _statistics(summary),
        _findings(summary),
        _setup(summary),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{"".join(parts)}'
        "</main></body></html>"
    )


def _instruments(ids: Sequence[str]) -> str:
    return ", ".join(ids) if len(ids) <= 3 else f"{len(ids)} instruments"


def _head(title: str, summary: Mapping[str, Any]) -> str:
    span = f"{summary['start'][:10]} to {summary['end'][:10]}, {summary['rows']:,} rows of {summary['interval']}"
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(span)} · back-test, not a promise</p>'


def _evidence(summary: Mapping[str, Any]) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in summary["reasons"])
    trials = summary["trials"]
    counted = trials if isinstance(trials, str) else f"{trials['raw']} ({trials['distinct']} distinct)"
    more = escape(summary["to_know_more"])
    return (
        f'<section class="verdict {escape(summary["evidence"])}"><span class="soft">What it shows</span>'
        f"<b>{escape(summary['label'])}</b><ul>{reasons}</ul><p><i>To know more:</i> {more}</p>"
        f'<p class="soft">Data: {escape(summary["data_verdict"])} · trials: {escape(counted)}</p></section>'
    )


def _cards(summary: Mapping[str, Any]) -> str:
    shown = ("total_return", "annual_return", "annual_sharpe_ratio", "maximum_drawdown")
    names = ("total return", "a year", "Sharpe, annual", "deepest fall")
    cells = []
    for key, name in zip(shown, names, strict=True):
        figure = summary["statistics"][key]
        low, high = figure.get("low"), figure.get("high")
        between = f'<span class="soft">{low:.2f} to {high:.2f}</span>' if low is not None and high is not None else ""
        cells.append(f'<div><span class="soft">{name}</span><b>{_shown(key, figure["value"])}</b>{between}</div>')
    return f'<div class="cards">{"".join(cells)}</div>'


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "none"
    if key in _SHARES:
        return f"{value:.1%}" if abs(value) < 10 else f"{value:,.0%}"
    if key == "minimum_track_record_length":
        return f"{math.ceil(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if key in ("fills", "maximum_drawdown_rows", "longest_drawdown_rows") else f"{value:.4g}"


def _equity(report: Report) -> str:
    chart = line_chart(report.times, [("equity", "line", report.equity)], title="Equity")
    return f"<h2>Equity</h2>{chart}"


def _drawdown(report: Report) -> str:
    peak = np.maximum.accumulate(report.equity)
    fall = report.equity / np.where(peak > 0, peak, 1.0) - 1.0
    chart = line_chart(report.times, [("drawdown", "fall", fall)], title="Drawdown", percent=True, fill=True)
    return f"<h2>Below the last peak</h2>{chart}"


def _months(report: Report) -> str:
    table = monthly_returns(report.times, report.equity)
    years: dict[int, dict[int, float]] = {}
    for (year, month), value in table.items():
        years.setdefault(year, {})[month] = value
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    head = "".join(f"<th>{name}</th>" for name in names)
    body = []
    for year in sorted(years, reverse=True):
        months = years[year]
        cells = "".join(_percent_cell(months.get(month)) for month in range(1, 13))
        whole = float(np.prod([1 + v for v in months.values()]) - 1)
        body.append(f"<tr><td>{year}</td>{_percent_cell(whole)}{cells}</tr>")
    return (
        '<h2>By month, per cent</h2><div class="scroll" tabindex="0"><table><thead><tr><th>year</th><th>all</th>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _percent_cell(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    shown = round(value * 100, 1) + 0.0  # no minus zero
    return f'<td class="{"up" if shown > 0 else "down" if shown < 0 else ""}">{shown:.1f}</td>'


def monthly_returns(times: Times, equity: Floats) -> dict[tuple[int, int], float]:
    """Return the return of each (year, month), from the last row of the month before to its own last row."""
    months = times.astype("datetime64[us]").astype("datetime64[M]")
    last = np.append(np.flatnonzero(months[1:] != months[:-1]), len(times) - 1)
    found, before = {}, float(equity[0])
    for row in last:
        moment = from_us(int(times[row]))
        found[moment.year, moment.month] = float(equity[row]) / before - 1.0 if before > 0 else 0.0
        before = float(equity[row])
    return found


def _costs(summary: Mapping[str, Any]) -> str:
    curve = summary["cost_curve"]
    bars = [(f"{p['multiple']:g} x", p["total_return"]) for p in curve["points"]]
    multiple, side = curve["break_even_multiple"], curve["break_even_bps"]
    unit = "" if side["value"] is None else " basis points"
    return (
        f"<h2>Total return at so many times the costs</h2>{bar_chart(bars, title='Cost curve')}"
        f"<ul><li>it breaks even at so many times the costs: {_value(multiple)}</li>"
        f"<li>it breaks even when a side costs: {_value(side)}{unit}</li></ul>"
    )


def _value(value: Mapping[str, Any]) -> str:
    return escape(f"none, {value['reason']}") if value["value"] is None else f"{value['value']:.3g}"


def _baselines(summary: Mapping[str, Any]) -> str:
    own = summary["statistics"]
    rows = [("this strategy", own["total_return"]["value"], own["annual_sharpe_ratio"]["value"])]
    for name, baseline in summary["baselines"].items():
        rows.append((name.replace("_", " "), baseline["total_return"], baseline["annual_sharpe_ratio"]))
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{_shown('total_return', total)}</td><td>{_shown('', sharpe)}</td></tr>"
        for name, total, sharpe in rows
    )
    timing = summary["random_timing"]
    words = f"Random timing: none, {timing.get('reason', '')}."
    if timing["percentile"] is not None:
        words = (
            f"Its timing is better than {timing['percentile']:.1%} of {timing['shifts']:,} shifts of its own positions "
            "in time, before costs; 50 % is what luck gives."
        )
    return (
        "<h2>Compared with</h2><table><thead><tr><th></th><th>total return</th><th>Sharpe, annual</th></tr></thead>"
        f"<tbody>{cells}</tbody></table><p>{escape(words)}</p>"
    )


def _statistics(summary: Mapping[str, Any]) -> str:
    rows = "".join(_statistic(key, figure) for key, figure in summary["statistics"].items())
    check = escape(summary["consistency"]["sentence"])
    head = "<tr><th></th><th>value</th><th>95 % interval</th><th>n</th></tr>"
    return (
        f"<h2>Statistics</h2><table><thead>{head}</thead><tbody>{rows}</tbody></table>"
        f"<h2>Do they fit each other?</h2><p>{check}.</p>"
    )


def _statistic(key: str, figure: Mapping[str, Any]) -> str:
    name = escape(_NAMES.get(key, key.replace("_", " ")))
    low, high = figure.get("low"), figure.get("high")
    between = "" if low is None or high is None else f"{_shown(key, low)} to {_shown(key, high)}"
    reason = f'<br><span class="soft">{escape(figure["reason"])}</span>' if figure.get("reason") else ""
    n = "" if figure.get("n") is None else f"{figure['n']:,}"
    value = _shown(key, figure["value"])
    return f"<tr><td>{name}{reason}</td><td>{value}</td><td>{between}</td><td>{n}</td></tr>"


def _findings(summary: Mapping[str, Any]) -> str:
    found = [*summary["findings"], *summary["data_findings"]]
    if not found:
        return "<h2>Findings</h2><p>None: no leak, no cut order, nothing in the data.</p>"
    items = "".join(
        f"<li><b>{escape(f['code'])}</b> {escape(f['instrument'])}: {escape(f['detail'])}</li>" for f in found[:60]
    )
    more = f"<p>... and {len(found) - 60} more.</p>" if len(found) > 60 else ""
    return f"<h2>Findings</h2><ul>{items}</ul>{more}"


def _setup(summary: Mapping[str, Any]) -> str:
    params = ", ".join(f"{k} = {v}" for k, v in summary["strategy"]["params"].items()) or "none"
    lines = [
        f"Parameters: {params}",
        f"Cash {summary['cash']:,.0f}, leverage {summary['leverage']:g}, lots: {summary['lots']}",
        f"Instruments: {', '.join(summary['instruments'][:40])}{' ...' if len(summary['instruments']) > 40 else ''}",
        f"Code {summary['strategy']['code']}, data {summary['data_version']}",
    ]
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<h2>How it was made</h2><div class="soft" style="overflow-wrap:anywhere">{body}</div>'
