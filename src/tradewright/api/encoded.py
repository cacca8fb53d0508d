"""Answers encoded once.

An answer made from a feed ends with the state of the feed, whose age differs from answer to answer. So its body is kept
without it, and its ETag is a weak one over all but the age: two answers with the same ETag say the same of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tradewright.api.dispatch import encode, etag_of
from tradewright.api.operations import Raw
from tradewright.api.pages import Encoded
from tradewright.api.wire import Feed

_FEED = b'"feed":null}'


def whole(body: bytes, media_type: str, headers: Mapping[str, str]) -> Encoded:
    """Return a body that is complete. headers: what it cannot say itself; the ETag is one of both."""
    return Encoded(body, etag_of(body + encode(headers)), media_type, headers)


def before_feed(answer: Any) -> Encoded:
    """Return an answer whose last field is `feed`, null here, encoded up to the feed."""
    body = encode(answer)
    assert body.endswith(_FEED)
    return Encoded(body[: -len(b"null}")], etag_of(body))


def with_feed(page: Encoded, feed: Feed | None) -> Raw:
    """Return the answer: the page, completed by the state of the feed now."""
    seen = "" if feed is None else f"{feed.mode} {feed.status} {feed.time}"
    digest = hashlib.blake2b(page.etag.encode() + seen.encode(), digest_size=12).hexdigest()
    return Raw(page.body + encode(feed) + b"}", page.media_type, headers={"etag": f'W/"{digest}"'})


def aged(answer: Any, ageless: Any) -> Raw:
    """Return an answer with ages in it, whose ETag is a weak one over the same answer without them."""
    return Raw(encode(answer), "application/json", headers={"etag": f"W/{etag_of(encode(ageless))}"})
