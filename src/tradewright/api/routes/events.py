"""Events: the types there are, and what happened."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import Id, Moment, Rfc3339, found, micros, moment
from tradewright.errors import UnknownName
from tradewright.events.types import TYPES, shown_to
from tradewright.storage import outbox
from tradewright.storage.outbox import Wanted

TypeName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["signal.issued"])]


class EventType(msgspec.Struct, frozen=True):
    """A type of event. scope: what one must hold to see it. example: of `data`."""

    type: TypeName
    summary: str
    version: int
    scope: Annotated[str, msgspec.Meta(examples=["signals:read"])]
    example: dict[str, Any]


class EventTypes(msgspec.Struct, frozen=True):
    """Every type of event."""

    data: list[EventType]


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened. sequence: gapless in an organization and environment; organization and environment are
    null for a fact that everybody shares, numbered by itself. subject: the id of what it happened to."""

    id: str
    type: TypeName
    version: int
    timestamp: Rfc3339
    sequence: int
    organization: str | None
    environment: str | None
    subject: str
    data: dict[str, Any]


class EventQuery(PageQuery, frozen=True, kw_only=True):
    """Which events."""

    type: (
        Annotated[
            TypeName, msgspec.Meta(description="Only events of this type.", extra_json_schema={"enum": list(TYPES)})
        ]
        | None
    ) = None
    subject: Annotated[Id, msgspec.Meta(description="Only what happened to the thing with this id.")] | None = None
    start: Annotated[Moment, msgspec.Meta(description="Earliest timestamp, included.")] | None = None
    end: Annotated[Moment, msgspec.Meta(description="Latest timestamp, excluded.")] | None = None


async def _types(call: Call) -> EventTypes:
    return EventTypes([EventType(t.name, t.summary, t.version, t.scope, t.example) for t in TYPES.values()])


async def _list(call: Call) -> Page[Event]:
    query: EventQuery = call.query
    after = decode_cursor(call, tuple[int | None, int | None]) or (None, None)
    wanted = Wanted(_seen(call, query.type), query.subject, micros(query.start), micros(query.end))
    rows = await call.services.database.read_replica_async(
        outbox.page, *call.tenant, wanted, query.limit + 1, query.order == "desc", after
    )
    keys = []
    for row in rows:  # the place in a page of two numberings: the last number of each
        own = row["organization"] is not None
        after = (row["sequence"], after[1]) if own else (after[0], row["sequence"])
        keys.append(after)
    return page(call, rows, keys, _event)


def _seen(call: Call, kind: str | None) -> tuple[str, ...] | None:
    if kind is not None and kind not in TYPES:
        text = UnknownName.of("event type", kind, TYPES, "GET /v1/event-types lists them").message
        raise Refused("invalid_input", text, [FieldError("query:type", text)])
    shown = shown_to(call.principal.scopes)
    if kind is not None:
        return tuple(name for name in shown if name == kind)
    return None if len(shown) == len(TYPES) else shown


async def _get(call: Call) -> Event:
    key = call.path["id"]
    row = await call.services.database.read_replica_async(outbox.get, *call.tenant, key)
    if row is not None and row["type"] not in shown_to(call.principal.scopes):
        row = None
    return _event(found(row, "event", key))


def _event(row: dict[str, Any]) -> Event:
    names = ("id", "type", "version", "sequence", "organization", "environment", "subject", "data")
    return Event(**{name: row[name] for name in names}, timestamp=moment(row["created_at"]) or "")


OPERATIONS = [
    Operation(
        "GET", "/v1/event-types", "list_event_types", "Types of events", "events", "events:read", _types, EventTypes,
        cacheable=True, description="What can happen, with an example of each. A type is shown and delivered only to "
        "those who hold its scope.",
    ),
    Operation(
        "GET", "/v1/events", "list_events", "Events", "events", "events:read", _list, Page[Event], EventQuery,
        description="What happened in this organization and environment, and facts that everybody shares; only types "
        "whose scope the caller holds. With `order=asc` the cursor can be polled.",
    ),
    Operation(
        "GET", "/v1/events/{id}", "get_event", "One event", "events", "events:read", _get, Event, cacheable=True,
        errors=("not_found",), description="An event never changes.",
    ),
]  # fmt: skip
