"""Reading a CSV file of bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradewright.errors import InvalidInput
from tradewright.market.csvfile import CsvBars, read_csv
from tradewright.market.instruments import Interval


def _read(folder: Path, text: str, interval: Interval = Interval.MINUTE) -> CsvBars:
    path = folder / "bars.csv"
    path.write_text(text)
    return read_csv(path, "crypto:BTC-USD", interval, "24/7")


@pytest.mark.parametrize(
    "written",
    [
        "2024-01-03T00:00:00Z", "2024-01-03T00:00:00.000Z", "2024-01-03T01:00:00+01:00", "2024-01-03 01:00:00+01:00",
        "2024-01-03T00:00:00", "2024-01-03 00:00:00", "2024-01-03 00:00", "2024-01-03", " 2024-01-03 ", "1704240000",
        "1704240000000", "1704240000000000",
    ],
)  # fmt: skip
def test_a_time_can_be_written_in_every_usual_way(tmp_path: Path, written: str) -> None:
    assert _read(tmp_path, f"time,close\n{written},7\n").bars.rows() == [(1704240000000000, 7.0)]


@pytest.mark.parametrize("written", ["", "soon", "2024-02-30", "03/01/2024", "2024-01-03T25:00:00Z"])
def test_a_time_that_cannot_be_read_keeps_its_line_aside(tmp_path: Path, written: str) -> None:
    read = _read(tmp_path, f"time,close\n{written},7\n2024-01-03,8\n")
    assert read.bars["close"].to_list() == [8.0]
    assert read.unreadable["position"].to_list() == [2]
    assert read.unreadable["detail"][0].startswith("time is no time: ")


def test_missing_values_are_missing_and_garbage_is_garbage(tmp_path: Path) -> None:
    read = _read(tmp_path, "time,close,volume\n1704240000,7,\n1704240060,NaN,1\n1704240120,1e2,x\n")
    assert read.bars.rows() == [(1704240000000000, 7.0, None), (1704240060000000, None, 1.0)]
    assert read.unreadable["detail"].to_list() == ["volume is no number: x"]


def test_names_of_columns_may_have_capitals_spaces_and_a_byte_order_mark(tmp_path: Path) -> None:
    read = _read(tmp_path, "\ufeffTimestamp, Close \n1704240000,7\n")
    assert read.bars.rows() == [(1704240060000000, 7.0)]
    assert read.close_only


def test_a_start_becomes_an_end_and_an_end_stays(tmp_path: Path) -> None:
    assert _read(tmp_path, "timestamp,close\n2024-01-03,7\n", Interval.DAY).bars["time"][0] == 1704326400000000
    assert _read(tmp_path, "date,close\n2024-01-03,7\n", Interval.DAY).bars["time"][0] == 1704326400000000
    assert _read(tmp_path, "time,close\n2024-01-03,7\n", Interval.DAY).bars["time"][0] == 1704240000000000


def test_a_day_before_the_calendar_begins_keeps_its_line_aside(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("date,close\n1969-07-16,7\n2024-01-03,8\n")
    read = read_csv(path, "equity:AAPL", Interval.DAY, "XNYS")
    assert read.bars["close"].to_list() == [8.0]
    assert read.unreadable["position"].to_list() == [2]
    assert read.unreadable["detail"].to_list() == ["date 1969-07-16 lies before 1970-01-02, where calendar XNYS begins"]


NUMBER, BARE, ZULU = "1704240000", "2024-01-03 00:01:00", "2024-01-03T00:02:00Z"


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (
            [BARE, BARE, ZULU, NUMBER, ZULU],
            "(line 2: 2024-01-03 00:01:00), with an offset (line 4: 2024-01-03T00:02:00Z), as a number (line 5: 1704",
        ),
        ([NUMBER, "2024-01-03"], "as a number (line 2: 1704240000), without an offset (line 3: 2024-01-03)"),
        (["2024-01-03 01:00:00+01:00", BARE], "with an offset (line 2: 2024-01-03 01:00:00+01:00), without an offset"),
    ],
)
def test_a_file_that_writes_its_times_in_several_ways_is_refused(tmp_path: Path, times: list[str], told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _read(tmp_path, "time,close\n" + "".join(f"{time},7\n" for time in times))
    assert told in refused.value.message
    assert "write all of them the same way" in refused.value.message


@pytest.mark.parametrize(
    "times",
    [
        [NUMBER, "1704240060000"],
        [BARE, "2024-01-03", "2024-01-03T00:03:00"],
        [ZULU, "2024-01-03T01:03:00+01:00", "soon", ""],
        [BARE, "2024-01-03T25:00:00Z"],
    ],
)
def test_ways_that_mean_the_same_and_times_that_are_none_are_no_mixture(tmp_path: Path, times: list[str]) -> None:
    read = _read(tmp_path, "time,close\n" + "".join(f"{time},7\n" for time in times))
    assert read.bars.height + read.unreadable.height == len(times)
