"""Facts, splits and dividends for answers: read from the tables, a few reads at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tradewright.ids import Owner
from tradewright.market.actions import in_bar_terms
from tradewright.market.dated import actions_of, facts_of
from tradewright.market.instruments import Interval

FactKey = tuple[str, str, str, str, int | None, int]
"""Source, instrument, name, unit, start and end of the period: what facts are ordered by, a missing start first."""
_KEY = ("source", "instrument", "name", "unit", "period_start", "period_end")
_NO_START = -(2**63)
_READS = 2  # at once: each reads files


@dataclass(frozen=True, slots=True)
class FactsWanted:
    """Which facts: of periods that end in start_us..end_us, end excluded, as known by `as_of_us`; None for no bound."""

    instruments: tuple[str, ...]
    names: tuple[str, ...] | None
    source: str | None
    start_us: int | None
    end_us: int | None
    as_of_us: int | None


class DatedData:
    """Answers questions about what is dated and no bar."""

    def __init__(self, folder: Path) -> None:
        self._facts, self._actions = facts_of(folder), actions_of(folder)
        self._reads = asyncio.Semaphore(_READS)

    async def facts(self, owner: str, wanted: FactsWanted, after: FactKey | None, limit: int) -> list[dict[str, Any]]:
        """Return up to `limit` facts that the owner sees, ascending by key, after the key `after`."""
        async with self._reads:
            return await asyncio.to_thread(self._read_facts, Owner(owner), wanted, after, limit)

    async def actions(
        self, owner: str, source: str, instruments: Sequence[str], interval: Interval, until_us: int
    ) -> dict[str, list[tuple[int, float, float]]]:
        """Return (time, split, dividend) of what had happened to each instrument by then, and was known. time: the
        first bar of this interval at or after it is on the new terms."""
        async with self._reads:
            found = await asyncio.to_thread(self._actions.read, Owner(owner), source, instruments, as_of_us=until_us)
        happened = in_bar_terms(found, interval).filter(pl.col("time") <= until_us)
        by_instrument: dict[str, list[tuple[int, float, float]]] = {}
        for name, *action in happened.select("instrument", "time", "split", "dividend").rows():
            by_instrument.setdefault(name, []).append(tuple(action))
        return by_instrument

    def _read_facts(self, owner: Owner, wanted: FactsWanted, after: FactKey | None, limit: int) -> list[dict[str, Any]]:
        last_us = None if wanted.end_us is None else wanted.end_us - 1
        found = self._facts.read(
            owner, wanted.source, wanted.instruments, wanted.names, wanted.start_us, last_us, wanted.as_of_us
        )
        return (found if after is None else found.filter(_behind(after))).head(limit).to_dicts()


def _behind(after: FactKey) -> pl.Expr:
    behind = pl.lit(False)
    for name, value in reversed(list(zip(_KEY, after, strict=True))):
        column, last = pl.col(name), value
        if name == "period_start":
            column, last = column.fill_null(_NO_START), _NO_START if value is None else value
        behind = (column > last) | ((column == last) & behind)
    return behind
