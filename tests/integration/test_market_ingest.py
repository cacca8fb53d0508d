"""Ingestion accounts for every row, says what is wrong, and can be stopped anywhere and run again."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tradewright.clock import DAY_US, parse_us
from tradewright.errors import InvalidInput, UnknownName
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.files import ingest_csv, ingest_data_set
from tradewright.market.ingest import IngestReport, ingest_frame
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.load import load_panel
from tradewright.market.verdicts import Verdict
from tradewright.storage import series as store
from tradewright.storage.database import Database
from tradewright.storage.tables import bar_tail, data_sets, instruments, quarantine, series

NOW = parse_us("2025-01-01")
COIN = Instrument("crypto:BTC-USD")
BAD_CSV = """timestamp,open,high,low,close,volume
2024-01-02,10,11,9,10.5,100
2024-01-04,10,11,9,10.4,100
2024-01-03,10,11,9,10.3,100
2024-01-03,10,11,9,10.3,100
2024-01-05,10,11,9,nan,100
2024-01-06,-10,11,9,10,100
2024-01-07,1x0,11,9,10,100
2024-13-08,10,11,9,10,100
2024-01-09,10,11,9,10,100
2024-01-09,10,11,9,10.1,100
2024-01-10,10,8,9,10.1,100

2024-01-11,10,11,9,10,-5
"""


@pytest.fixture
def catalog(tmp_path: Path, database: Database) -> Catalog:
    return Catalog(tmp_path / "catalog", database)


def _ingest_csv(catalog: Catalog, text: str, ingestion: str = "ing_1", **rest: Any) -> IngestReport:
    path = catalog.folder.parent / "bars.csv"
    path.write_text(text)
    given: dict[str, Any] = {"owner": SYSTEM, "interval": "1d", "now_us": NOW, **rest}
    return ingest_csv(path, catalog, catalog.database, instrument=COIN, ingestion_id=ingestion, **given)


def _state(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    def read(tx: Any) -> dict[str, list[tuple[Any, ...]]]:
        tables = (bar_tail, data_sets, instruments, quarantine, series)
        return {t.name: sorted(map(tuple, tx.execute(t.select())), key=repr) for t in tables}

    return database.read(read)


def test_a_file_with_every_defect_is_accounted_for_row_by_row(catalog: Catalog) -> None:
    report = _ingest_csv(catalog, BAD_CSV)
    assert report.rows_read == 12
    assert (report.accepted, report.rejected, report.duplicates) == (3, 8, 1)
    assert report.accepted + report.rejected + report.duplicates == report.rows_read
    stored = catalog.read(SYSTEM, "file", [COIN.id], "1d")
    assert stored["close"].to_list() == [10.5, 10.3, 10.4]
    assert stored["time"][0] == parse_us("2024-01-03"), "a day given by its start is complete at its end"
    aside = catalog.database.read(store.list_quarantine, SYSTEM, limit=100)
    assert sorted(row["code"] for row in aside) == sorted(
        ["missing_close", "non_positive_price", "unparseable", "unparseable", "conflicting_rows", "conflicting_rows",
         "high_below_low", "negative_volume"]
    )  # fmt: skip
    unreadable = sorted(row["detail"] for row in aside if row["code"] == "unparseable")
    assert unreadable == ["line 8: open is no number: 1x0", "line 9: timestamp is no time: 2024-13-08"]
    assert {"timestamp": "2024-13-08", "open": "10", "high": "11", "low": "9", "close": "10", "volume": "100"} in [
        row["row"] for row in aside
    ]
    codes = {finding.code for finding in report.verdict.findings}
    assert {"duplicate_rows", "unordered_rows", "missing_close", "unparseable"} <= codes
    assert report.verdict.verdict is Verdict.REJECTED


def test_a_price_too_large_for_a_number_is_named_for_what_it_is(catalog: Catalog) -> None:
    text = "timestamp,open,high,low,close,volume\n2024-01-02,10,1e999,9,10,1\n2024-01-03,10,11,9,10,1e999\n"
    _ingest_csv(catalog, text)
    aside = catalog.database.read(store.list_quarantine, SYSTEM, limit=100)
    assert [row["code"] for row in aside] == ["not_finite", "not_finite"]
    said = "a price or the volume is infinite, or too large for a number: open 10.0, high inf"
    assert any(row["detail"].startswith(said) for row in aside)


def test_the_same_ingestion_twice_is_the_same_state(catalog: Catalog) -> None:
    first = _ingest_csv(catalog, BAD_CSV)
    state = _state(catalog.database)
    again = _ingest_csv(catalog, BAD_CSV, now_us=NOW)
    assert again.stored == 0
    assert again.series == first.series
    assert _state(catalog.database) == state
    assert catalog.revisions(SYSTEM, "file", COIN.id, "1d", parse_us("2024-01-03")).height == 1


def test_another_ingestion_stores_only_what_is_new_or_changed(catalog: Catalog) -> None:
    text = "time,open,high,low,close,volume\n2024-01-03,1,2,1,2,5\n2024-01-04,1,2,1,2,5\n"
    _ingest_csv(catalog, text)
    changed = text.replace("04,1,2,1,2,5", "04,1,2,1,1.5,5") + "2024-01-05,1,2,1,2,5\n"
    report = _ingest_csv(catalog, changed, "ing_2", now_us=NOW + 1)
    assert (report.accepted, report.stored, report.revised) == (3, 2, 1)
    (told,) = [finding for finding in report.verdict.findings if finding.code == "rewritten_rows"]
    assert "the close of 2024-01-04T00:00:00Z went from 2 to 1.5, -25.000%" in told.detail
    assert (told.count, told.rows) == (1, (parse_us("2024-01-04"),))
    again = _ingest_csv(catalog, changed, "ing_3", now_us=NOW + 2)
    assert (again.stored, again.revised) == (0, 0)
    assert told in again.verdict.findings, "it stays, whatever comes later"
    assert catalog.read(SYSTEM, "file", None, "1d")["close"].to_list() == [2.0, 1.5, 2.0]
    assert catalog.revisions(SYSTEM, "file", COIN.id, "1d", parse_us("2024-01-04"))["close"].to_list() == [2.0, 1.5]
    assert report.series[0].rows == 3


def test_what_replaces_a_bar_was_known_when_it_came_and_no_earlier(catalog: Catalog) -> None:
    text = "time,open,high,low,close,volume\n2024-01-03,1,2,1,2,5\n2024-01-04,1,2,1,2,5\n"
    _ingest_csv(catalog, text)
    _ingest_csv(catalog, text.replace("04,1,2,1,2,5", "04,1,2,1,1.5,5"), "ing_2", now_us=NOW + 1)

    def closes(as_of_us: int | None) -> list[float]:
        return catalog.read(SYSTEM, "file", None, "1d", as_of_us=as_of_us)["close"].to_list()  # type: ignore[no-any-return]

    assert closes(None) == [2.0, 1.5]
    assert closes(NOW + 1) == [2.0, 1.5]
    assert closes(NOW) == [2.0, 2.0]
    assert closes(parse_us("2024-01-04")) == [2.0, 2.0]


def test_a_private_series_is_compared_with_itself_and_not_with_the_shared_one(catalog: Catalog) -> None:
    text = "time,open,high,low,close,volume\n2024-01-03,1,2,1,2,5\n2024-01-04,1,2,1,2,5\n"
    changed, own = text.replace("04,1,2,1,2,5", "04,1,2,1,1.5,5"), Owner("org_1")
    _ingest_csv(catalog, changed)  # of `system`
    _ingest_csv(catalog, text, "ing_2", owner=own, now_us=NOW + 1)
    report = _ingest_csv(catalog, changed, "ing_3", owner=own, now_us=NOW + 9)
    assert (report.accepted, report.stored, report.revised) == (2, 1, 1)
    for as_of_us, closes in ((NOW + 8, [2.0, 2.0]), (NOW + 9, [2.0, 1.5])):
        assert catalog.read(own, "file", None, "1d", as_of_us=as_of_us)["close"].to_list() == closes


def test_lines_with_too_many_or_too_few_values_are_kept_aside_whole(catalog: Catalog) -> None:
    text = "time,open,high,low,close,volume\n2024-01-03,1,2,1,2,5\n2024-01-04,1,2,1,2,5,7,8\n2024-01-05,1,2\n"
    report = _ingest_csv(catalog, text)
    assert (report.rows_read, report.accepted, report.rejected) == (3, 1, 2)
    details = sorted(row["detail"] for row in catalog.database.read(store.list_quarantine, SYSTEM))
    assert details == [
        "line 3: 8 values for 6 columns: 2024-01-04,1,2,1,2,5,7,8",
        "line 4: 3 values for 6 columns: 2024-01-05,1,2",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", r"no column time \(or timestamp\), open, high, low, close"),
        ("time,open,close\n1,2,3\n", "no column high, low"),
    ],
)
def test_a_file_that_is_no_bar_file_is_refused_with_what_is_missing(catalog: Catalog, text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        _ingest_csv(catalog, text)
    with pytest.raises(InvalidInput, match="cannot open"):
        ingest_csv("nowhere.csv", catalog, catalog.database, SYSTEM, COIN, interval="1d", now_us=NOW, ingestion_id="x")


def _frame(days: int = 50) -> pl.DataFrame:
    times = [parse_us("2024-01-01") + DAY_US * d for d in range(days)]
    closes = [100.0 + (d * 7 % 5) for d in range(days)]
    closes[10] = float("nan")
    return pl.DataFrame({"time": times, "close": closes}).with_columns(pl.lit(COIN.id).alias("instrument"))


def _ingest(catalog: Catalog, **rest: Any) -> IngestReport:
    given: dict[str, Any] = {
        "interval": Interval.DAY, "source": "s", "now_us": NOW, "ingestion_id": "ing_1", "close_only": True, **rest,
    }  # fmt: skip
    return ingest_frame(catalog, catalog.database, SYSTEM, _frame(), [COIN], **given)


def test_an_instrument_that_was_not_announced_is_refused_by_name(catalog: Catalog) -> None:
    frame = _frame().with_columns(pl.lit("crypto:BTC-USDX").alias("instrument"))
    with pytest.raises(UnknownName, match="did you mean crypto:BTC-USD"):
        ingest_frame(
            catalog, catalog.database, SYSTEM, frame, [COIN], interval="1d", source="s", now_us=NOW, ingestion_id="i"
        )
    assert catalog.read(SYSTEM, "s", None, "1d").height == 0


class _Stop(Exception):
    """The process went away here."""


@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_ingestion_stopped_at_any_step_and_run_again_ends_like_one_that_was_not(
    catalog: Catalog, tmp_path: Path, step: int
) -> None:
    steps: list[str] = []

    def stop(_: float, message: str) -> None:
        steps.append(message)
        if len(steps) == step + 1:
            raise _Stop

    with pytest.raises(_Stop):
        _ingest(catalog, progress=stop)
    _ingest(catalog)
    state, rows = _state(catalog.database), catalog.read(SYSTEM, "s", None, "1d")
    assert rows.height == 49
    assert len(state["quarantine"]) == 1
    assert catalog.revisions(SYSTEM, "s", COIN.id, "1d", int(rows["time"][0])).height == 1
    _ingest(catalog)
    assert _state(catalog.database) == state


def _ingest_and_die(folder: Path, url: str) -> None:
    def die(fraction: float, _: str) -> None:
        if fraction == 0.8:
            os.kill(os.getpid(), 9)

    with Database(url) as database:
        _ingest(Catalog(folder, database), progress=die, now_us=NOW - 5)


def test_a_process_killed_after_storing_and_before_the_verdict_is_completed(
    catalog: Catalog, migrated_url: str
) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_ingest_and_die, args=(catalog.folder, migrated_url))
    child.start()
    child.join(60)
    assert child.exitcode == -9
    assert catalog.database.read(store.get_series, SYSTEM, "s", COIN.id, "1d") is None
    _ingest(catalog)
    assert catalog.read(SYSTEM, "s", None, "1d").height == 49
    assert catalog.revisions(SYSTEM, "s", COIN.id, "1d", parse_us("2024-01-02")).height == 1
    found = catalog.database.read(store.get_series, SYSTEM, "s", COIN.id, "1d")
    assert found is not None
    assert (found["rows"], found["verdict"]) == (49, "suspect")


def test_the_packaged_shares_say_what_is_wrong_with_them(catalog: Catalog) -> None:
    told: list[float] = []
    report = ingest_data_set(catalog, catalog.database, "us-stocks", NOW, lambda fraction, _: told.append(fraction))
    assert (report.rows_read, report.stored) == (20 * 8_313, 20 * 8_313)
    assert told == sorted(told)
    assert told[-1] == 1.0
    panel = catalog.panel("us-stocks")
    assert panel.shape == (8_313, 20)
    assert panel.close_only
    assert panel.pre_adjusted
    whole = {finding.code: finding for finding in panel.verdict.findings if not finding.instrument}
    assert set(whole) == {"close_only", "pre_adjusted", "revised", "survivors_only"}
    assert all(finding.severity is Verdict.USABLE and finding.count == 20 for finding in whole.values())
    # Range Resources did not move for weeks in the early 1990s, as rounded as its adjusted price is.
    worst = [f for f in panel.verdict.findings if f.severity is Verdict.SUSPECT]
    assert [(f.code, f.instrument) for f in worst] == [("stale_run", "equity:RRC")]
    assert panel.data_version == load_panel("us-stocks").data_version
    again = ingest_data_set(catalog, catalog.database, "us-stocks", NOW + 1)
    assert (again.rows_read, again.stored, len(again.series)) == (0, 0, 20)
    assert catalog.database.read(store.resolve_alias, "skfolio", "AAPL", NOW) == "equity:AAPL"
    assert catalog.database.read(store.resolve_alias, "skfolio", "AAPX", NOW) is None
    assert len(catalog.panel("us-stocks", end_us=parse_us("1990-02-01")).times) == 22


def test_the_packaged_indices_have_whole_bars(catalog: Catalog) -> None:
    ingest_data_set(catalog, catalog.database, "us-indices", NOW)
    panel = catalog.panel("us-indices", owner=Owner("org_a"))
    assert panel.ids == ("index:SPX", "index:IXIC")
    assert panel.shape == (5_031, 2)
    assert not panel.close_only
    first = (panel.open[0, 0], panel.high[0, 0], panel.low[0, 0], panel.close[0, 0], panel.volume[0, 0])
    assert first == pytest.approx((1229.22998, 1248.810059, 1219.099976, 1228.099976, 877_000_000))
    assert panel.times[0] == parse_us("1999-01-04T21:00:00Z")


def test_an_unknown_data_set_is_named_with_those_there_are(catalog: Catalog) -> None:
    with pytest.raises(UnknownName, match="did you mean us-stocks"):
        ingest_data_set(catalog, catalog.database, "us-stock", NOW)
