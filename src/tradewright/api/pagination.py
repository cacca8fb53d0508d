"""Cursor pages: opaque, bound to the list, its owner and the filters they were made with, stable while rows arrive."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from tradewright.api.operations import PERSON, Call
from tradewright.api.problems import FieldError, Refused

T = TypeVar("T")
Limit = Annotated[int, msgspec.Meta(ge=1, le=500, description="Rows on a page.")]
Order = Literal["asc", "desc"]
_decode = msgspec.json.Decoder(tuple[str, msgspec.Raw]).decode


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next_cursor` gives the next one; under `order=asc` it is always set, for polling."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What every list takes."""

    limit: Limit = 50
    cursor: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    order: Order = "desc"


def decode_cursor(call: Call, kind: Any) -> Any:
    """Return the key of the last row seen, of the type `kind`, None without a cursor. Raises Refused for a cursor of
    another list."""
    query: PageQuery = call.query
    if query.cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(query.cursor.encode())
        mark, raw_key = _decode(text)
    except (ValueError, msgspec.DecodeError):
        raise not_ours() from None
    if base64.urlsafe_b64encode(text).decode() != query.cursor:  # decoding passes over characters that are none of it
        raise not_ours()
    if mark != _mark(call):
        raise _refused("it was made for another list or other filters; keep them the same, or leave the cursor out")
    try:
        key = msgspec.json.decode(raw_key, type=kind)
    except msgspec.DecodeError:
        raise not_ours() from None
    if not _fits(key):
        raise not_ours()
    return key


def not_ours() -> Refused:
    """Return the refusal of a cursor that no page ended with."""
    return _refused("it is not one of ours; copy `next_cursor` whole")


def page(call: Call, rows: list[Any], keys: list[Any], convert: Any) -> Page[Any]:
    """Return the page of `rows`, of which one more than the limit was read; `keys` are their cursor keys."""
    query: PageQuery = call.query
    kept = rows[: query.limit]
    more = len(rows) > query.limit
    last = keys[len(kept) - 1] if kept else None
    cursor = None
    if last is not None and (more or query.order == "asc"):
        cursor = base64.urlsafe_b64encode(msgspec.json.encode((_mark(call), last))).decode()
    elif query.order == "asc":
        cursor = query.cursor
    return Page([convert(row) for row in kept], more, cursor)


def _fits(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(-(2**63) <= part < 2**63 if isinstance(part, int) else "\0" not in (part or "") for part in parts)


def _mark(call: Call) -> str:
    filters = msgspec.structs.replace(call.query, cursor=None, limit=1)
    owner = call.principal.user if call.operation.scope == PERSON else call.tenant
    text = msgspec.json.encode((call.operation.id, call.path, owner, filters), order="deterministic")
    return hashlib.sha256(text).hexdigest()[:12]


def _refused(why: str) -> Refused:
    return Refused("invalid_input", f"the cursor was refused: {why}", [FieldError("query:cursor", why)])
