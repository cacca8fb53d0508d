"""Answers encoded once: bodies by what was asked, dropped when their version is no longer the one asked for.

An answer made from a feed ends with the state of the feed, whose age differs from answer to answer. So its body is kept
without it, and its ETag is a weak one over all but the age: two answers with the same ETag say the same of the data.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from tradewright.api.dispatch import encode, etag_of
from tradewright.api.operations import Raw
from tradewright.api.wire import Feed

KEPT_BYTES = 64 * 1_048_576
_OVERHEAD = 512  # of an entry besides its body, about
_FEED = b'"feed":null}'


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body and its ETag. Where the answer has a feed, the body ends before it."""

    body: bytes
    etag: str
    media_type: str = "application/json"
    link: str = ""


class Pages:
    """Keeps encoded answers, up to so many bytes, those asked for last. One for each event loop."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._pages: OrderedDict[Hashable, tuple[Hashable, Encoded]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable, version: Hashable) -> Encoded | None:
        """Return what was kept under the key with this version, else None."""
        held = self._pages.get(key)
        if held is None or held[0] != version:
            self.misses += 1
            return None
        self.hits += 1
        self._pages.move_to_end(key)
        return held[1]

    def get_recent(self, key: Hashable, commits: int, since: float) -> Encoded | None:
        """Return what was kept under the key with the version (commits, when), when not before `since`."""
        held = self._pages.get(key)
        version: Any = None if held is None else held[0]
        return self.get(key, version if version is not None and version[0] == commits and version[1] >= since else ())

    def put(self, key: Hashable, version: Hashable, page: Encoded) -> Encoded:
        """Keep an answer, and return it. version: read before what the answer is made from."""
        before = self._pages.pop(key, None)
        if before is not None:
            self._bytes -= len(before[1].body) + _OVERHEAD
        self._pages[key] = (version, page)
        self._bytes += len(page.body) + _OVERHEAD
        while self._bytes > self._kept_bytes:
            _, (_, dropped) = self._pages.popitem(last=False)
            self._bytes -= len(dropped.body) + _OVERHEAD
        return page

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._bytes


def whole(body: bytes, media_type: str, link: str = "") -> Encoded:
    """Return a body that is complete. link: to the next page, for those that cannot name it."""
    return Encoded(body, etag_of(body), media_type, link)


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
