"""How a source that names its next page is noticed to lead round in circles.

A page may be empty in the middle of an answer, and one may come twice. A token that was there already ends it, and so
do pages with new tokens that go on bringing rows that came before, or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from tradewright.errors import SourceFailed

SAME_PAGES = 3  # in a row
EMPTY_PAGES = 100  # in a row


class Trail:
    """The pages of one answer. columns: of a frame of rows, those that tell one row from another. of: what is paged,
    advice: what to do, both for people."""

    def __init__(
        self, title: str, columns: Sequence[str], of: str = "", advice: str = "ask for a shorter span, or later"
    ) -> None:
        self._title, self._columns, self._of, self._advice = title, list(columns), of, advice
        self._tokens = {""}
        self._pages: set[bytes] = set()  # a digest of the rows of each
        self._same = self._empty = 0

    def go_on(self, token: str, rows: pl.DataFrame) -> None:
        """Note a page and the token of the next one. Raises SourceFailed when nothing new is to be had of it."""
        if token in self._tokens:
            raise SourceFailed(f"{self._title} names the same next page{self._of} again; {self._advice}")
        self._tokens.add(token)
        self._empty = 0 if rows.height else self._empty + 1
        if self._empty >= EMPTY_PAGES:
            raise self._circling("no rows", EMPTY_PAGES)
        if not rows.height:
            return
        page = rows.select(self._columns).hash_rows(seed=0).sort().to_numpy().tobytes()
        digest = hashlib.blake2b(page, digest_size=16).digest()
        self._same = self._same + 1 if digest in self._pages else 0
        self._pages.add(digest)
        if self._same >= SAME_PAGES:
            raise self._circling("the same rows again", SAME_PAGES)

    def _circling(self, what: str, pages: int) -> SourceFailed:
        said = f"{self._title} names a new next page{self._of} each time and brings {what}, {pages} pages in a row"
        return SourceFailed(f"{said}; {self._advice}")
