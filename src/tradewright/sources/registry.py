"""Every source, one line each."""

from __future__ import annotations

from tradewright.errors import UnknownName
from tradewright.sources import binance
from tradewright.sources.source import Source

SOURCES: dict[str, Source] = {
    binance.NAME: binance.SOURCE,
}


def source(name: str) -> Source:
    """Return the source of that name. Raises UnknownName with the closest names."""
    if name not in SOURCES:
        raise UnknownName.of("source", name, SOURCES)
    return SOURCES[name]
