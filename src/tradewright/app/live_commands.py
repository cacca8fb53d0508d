"""What the commands do that ask a source for what it has now: quotes, and the instruments that it lists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from tradewright.app import house, ingestion_task, source_commands
from tradewright.clock import WallClock, format_us
from tradewright.errors import InvalidInput, SourceFailed
from tradewright.ids import SYSTEM, Owner
from tradewright.settings import Settings
from tradewright.storage import third_parties
from tradewright.storage.database import Database

Progress = Callable[[float, str], None]
PATIENCE_S = 60.0  # within the limits of a source


def quote(settings: Settings, source: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Ask a source for the latest prices of instruments; return a row for each, in the order asked for.

    age_s: seconds since the time that the source gives. A row without a price says so. Raises UnknownName, InvalidInput
    for a source without quotes or one that is off, and what the source raises.
    """
    from tradewright.sources.listings import fetch_quotes
    from tradewright.sources.registry import source as find

    module = find(source)
    instruments = list(dict.fromkeys(module.instrument_of(name) for name in names))
    with house.open_database(settings) as database:
        frame = _asked(settings, database, module, "quotes", lambda line: fetch_quotes(line, instruments))
    now_us = WallClock().now_us()
    found = {row["instrument"]: row for row in frame.iter_rows(named=True)}
    return [_quote(each.id, found.get(each.id), module, now_us) for each in instruments]


def _quote(instrument: str, row: dict[str, Any] | None, module: Any, now_us: int) -> dict[str, Any]:
    if row is None:
        nothing = dict.fromkeys(("price", "bid", "ask", "time", "age_s"))
        return {"instrument": instrument, **nothing, "said": f"{module.title} has no quote of it now"}
    age_s = round(max(now_us - row["time"], 0) / 1e6, 3)
    prices = {name: row[name] for name in ("price", "bid", "ask")}
    return {"instrument": instrument, **prices, "time": format_us(row["time"]), "age_s": age_s, "said": ""}


def listing(settings: Settings, source: str, search: str, limit: int, keep: bool, progress: Progress) -> dict[str, Any]:
    """Ask a source what it lists; return how much that is and up to `limit` of what holds the text `search`.

    keep: add what trades there to the instruments that everybody can name. Raises as `quote` does.
    """
    from tradewright.sources.asking import listing_faults
    from tradewright.sources.listings import fetch_listing, keep_listing
    from tradewright.sources.registry import source as find

    module = find(source)
    for _, fault in listing_faults(source) if keep else ():
        raise fault
    with house.open_database(settings) as database:
        found = _asked(settings, database, module, "listing", lambda line: fetch_listing(line, progress))
        kept = asdict(keep_listing(database, module.name, found, WallClock().now_us())) if keep else None
    text = search.casefold()
    rows = [
        {"symbol": one.symbol, "instrument": one.instrument.id, "name": one.instrument.name, "active": one.active}
        for one in found.listed
        if text in f"{one.symbol} {one.instrument.id} {one.instrument.name}".casefold()
    ]
    counts = {"listed": len(found.listed), "skipped": found.skipped, "matching": len(rows)}
    return {"source": module.name, **counts, "kept": kept, "data": rows[:limit]}


def _asked(settings: Settings, database: Database, module: Any, part: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    from tradewright.transport.http import HttpTransport

    if getattr(module, part) is None:
        raise InvalidInput(f"{module.title} has no {part}; it has {', '.join(module.offers)}")
    source_commands.refuse_when_off(module)
    organization = database.write(house.ensure_organization, WallClock().now_us())
    credentials = ingestion_task.credentials_of(database, house.open_vault(settings), organization, module)
    if module.auth.needed and not credentials:
        raise source_commands.without_credentials(module)
    owner = Owner(organization) if credentials else SYSTEM

    async def run() -> Any:
        async with HttpTransport() as transport:
            lane = ingestion_task.lane_to(settings, module, transport, credentials)
            return await ask(ingestion_task.line_to(module, lane, credentials, PATIENCE_S))

    try:
        answer = asyncio.run(run())
    except SourceFailed as error:
        database.write(third_parties.note, owner, module.name, error.message, WallClock().now_us())
        raise
    database.write(third_parties.note, owner, module.name, None, WallClock().now_us())
    return answer
