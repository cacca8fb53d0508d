"""The requests of the API's benchmark: which kinds, how many of each, with which keys."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradewright.clock import format_us

SHARES = {"bars": 35, "quotes": 20, "signals": 15, "trading": 20, "unchanged": 10}
"""In per cent. trading: orders, fills, positions and a portfolio. unchanged: If-None-Match with the ETag of before."""
STARTS = 500  # of pages of each instrument
ASKED = 80_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. unchanged: sent with the ETag that its target had before."""

    target: str
    key: str
    unchanged: bool = False


def targets(times: Mapping[str, Sequence[int]], portfolio: str) -> dict[str, list[str]]:
    """Return what can be asked, by kind, quotes apart. times: the bar times of each instrument, ascending."""
    names = sorted(times)
    return {
        "bars": [
            f"/v1/bars?instruments={name}&limit=50&start={format_us(times[name][-60 - 15 * n])}"
            for name in names
            for n in range(STARTS)
        ],
        "signals": ["/v1/signals", *(f"/v1/signals?instrument={name}" for name in names)],
        "trading": [
            "/v1/orders",
            "/v1/fills",
            f"/v1/portfolios/{portfolio}/positions",
            f"/v1/portfolios/{portfolio}",
            f"/v1/orders?portfolio={portfolio}&order=asc",
            f"/v1/fills?portfolio={portfolio}&order=asc",
        ],
        "fixed": ["/v1/instruments", "/v1/data-sets", *(f"/v1/instruments/{name}" for name in names)],
    }


def drawn(
    times: Mapping[str, Sequence[int]], portfolio: str, keys: Sequence[str], count: int = ASKED, seed: int = 7
) -> list[Asked]:
    """Return the requests in the order in which they are sent: kind, target and key drawn at random."""
    draw, known = random.Random(seed), targets(times, portfolio)
    names = sorted(times)
    # what a client asks for again and again: a few pages of everything that has an ETag
    again = [*draw.sample(known["bars"], 100), *known["signals"], *known["fixed"]]
    again += [_quotes(draw, names) for _ in range(40)]
    asked = []
    for kind in draw.choices(list(SHARES), weights=list(SHARES.values()), k=count):
        target = (
            _quotes(draw, names) if kind == "quotes" else draw.choice(again if kind == "unchanged" else known[kind])
        )
        asked.append(Asked(target, draw.choice(keys), kind == "unchanged"))
    return asked


def text_of(asked: Asked, etags: Mapping[str, str]) -> str:
    """Return a request as it is sent."""
    lines = [f"GET {asked.target} HTTP/1.1", "host: localhost", f"authorization: Bearer {asked.key}"]
    if asked.unchanged:
        lines.append(f"if-none-match: {etags[asked.target]}")
    return "\r\n".join([*lines, "", ""])


def _quotes(draw: random.Random, names: Sequence[str]) -> str:
    return "/v1/quotes?instruments=" + ",".join(draw.sample(names, draw.randint(1, 5)))
