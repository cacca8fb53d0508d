"""Encoded answers by what was asked, dropped when their version is no longer the one asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

KEPT_BYTES = 64 * 1_048_576
_OVERHEAD = 512  # of an entry besides its body, about


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
        if len(page.body) > self._kept_bytes // 8:
            return page  # one that large would push out many that are asked for
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
