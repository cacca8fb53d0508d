"""Cursor pages: opaque, bound to the list and the filters they were made with, stable while rows arrive."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from tradewright.api.problems import FieldError, Refused

T = TypeVar("T")
Limit = Annotated[int, msgspec.Meta(ge=1, le=500, description="Rows on a page.")]
Order = Literal["asc", "desc"]


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


def decode_cursor(query: PageQuery, kind: Any, within: str = "") -> Any:
    """Return the key of the last row seen, None without a cursor. Raises Refused for one of another list.

    within: what the list is part of, as its page was told.
    """
    if query.cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(query.cursor.encode())
        mark, key = msgspec.json.decode(text, type=tuple[str, kind])
    except (ValueError, msgspec.DecodeError):
        raise not_ours() from None
    if base64.urlsafe_b64encode(text).decode() != query.cursor:  # decoding passes over characters that are none of it
        raise not_ours()
    if not _fits(key):
        raise not_ours()
    if mark != _mark(query, within):
        raise _refused("it was made for another list or other filters; keep them the same, or leave the cursor out")
    return key


def not_ours() -> Refused:
    """Return the refusal of a cursor that no page ended with."""
    return _refused("it is not one of ours; copy `next_cursor` whole")


def page(query: PageQuery, rows: list[Any], keys: list[Any], convert: Any, within: str = "") -> Page[Any]:
    """Return the page of `rows`, of which one more than the limit was read; `keys` are their cursor keys.

    within: what the list is part of, where its cursors are of no use in another.
    """
    kept = rows[: query.limit]
    more = len(rows) > query.limit
    last = keys[len(kept) - 1] if kept else None
    cursor = None
    if last is not None and (more or query.order == "asc"):
        cursor = base64.urlsafe_b64encode(msgspec.json.encode((_mark(query, within), last))).decode()
    elif query.order == "asc":
        cursor = query.cursor
    return Page([convert(row) for row in kept], more, cursor)


def _fits(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(-(2**63) <= part < 2**63 if isinstance(part, int) else "\0" not in (part or "") for part in parts)


def _mark(query: PageQuery, within: str = "") -> str:
    filters = {f: getattr(query, f) for f in query.__struct_fields__ if f not in ("cursor", "limit")}
    text = (type(query).__name__ + within).encode() + msgspec.json.encode(filters, order="deterministic")
    return hashlib.sha256(text).hexdigest()[:12]


def _refused(why: str) -> Refused:
    return Refused("invalid_input", f"the cursor was refused: {why}", [FieldError("query:cursor", why)])
