"""Instruments, and what sources call them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import (
    Amount,
    InstrumentId,
    Rfc3339,
    SourceName,
    amount,
    found,
    moment,
)
from tradewright.storage import listings, series

_MOST_NAMES = 500


class Instrument(msgspec.Struct, frozen=True):
    """What is traded. tick, lot and minimum_notional are null where unknown."""

    id: InstrumentId
    kind: str
    symbol: str
    name: str
    currency: str
    calendar: str
    tick: Amount | None
    lot: Amount | None
    minimum_notional: Amount | None
    multiplier: Amount
    listed: Rfc3339 | None
    delisted: Rfc3339 | None


class InstrumentName(msgspec.Struct, frozen=True):
    """What a source calls an instrument, with the smallest steps that it states. since: from when on, until: null while
    it still does. tick, lot and minimum_notional are null where it states none."""

    source: SourceName
    symbol: Annotated[str, msgspec.Meta(examples=["BTCUSDT"])]
    since: Rfc3339
    until: Rfc3339 | None
    tick: Amount | None
    lot: Amount | None
    minimum_notional: Amount | None


class InstrumentNames(msgspec.Struct, frozen=True):
    """What sources call an instrument, by source, the latest name of each first."""

    data: list[InstrumentName]


async def _list_instruments(call: Call) -> Page[Instrument]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    rows = await call.services.database.read_replica_async(
        series.list_instruments, after_id=after, limit=query.limit + 1, descending=query.order == "desc"
    )
    return page(call, rows, [row["id"] for row in rows], _instrument)


async def _get_instrument(call: Call) -> Instrument:
    key = call.path["id"]
    row = await call.services.database.read_replica_async(series.get_instrument, key)
    return _instrument(found(row, "instrument", key))


async def _list_names(call: Call) -> InstrumentNames:
    key, replica = call.path["id"], call.services.database.read_replica_async
    found(await replica(series.get_instrument, key), "instrument", key)
    return InstrumentNames([_name(row) for row in await replica(listings.names_of, key, _MOST_NAMES)])


def _instrument(row: dict[str, Any]) -> Instrument:
    kind, _, symbol = row["id"].partition(":")
    optional = {name: row[name] for name in ("tick", "lot", "minimum_notional")}
    return Instrument(
        id=row["id"],
        kind=kind,
        symbol=symbol,
        name=row["name"],
        currency=row["currency"],
        calendar=row["calendar"],
        multiplier=amount(row["multiplier"]),
        listed=moment(row["listed"]),
        delisted=moment(row["delisted"]),
        **{name: None if value is None else amount(value) for name, value in optional.items()},
    )


def _name(row: dict[str, Any]) -> InstrumentName:
    steps = {name: row[name] for name in ("tick", "lot", "minimum_notional")}
    return InstrumentName(
        row["source"],
        row["symbol"],
        moment(row["valid_from"]) or "",
        moment(row["valid_to"]),
        **{name: None if value is None else amount(value) for name, value in steps.items()},
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/instruments", "list_instruments", "Instruments", "market data", "market:read",
        _list_instruments, Page[Instrument], PageQuery, cacheable=True,
        description="What can be named in the other operations, by id.",
    ),
    Operation(
        "GET", "/v1/instruments/{id}", "get_instrument", "One instrument", "market data", "market:read",
        _get_instrument, Instrument, cacheable=True, errors=("not_found",),
        description="Its currency, calendar and trading units.",
    ),
    Operation(
        "GET", "/v1/instruments/{id}/names", "list_instrument_names", "What sources call it", "market data",
        "market:read", _list_names, InstrumentNames, cacheable=True, errors=("not_found",),
        description="And the smallest steps of price and size that they state. An ingestion of the kind `instruments` "
        "brings them in.",
    ),
]  # fmt: skip
