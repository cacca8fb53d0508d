"""Candles as arrays of JSON, read straight into columns where they are exactly what their source documents."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tradewright.sources.rows import arrays_of, whole_numbers
from tradewright.transport.messages import Response

Columns = dict[str, Any]


class Candles:
    """What the arrays of a source hold: the names of their first values, `start` the first of them, and their width.

    An answer that is exactly as documented is read by `read`, at a third of the cost. It judges nothing: what else an
    answer may be goes through the code of the source and `columns`, which say what is wrong with it.
    """

    def __init__(self, names: tuple[str, ...], width: int) -> None:
        self._names, self._width = names, width
        fields = [(name, int | str if name == "start" else float) for name in names]  # a text is none of `int`
        row = msgspec.defstruct("Candle", fields, array_like=True, gc=False)
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row], strict=False)  # type: ignore[valid-type] # made above

    def read(self, response: Response) -> Columns | None:
        """Return the columns by name, `start` as integers and the others as numbers; None for any other answer."""
        try:
            rows = self._decoder.decode(response.body)
            columns = {name: _column(rows, name) for name in self._names}
        except (msgspec.DecodeError, OverflowError, ValueError):
            return None
        commas = max(len(rows) * self._width - 1, 0)  # the values behind the named ones are counted, not read
        return columns if response.status == 200 and response.body.count(b",") == commas else None

    def columns(self, rows: Sequence[Any], title: str) -> Columns:
        """Return the columns of arrays by name. Raises SourceFailed for what is no array of that width."""
        start, *values = arrays_of(rows, self._width, title)[: len(self._names)]
        return dict(zip(self._names, (whole_numbers(start, title), *values), strict=True))


def _column(rows: list[Any], name: str) -> NDArray[Any]:
    return np.fromiter(map(attrgetter(name), rows), np.int64 if name == "start" else np.float64, len(rows))
