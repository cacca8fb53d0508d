"""Charts as inline SVG, made here: a line with an area, and bars. No script, no font, no file from elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tradewright.clock import from_us
from tradewright.market.panel import Floats, Times

WIDTH, HEIGHT = 400, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 8, 10, 24
POINTS = 500


def line_chart(
    times: Times, series: Sequence[tuple[str, str, Floats]], *, title: str, percent: bool = False, fill: bool = False
) -> str:
    """Return an SVG line chart. series: (name, css class, values), all as long as times; thinned to `POINTS` points
    that keep each stretch's lowest and highest. percent: values are shares. fill: the area to zero is filled."""
    keep = _kept(series[0][2])
    low = min(float(np.min(values[keep])) for _, _, values in series)
    high = max(float(np.max(values[keep])) for _, _, values in series)
    if fill:
        low, high = min(low, 0.0), max(high, 0.0)
    if not high > low:
        low, high = low - abs(low) * 0.01 - 1e-9, high + abs(high) * 0.01 + 1e-9
    span = max(int(times[-1]) - int(times[0]), 1)
    x = _LEFT + (times[keep] - times[0]) / span * (WIDTH - _LEFT - _RIGHT)

    def y_of(value: Floats | float) -> Floats:
        return _TOP + (high - np.asarray(value)) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [_open(title)]
    for tick in nice_ticks(low, high):
        at = float(y_of(tick))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_label(tick, percent)}</text>')
    for share in (0.0, 0.5, 1.0):
        moment = from_us(int(times[0]) + int(span * share))
        anchor = ("start", "middle", "end")[int(share * 2)]
        at = _LEFT + share * (WIDTH - _LEFT - _RIGHT)
        text = moment.strftime("%Y-%m-%d") if span > 3 * 86_400_000_000 else moment.strftime("%d %b %H:%M")
        parts.append(f'<text x="{at:.0f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text}</text>')
    for name, style, values in series:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y_of(values[keep]), strict=True))
        if fill:
            zero = float(y_of(0.0))
            parts.append(
                f'<polygon class="{style} area" points="{x[0]:.1f},{zero:.1f} {path} {x[-1]:.1f},{zero:.1f}"/>'
            )
        parts.append(f'<polyline class="{style}" points="{path}"><title>{name}</title></polyline>')
    return "".join(parts) + "</svg>"


def bar_chart(bars: Sequence[tuple[str, float]], *, title: str) -> str:
    """Return an SVG bar chart of shares. bars: (label, value), each drawn from zero with its value above it."""
    low, high = min(0.0, *(v for _, v in bars)), max(0.0, *(v for _, v in bars))
    if not high > low:
        high = low + 1e-9
    room = HEIGHT - _TOP - _BOTTOM - 30
    step = (WIDTH - 20) / len(bars)
    zero = _TOP + 16 + high / (high - low) * room
    parts = [_open(title), f'<line class="axis" x1="10" x2="{WIDTH - 10}" y1="{zero:.1f}" y2="{zero:.1f}"/>']
    for place, (label, value) in enumerate(bars):
        tall = abs(value) / (high - low) * room
        left, top = 10 + place * step + step * 0.2, zero - tall if value >= 0 else zero
        style = "gain" if value >= 0 else "loss"
        middle = left + step * 0.3
        parts.append(
            f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="{step * 0.6:.1f}" height="{tall:.1f}"/>'
        )
        at = top - 5 if value >= 0 else top + tall + 15
        parts.append(f'<text x="{middle:.1f}" y="{at:.1f}" text-anchor="middle">{_label(value, True)}</text>')
        parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{label}</text>')
    return "".join(parts) + "</svg>"


def _open(title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"><title>{title}</title>'


def _kept(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if len(values) <= POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), POINTS // 2 + 1).astype(np.int64)
    found = {0, len(values) - 1}
    for first, last in itertools.pairwise(edges):
        found.add(int(first + np.argmin(values[first:last])))
        found.add(int(first + np.argmax(values[first:last])))
    return np.array(sorted(found), np.int64)


def nice_ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Return round numbers between low and high, about so many."""
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999))
    first = np.ceil(low / step)
    return [float(k * step) for k in np.arange(first, np.floor(high / step) + 1)]


def _label(value: float, percent: bool) -> str:
    if percent:
        size = abs(value)
        digits = 0 if size >= 0.1 or size == 0 else 1 if size >= 0.01 else 2
        return f"{value * 100:,.{digits}f} %"
    for limit, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:,.5g} {letter}"
    return f"{value:,.5g}"
