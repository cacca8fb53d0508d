"""Encoded answers by what was asked, dropped when what they were made from is no longer what it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

KEPT_BYTES = 64 * 1_048_576
_OVERHEAD = 512  # of an entry besides its body, about


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body and its ETag. Where the answer has a feed, the body ends before it. headers: what only they say."""

    body: bytes
    etag: str
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Held:
    state: Hashable
    version: Hashable
    page: Encoded


class Pages:
    """Keeps encoded answers, up to so many bytes, those asked for last. One for each event loop.

    A page holds while the state of the database is the one in which it was made (`Database.state`), and longer where
    the version of what it was made from is still the same.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._pages: OrderedDict[Hashable, _Held] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable, state: Hashable) -> Encoded | None:
        """Return what was kept under the key in this state, else None: then ask `renewed`, or `put` it anew."""
        held = self._pages.get(key)
        if held is None or held.state != state:
            self.misses += 1
            return None
        self.hits += 1
        self._pages.move_to_end(key)
        return held.page

    def renewed(self, key: Hashable, state: Hashable, version: Hashable) -> Encoded | None:
        """Return what was kept under the key with this version, which now holds in this state too; else None.

        version: read after the state.
        """
        held = self._pages.get(key)
        if held is None or held.version != version:
            return None
        held.state = state
        self.hits += 1
        self.misses -= 1  # that `get` counted
        self._pages.move_to_end(key)
        return held.page

    def put(self, key: Hashable, state: Hashable, version: Hashable, page: Encoded) -> Encoded:
        """Keep an answer, and return it. state, version: read before what the answer is made from."""
        before = self._pages.pop(key, None)
        if before is not None:
            self._bytes -= len(before.page.body) + _OVERHEAD
        if len(page.body) > self._kept_bytes // 8:
            return page  # one that large would push out many that are asked for
        self._pages[key] = _Held(state, version, page)
        self._bytes += len(page.body) + _OVERHEAD
        while self._bytes > self._kept_bytes:
            _, dropped = self._pages.popitem(last=False)
            self._bytes -= len(dropped.page.body) + _OVERHEAD
        return page

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._bytes
