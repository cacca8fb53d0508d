"""A back-fill through everything that can go wrong at a third party ends complete, and every bar is there once."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from aiohttp import web

from hostile import FAULTS, MINUTE_MS, REFUSED, Hostile, listening
from tradewright.clock import WallClock, parse_us
from tradewright.errors import Cancelled, SourceFailed, StorageFailed
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.dated import actions_of
from tradewright.market.instruments import Interval
from tradewright.sources import binance
from tradewright.sources.backfill import Filled, Plan, Stores, backfill
from tradewright.sources.continuing import Wanted, read_begins
from tradewright.sources.fetch import Line
from tradewright.sources.source import Paging
from tradewright.storage import series
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.transport.http import HttpTransport
from tradewright.transport.lane import Lane
from tradewright.transport.messages import Policy

START = parse_us("2024-01-01")
MINUTES = 6_000
MINUTE = Interval.MINUTE
QUICK = Policy(deadline_s=10.0, attempt_s=0.5, attempts=6, cap_bytes=1_000_000, backoff_s=0.01)
BITCOIN = binance.instrument_of("BTCUSDT")
CLOCK = WallClock()


def truth(minutes: int = MINUTES) -> list[list[object]]:
    draw, price, rows = random.Random(3), 42_000.0, []
    for at in range(minutes):
        begin = START // 1_000 + at * MINUTE_MS
        last = price * (1 + draw.gauss(0, 1e-4))
        high, low = max(price, last) * 1.0001, min(price, last) * 0.9999
        values = (f"{value:.2f}" for value in (price, high, low, last))
        rows.append([begin, *values, f"{draw.random():.5f}", begin + MINUTE_MS - 1, "0", 1, "0", "0", "0"])
        price = last
    return rows


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        yield Stores(Catalog(tmp_path, database), actions_of(tmp_path))


def plan(minutes: int = MINUTES) -> Plan:
    end = START + minutes * Interval.MINUTE.us
    return Plan(SYSTEM, (BITCOIN,), Interval.MINUTE, START, end, "ing_test")


def filled(hostile: Hostile, stores: Stores, policy: Policy = QUICK, **more) -> Filled:  # type: ignore[no-untyped-def]
    async def run() -> Filled:
        async with listening(hostile) as address, HttpTransport() as transport:
            lane = Lane(transport, "Binance", binance.SOURCE.limits)
            paged = replace(binance.SOURCE, bars=replace(binance.SOURCE.bars, page_rows=more.pop("page_rows", 1_000)))
            line = Line(
                more.pop("source", paged), lane, base_url=address, policy=policy, wait=lambda s: asyncio.sleep(s / 50)
            )
            return await backfill(line, more.pop("plan", plan()), stores, CLOCK.now_us, **more)

    return asyncio.run(run())


def assert_whole(stores: Stores, rows: list[list[object]]) -> None:
    there = stores.catalog.read(SYSTEM, "binance", [BITCOIN.id], Interval.MINUTE)
    assert there["time"].to_list() == [(int(str(row[0])) + MINUTE_MS) * 1_000 for row in rows]
    assert there["close"].to_list() == [float(str(row[4])) for row in rows]
    assert there["volume"].to_list() == [float(str(row[5])) for row in rows]
    raw = pl.concat(
        [stores.catalog.revisions(SYSTEM, "binance", BITCOIN.id, Interval.MINUTE, t) for t in there["time"][::97]]
    )
    assert raw.height == len(there["time"][::97]), "a bar was stored twice"


def test_a_backfill_through_every_fault_ends_complete_and_exactly_once(stores: Stores) -> None:
    rows = truth()
    lasting = [fault for fault in FAULTS if fault not in REFUSED]
    hostile = Hostile(rows, faults=lasting * 2)
    done = filled(hostile, stores, page_rows=100)
    assert_whole(stores, rows)
    assert set(hostile.injected) == set(lasting)
    assert done.mended > 0
    assert done.report.series[0].rows == MINUTES
    assert [f.code for f in done.report.verdict.findings if f.code == "missing_rows"] == []
    assert done.report.rows_read == done.report.accepted + done.report.rejected + done.report.duplicates


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_survived_or_told_and_the_next_run_completes_it(stores: Stores, fault: str) -> None:
    rows, marks = truth(2_500), {}
    hostile = Hostile(rows, faults=[fault] * (1 if fault in REFUSED else 3))
    keep = marks.__setitem__
    if fault in REFUSED:
        with pytest.raises(SourceFailed) as told:
            filled(hostile, stores, plan=plan(2_500), keep=keep)
        assert told.value.message
        before = stores.catalog.read(SYSTEM, "binance", [BITCOIN.id], Interval.MINUTE)
        assert before.height in (0, 1_000, 2_000), "a page was half-written"
        assert marks.get(BITCOIN.id, START) == START + before.height * Interval.MINUTE.us
    filled(hostile, stores, plan=plan(2_500), keep=keep, reached=dict(marks))
    assert_whole(stores, rows)
    assert hostile.injected[fault] >= 1


def test_a_backfill_that_is_stopped_goes_on_where_it_was(stores: Stores) -> None:
    rows, marks = truth(), {}
    hostile = Hostile(rows, faults=[])
    calls = iter(range(100))

    def stop_after_two(fraction: float, message: str) -> None:
        if next(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        filled(hostile, stores, keep=marks.__setitem__, progress=stop_after_two)
    asked = hostile.asked
    assert asked == 3
    filled(hostile, stores, keep=marks.__setitem__, reached=dict(marks))
    assert_whole(stores, rows)
    assert hostile.asked - asked == MINUTES // 1_000 - 3  # the page that was stored last was asked for no more


def test_a_database_that_is_away_ends_a_backfill_with_one_error_and_no_other_words(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise StorageFailed("no connection to the database")

    with pytest.raises(StorageFailed, match="no connection"):
        filled(Hostile(truth(2_500), faults=[]), stores, plan=plan(2_500), keep=away, progress=away)
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"], caplog.text


def test_a_second_backfill_of_the_same_span_stores_nothing(stores: Stores) -> None:
    rows = truth(1_500)
    first = filled(Hostile(rows, faults=[]), stores, plan=plan(1_500))
    again = filled(Hostile(rows, faults=[]), stores, plan=plan(1_500))
    assert (first.report.stored, again.report.stored) == (1_500, 0)
    assert_whole(stores, rows)


def test_what_the_source_has_not_is_a_finding_and_not_asked_for_for_ever(stores: Stores) -> None:
    rows = [row for at, row in enumerate(truth(1_200)) if not 300 <= at < 320]
    hostile = Hostile(rows, faults=[])
    done = filled(hostile, stores, plan=plan(1_200))
    (missing,) = [f for f in done.report.verdict.findings if f.code == "missing_rows"]
    assert missing.count == 20
    assert hostile.asked < 8


def test_a_source_that_answers_less_than_was_asked_for_is_told(stores: Stores) -> None:
    rows = truth(1_200)[100:1_100]
    done = filled(Hostile(rows, faults=[]), stores, plan=plan(1_200))
    told = {f.code: (f.count, f.severity.label) for f in done.report.verdict.findings if f.code != "other_address"}
    assert told == {"begins_late": (101, "usable"), "ends_early": (100, "suspect")}
    assert done.report.verdict.verdict.label == "suspect"
    (row,) = stores.catalog.database.read(series.list_series, SYSTEM)
    assert row["verdict"] == "suspect"
    narrow = replace(plan(1_200), start_us=START + 300 * MINUTE.us, end_us=START + 1_000 * MINUTE.us)
    again = filled(Hostile(rows, faults=[]), stores, plan=narrow)
    codes = {f.code for f in again.report.verdict.findings} - {"other_address"}
    assert codes == {"begins_late", "ends_early"}, "they stay absent"
    whole = filled(Hostile(truth(1_200), faults=[]), stores, plan=plan(1_200))
    codes = {f.code for f in whole.report.verdict.findings} - {"other_address"}
    assert codes == {"begins_late"}, "the bar that ends at the start"


def test_an_instrument_of_which_nothing_came_is_told(stores: Stores) -> None:
    rows = truth(1_200)

    class Half(Hostile):
        async def answer(self, request):  # type: ignore[no-untyped-def]
            if request.query["symbol"] == "BTCUSDT":
                return await super().answer(request)
            return web.json_response([])

    both = replace(plan(1_200), instruments=(BITCOIN, binance.instrument_of("ETHUSDT")))
    done = filled(Half(rows, faults=[]), stores, plan=both)
    (finding,) = [f for f in done.report.verdict.findings if f.code == "no_rows"]
    assert (finding.instrument, finding.severity.label, finding.count) == ("crypto:ETH-USDT", "rejected", 1_201)
    assert "no bar came between 2024-01-01T00:00:00Z and 2024-01-01T20:00:00Z" in finding.detail
    assert {row["instrument"] for row in stores.catalog.database.read(series.list_series, SYSTEM)} == {BITCOIN.id}


def test_a_symbol_that_is_unknown_keeps_no_other_from_coming(stores: Stores) -> None:
    rows = truth(1_200)

    class Knowing(Hostile):
        async def answer(self, request):  # type: ignore[no-untyped-def]
            if request.query["symbol"] == "BTCUSDT":
                return await super().answer(request)
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)

    gone = [binance.instrument_of("GONEUSDT"), binance.instrument_of("AWAYUSDT")]
    marks: dict[str, int] = {}
    several = replace(plan(1_200), instruments=(gone[0], BITCOIN, gone[1]))
    done = filled(Knowing(rows, faults=[]), stores, plan=several, keep=marks.__setitem__)
    assert list(done.unknown) == [gone[0].id, gone[1].id]
    assert "does not know 'GONEUSDT'" in done.unknown[gone[0].id]
    assert_whole(stores, rows)
    assert set(marks) == {BITCOIN.id}, "what is unknown is asked for again when the ingestion is repeated"
    (verdict,) = done.report.series
    assert verdict.instrument == BITCOIN.id


def test_a_run_that_ended_before_its_verdict_is_completed_by_the_next(stores: Stores) -> None:
    rows, marks = truth(1_500), {}

    def stop_at_the_end(fraction: float, message: str) -> None:
        if "up to 2024-01-02T01:00:00Z" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        filled(Hostile(rows, []), stores, plan=plan(1_500), keep=marks.__setitem__, progress=stop_at_the_end)
    hostile = Hostile(rows, [])
    done = filled(hostile, stores, plan=plan(1_500), reached=dict(marks))
    assert (hostile.asked, done.report.series[0].rows) == (0, 1_500)


def test_a_page_that_came_empty_once_ends_nothing(stores: Stores) -> None:
    rows = truth(2_500)
    hostile = Hostile(rows, faults=["no rows"] * 3)
    done = filled(hostile, stores, plan=plan(2_500))
    assert_whole(stores, rows)
    assert hostile.injected["no rows"] == 3
    assert done.report.series[0].rows == 2_500


def test_a_source_that_sends_the_same_page_again_and_again_is_told(stores: Stores) -> None:
    rows = truth(2_500)

    class Stuck(Hostile):
        async def answer(self, request):  # type: ignore[no-untyped-def]
            return web.json_response(rows[:1_000])

    with pytest.raises(SourceFailed, match=r"sent bars up to .* where those from .* on were asked for"):
        filled(Stuck(rows, []), stores, plan=plan(2_500))
    there = stores.catalog.read(SYSTEM, "binance", [BITCOIN.id], Interval.MINUTE)
    assert there.height == 1_000, "what came before is stored"


def test_a_source_that_leaves_out_quiet_minutes_is_asked_again_for_long_runs_only(stores: Stores) -> None:
    rows = [row for at, row in enumerate(truth(1_200)) if at % 7 or at < 600]

    class Fourth(Hostile):
        async def answer(self, request):  # type: ignore[no-untyped-def]
            if self.asked == 3:
                self.asked += 1
                return web.json_response([])
            return await super().answer(request)

    hostile = Fourth(rows, faults=[])
    sparse = replace(
        binance.SOURCE, bars=replace(binance.SOURCE.bars, sparse=True, paging=Paging.WINDOWS, page_rows=100)
    )
    done = filled(hostile, stores, plan=plan(1_200), source=sparse)
    assert done.report.series[0].rows == len(rows), "the window that came empty was asked for again"
    assert hostile.asked == 13 + 1


def going_on(stores: Stores, minutes: int, ingestion: str) -> Plan:
    """As a schedule asks for it: from where the series ends to so many minutes after its beginning."""
    end = START + minutes * Interval.MINUTE.us
    wanted = Wanted(SYSTEM, "binance", (BITCOIN.id,), Interval.MINUTE, end)
    begins = stores.catalog.database.read(read_begins, wanted, CLOCK.now_us())
    return replace(plan(minutes), begins=begins, ingestion=ingestion)


def test_a_series_grows_from_one_ingestion_to_the_next(stores: Stores) -> None:
    rows = truth(1_000)
    hostile = Hostile(rows, faults=[])
    filled(hostile, stores, plan=plan(600))
    first = going_on(stores, 700, "ing_2")
    assert first.begins == {BITCOIN.id: START + 595 * Interval.MINUTE.us}
    rows[598][4] = rows[598][3]  # a revision within the overlap, and one before it
    rows[10][4] = rows[10][3]
    done = filled(hostile, stores, plan=first)
    assert (done.report.rows_read, done.report.stored, done.report.series[0].rows) == (106, 101, 700)
    there = stores.catalog.read(SYSTEM, "binance", [BITCOIN.id], Interval.MINUTE)
    assert (there["close"][598], there["close"][10]) == (float(str(rows[598][4])), float(str(truth(11)[10][4])))
    again = filled(hostile, stores, plan=going_on(stores, 700, "ing_3"))
    assert (again.report.rows_read, again.report.stored) == (6, 0)


def test_what_came_before_a_failure_is_a_series_that_the_next_one_goes_on_with(stores: Stores) -> None:
    rows = truth(2_500)
    hostile = Hostile(rows, faults=["redirect"], _right=False)  # the second answer
    with pytest.raises(SourceFailed):
        filled(hostile, stores, plan=plan(2_500))
    row = stores.catalog.database.read(series.get_series, SYSTEM, "binance", BITCOIN.id, "1m")
    assert row is not None
    assert row["rows"] == 1_000
    assert row["last_time"] == START + 1_000 * Interval.MINUTE.us
    filled(hostile, stores, plan=going_on(stores, 2_500, "ing_2"))
    assert_whole(stores, rows)


def test_a_row_that_is_rejected_again_is_kept_aside_once(stores: Stores) -> None:
    rows = truth(100)
    rows[97][2] = "1.0"  # high below low
    for ingestion in ("ing_1", "ing_2", "ing_3"):
        filled(Hostile(rows, faults=[]), stores, plan=going_on(stores, 100, ingestion))
    counts = stores.catalog.database.read(series.count_quarantine, SYSTEM, "binance", BITCOIN.id, "1m")
    assert sum(counts.values()) == 1


def test_a_source_that_adjusts_is_asked_anew_once_it_has_rewritten_its_prices(stores: Stores) -> None:
    rows, adjusted = truth(900), replace(binance.SOURCE, bars=replace(binance.SOURCE.bars, adjusted=True))
    hostile = Hostile(rows, faults=[])
    filled(hostile, stores, plan=plan(600), source=adjusted)
    asked = hostile.asked
    filled(hostile, stores, plan=going_on(stores, 700, "ing_2"), source=adjusted)
    assert hostile.asked - asked <= 4  # the overlap, the new ones, that there are no more
    for row in rows:
        row[1:5] = (f"{float(str(price)) / 2:.2f}" for price in row[1:5])  # a split
    filled(hostile, stores, plan=going_on(stores, 800, "ing_3"), source=adjusted)
    there = stores.catalog.read(SYSTEM, "binance", [BITCOIN.id], Interval.MINUTE)
    assert there["close"].to_list() == [float(str(row[4])) for row in rows[:800]]
