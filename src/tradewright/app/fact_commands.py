"""What the command about facts does: the values of an instrument as they were known."""

from __future__ import annotations

from typing import Any

import polars as pl

from tradewright.app import house
from tradewright.app.commands import present
from tradewright.clock import WallClock, format_us, parse_us
from tradewright.errors import NotFound, UnknownName
from tradewright.ids import Owner
from tradewright.market.dated import facts_of
from tradewright.market.instruments import FACT
from tradewright.settings import Settings
from tradewright.storage import series


def facts(
    settings: Settings,
    instrument: str,
    source: str | None,
    name: str | None,
    start: str | None,
    end: str | None,
    as_of: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return the facts of an instrument by the end of their period, the newest `limit` of them, each in the vintage
    known last, by `as_of` where it is given.

    name: the concept, where an instrument has several. start, end: bounds of the period's end. Raises UnknownName for
    an instrument, source or name without facts, NotFound when none is left within the bounds.
    """
    start_us, end_us, known_us = (None if text is None else parse_us(text) for text in (start, end, as_of))
    with present(settings) as database:
        owner = Owner(database.write(house.ensure_organization, WallClock().now_us()))
        known = [row for row in database.read(series.list_series, owner) if row["interval"] == FACT]
    mine = {row["source"] for row in known if row["instrument"] == instrument}
    if not mine:
        where = "`tradewright catalog` lists them"
        raise UnknownName.of("instrument with facts", instrument, {row["instrument"] for row in known}, where)
    if source is not None and source not in mine:
        raise UnknownName.of(f"source of facts of {instrument}", source, mine)
    found = facts_of(settings.data_folder).read(owner, source, [instrument], None, start_us, end_us, known_us)
    if name is not None:
        names = set(found["name"])
        if found.height and name not in names:
            raise UnknownName.of(f"fact of {instrument}", name, names, "GET /v1/facts lists them")
        found = found.filter(pl.col("name") == name)
    if not found.height:
        raise NotFound(
            f"no fact of {instrument} is left of that time; name another time with --start, --end or --as-of"
        )
    newest = found.sort("period_end", "source", "name", "unit", maintain_order=True).tail(limit)
    return [_shown(row) for row in newest.iter_rows(named=True)]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    start_us = row["period_start"]
    return {
        "period_start": None if start_us is None else format_us(start_us),
        "period_end": format_us(row["period_end"]),
        "value": row["value"],
        "unit": row["unit"],
        "known_at": format_us(row["known_at"]),
        "source": row["source"],
        "name": row["name"],
    }
