"""Which representation is chosen, what CSV and Arrow say, and how encoded pages are kept."""

from __future__ import annotations

import io

import polars as pl
import pytest

from tradewright.api.market_data import BarRow, SeriesKey
from tradewright.api.pages import Encoded, Pages
from tradewright.api.problems import Refused
from tradewright.api.representations import ARROW, CSV, JSON, arrow_of, chosen, csv_of

OFFERED = (JSON, CSV, ARROW)
KEY = SeriesKey("system", "binance", "crypto:AAA-USD", "1d")
ROWS = [
    BarRow(KEY, 1_600_041_600_000_000, 1.0, 2.5, 0.5, 0.1 + 0.2, 10.0),
    BarRow(KEY, 1_600_128_000_000_001, float("nan"), 2.0, 1.0, 1.5, float("nan")),
]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/csv;q=0.5, */*;q=0.1", CSV),
        ("text/*", CSV),
        ("application/vnd.apache.arrow.stream, text/csv;q=0.9", ARROW),
        ("application/json;q=0, application/*", ARROW),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
    ],
)
def test_the_representation_that_is_liked_best_is_chosen(accept: str | None, wanted: str) -> None:
    assert chosen(accept, OFFERED) == wanted


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "text/csv;q=nonsense", "csv"])
def test_what_does_not_exist_is_refused_with_what_does(accept: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen(accept, OFFERED)
    assert refused.value.code == "not_acceptable"
    assert all(name in refused.value.detail for name in OFFERED)


def test_csv_has_a_line_of_names_and_every_digit() -> None:
    assert csv_of(ROWS).decode().splitlines() == [
        "instrument,time,open,high,low,close,volume,source",
        "crypto:AAA-USD,2020-09-14T00:00:00Z,1.0,2.5,0.5,0.30000000000000004,10.0,binance",
        "crypto:AAA-USD,2020-09-15T00:00:00.000001Z,,2.0,1.0,1.5,,binance",
    ]
    assert csv_of([]).decode().splitlines() == ["instrument,time,open,high,low,close,volume,source"]


@pytest.mark.parametrize("rows", [ROWS, []])
def test_an_arrow_stream_has_typed_columns_and_nulls(rows: list[BarRow]) -> None:
    frame = pl.read_ipc_stream(io.BytesIO(arrow_of(rows)))
    assert frame.schema == {
        "instrument": pl.String(), "time": pl.Datetime("us", "UTC"), "open": pl.Float64(), "high": pl.Float64(),
        "low": pl.Float64(), "close": pl.Float64(), "volume": pl.Float64(), "source": pl.String(),
    }  # fmt: skip
    assert frame["close"].to_list() == [row.close for row in rows]
    assert frame["open"].null_count() == sum(row.open != row.open for row in rows)
    assert frame["time"].dt.timestamp("us").to_list() == [row.time for row in rows]


def test_a_page_is_kept_until_its_version_changes() -> None:
    pages = Pages()
    page = pages.put("a", 1, 1, Encoded(b"x", '"x"'))
    assert pages.get("a", 1) is page
    assert pages.get("a", 2) is None
    assert pages.get("b", 1) is None
    assert (pages.hits, pages.misses) == (1, 2)


def test_a_page_of_an_older_state_holds_where_its_version_does() -> None:
    pages = Pages()
    page = pages.put("a", "state 1", "version 1", Encoded(b"x", '"x"'))
    assert pages.get("a", "state 2") is None
    assert pages.renewed("a", "state 2", "version 2") is None
    assert pages.renewed("a", "state 2", "version 1") is page
    assert pages.get("a", "state 2") is page
    assert pages.get("a", "state 1") is None
    assert (pages.hits, pages.misses) == (2, 1)


def test_pages_keep_so_many_bytes_and_those_asked_for_last() -> None:
    pages = Pages(kept_bytes=16_000)
    for number in range(12):
        pages.put(number, 0, 0, Encoded(b"x" * 1_500, ""))
        assert pages.size <= 16_000
        pages.get(0, 0)
    assert pages.get(0, 0) is not None
    assert pages.get(1, 0) is None
    assert pages.get(11, 0) is not None
    before = pages.size
    pages.put(0, 1, 1, Encoded(b"y" * 1_400, ""))
    assert pages.size == before - 100


def test_a_page_that_would_push_out_many_is_not_kept() -> None:
    pages = Pages(kept_bytes=16_000)
    small = pages.put("small", 0, 0, Encoded(b"x" * 1_000, ""))
    large = Encoded(b"x" * 3_000, "")
    assert pages.put("large", 0, 0, large) is large
    assert pages.get("large", 0) is None
    assert pages.get("small", 0) is small
