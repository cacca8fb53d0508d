"""What sources call instruments, from when until when, and the steps of price and size that they state for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tradewright.storage import series
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.tables import instrument_aliases

_A = instrument_aliases.c
_SAID = ("instrument", "tick", "lot", "minimum_notional")
_CHUNK = 500


def current_names(tx: Tx, source: str) -> dict[str, dict[str, Any]]:
    """Return the names that a source has for instruments now, by symbol."""
    query = sa.select(instrument_aliases).where(_A.source == source, _A.valid_to.is_(None))
    return {row["symbol"]: dict(row) for row in tx.execute(query).mappings()}


@one_statement
def names_of(tx: Tx, instrument: str, limit: int) -> list[dict[str, Any]]:
    """Return what sources call an instrument or have called it, by source, the latest name first."""
    query = sa.select(instrument_aliases).where(_A.instrument == instrument)
    query = query.order_by(_A.source, _A.valid_from.desc(), _A.symbol).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def keep(
    tx: Tx,
    source: str,
    instruments: Sequence[Mapping[str, Any]],
    names: Sequence[Mapping[str, Any]],
    now_us: int,
) -> tuple[int, int, int]:
    """Let the names of a source be these from now on; return how many instruments were added, and how many names
    changed and ended.

    instruments: rows of table `instruments`; those that are there stay as they are. names: source, symbol, instrument,
    tick, lot, minimum_notional. A name that says what it said before goes on.
    """
    added = len(instruments) - _count(tx, [row["id"] for row in instruments])
    series.add_instruments(tx, instruments)
    before, now = current_names(tx, source), {row["symbol"]: row for row in names}
    ended = [symbol for symbol in before if symbol not in now]
    changed = [
        symbol
        for symbol, row in now.items()
        if symbol in before and any(row[each] != before[symbol][each] for each in _SAID)
    ]
    over = [*ended, *changed]
    for first in range(0, len(over), _CHUNK):
        mine = (_A.source == source, _A.symbol.in_(over[first : first + _CHUNK]), _A.valid_to.is_(None))
        tx.execute(instrument_aliases.update().where(*mine).values(valid_to=now_us))
    begun = [row for symbol, row in now.items() if symbol not in before or symbol in set(changed)]
    series.add_aliases(tx, [{**row, "valid_from": now_us, "valid_to": None} for row in begun])
    return added, len(changed), len(ended)


def _count(tx: Tx, ids: Sequence[str]) -> int:
    return sum(len(series.get_instruments(tx, ids[at : at + _CHUNK])) for at in range(0, len(ids), _CHUNK))
