"""What a source says of splits and dividends changes: corrected, moved, taken back, told late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

from tradewright.clock import DAY_US, WallClock, parse_us
from tradewright.errors import SourceFailed
from tradewright.ids import SYSTEM, Owner
from tradewright.market.calendars import close_of
from tradewright.market.catalog import Catalog
from tradewright.market.dated import ACTIONS, FACTS, actions_of, facts_of
from tradewright.market.instruments import Interval
from tradewright.market.verdicts import Verdict
from tradewright.sources import polygon, tiingo
from tradewright.sources.backfill import Filled, Plan, Stores, backfill
from tradewright.sources.continuing import Wanted, read_begins
from tradewright.sources.fetch import Line
from tradewright.storage import series
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.transport.http import HttpTransport

OURS = Owner("org_ours")
assert polygon.SOURCE.bars is not None
FAR = replace(polygon.SOURCE, bars=replace(polygon.SOURCE.bars, reach_us=None))  # as of a plan with all history
SHARE = polygon.instrument_of("XYZ")
START, END = parse_us("2024-05-01"), parse_us("2024-09-30T21:00:00Z")
DAYS = pl.date_range(pl.date(2024, 5, 1), pl.date(2024, 9, 30), eager=True)
Told = Mapping[str, tuple[float, float]]
"""Split and dividend by ex day."""


def close_us(day: str) -> int:
    return int(close_of("XNYS", pl.Series([day]).str.to_date().to_numpy().astype("datetime64[us]"))[0])


class World:
    """Answers like Polygon and like Tiingo, of one share. cut: the second page of dividends never comes. currencies: of
    dividends that are not paid in dollars, by ex day."""

    def __init__(self, told: Told) -> None:
        self.told, self.cut, self.refuse, self.asked, self.until = told, False, False, [], "2024-09-30"  # type: ignore[var-annotated]
        self.currencies: dict[str, str] = {}

    async def bars(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        first, last = request.match_info["first"], request.match_info["last"]
        stamps = [day for day in DAYS if _ms(first) <= _day_ms(day) <= _ms(last) and str(day) <= self.until]
        rows = [{"t": _day_ms(day), "o": 50, "h": 51, "l": 49, "c": 50, "v": 10} for day in stamps if day.weekday() < 5]
        return web.json_response({"status": "OK", "ticker": "XYZ", "adjusted": False, "results": rows})

    async def days(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        first, last = request.query["startDate"], request.query["endDate"]
        found = [day for day in DAYS if first <= str(day) <= min(last, self.until) and day.weekday() < 5]
        rows = [
            {"date": f"{day}T00:00:00.000Z", "open": 50, "high": 51, "low": 49, "close": 50, "volume": 10}
            | dict(zip(("splitFactor", "divCash"), self.told.get(str(day), (1.0, 0.0)), strict=True))
            for day in found
        ]  # fmt: skip
        return web.json_response(rows)

    async def actions(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        if self.refuse:
            return web.json_response({"status": "NOT_AUTHORIZED", "message": "not on this plan"}, status=403)
        split = request.path.endswith("splits")
        day = "execution_date" if split else "ex_dividend_date"
        within = {
            at: told
            for at, told in self.told.items()
            if request.query.get(f"{day}.gte", "") <= at <= request.query.get(f"{day}.lte", "9")
        }
        if split:
            rows = [
                {"split_from": 1, "split_to": s, day: at, "ticker": "XYZ"} for at, (s, _) in within.items() if s != 1
            ]
        else:
            rows = [{"cash_amount": d, day: at, "ticker": "XYZ"} for at, (_, d) in within.items() if d]
            rows = [row | {"currency": self.currencies.get(str(row[day]), "USD")} for row in rows]
        body: dict[str, Any] = {"status": "OK", "results": rows}
        if self.cut and not split:
            if "cursor" in request.query:
                return web.json_response({"status": "ERROR", "error": "unknown cursor"}, status=400)
            body = {"status": "OK", "results": rows[:1], "next_url": f"https://api.polygon.io{request.path}?cursor=x"}
        return web.json_response(body)


def _day_ms(day: Any) -> int:
    return parse_us(f"{day}T04:00:00Z") // 1_000


def _ms(text: str) -> int:
    return int(text) if text.isdigit() else parse_us(text) // 1_000


@asynccontextmanager
async def speaking(world: World) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v2/aggs/ticker/XYZ/range/1/day/{first}/{last}", world.bars)
    app.router.add_get("/v3/reference/{kind}", world.actions)
    app.router.add_get("/stocks/v1/{kind}", world.actions)
    app.router.add_get("/tiingo/daily/XYZ/prices", world.days)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        yield Catalog(tmp_path, database)


def come_in(catalog: Catalog, world: World, key: str, source: Any = polygon.SOURCE, **change: Any) -> Filled:
    async def run() -> Filled:
        async with speaking(world) as address, HttpTransport() as transport:
            credentials = dict.fromkeys(source.auth.fields, "secret")
            line = Line(source, transport, credentials, address)
            plan = replace(Plan(OURS, (SHARE,), Interval.DAY, START, END, key), **change)
            return await backfill(line, plan, Stores(catalog, catalog.actions), WallClock().now_us)

    return asyncio.run(run())


def going_on(catalog: Catalog, source: Any = polygon.SOURCE) -> dict[str, int]:
    wanted = Wanted(OURS, source.name, (SHARE.id,), Interval.DAY, END)
    return catalog.database.read(read_begins, wanted, WallClock().now_us())


def held(catalog: Catalog, **bounds: int) -> list[tuple[str, float, float]]:
    found = catalog.panel(instruments=[SHARE.id], owner=OURS, **bounds).actions
    return [(str(_date(each.time_us)), each.split, each.dividend) for each in found]


def _date(us: int) -> Any:
    return pl.Series([us]).cast(pl.Datetime("us")).dt.date()[0]


@pytest.mark.parametrize("source", [polygon.SOURCE, tiingo.SOURCE], ids=["of their own", "with the bars"])
def test_a_dividend_that_moved_and_one_that_was_withdrawn_are_gone_from_now_on(catalog: Catalog, source: Any) -> None:
    world = World({"2024-06-10": (1.0, 2.0), "2024-08-12": (1.0, 3.0)})
    first = come_in(catalog, world, "ing_1", source)
    assert (first.actions, first.taken_back) == (2, 0)
    before_us = WallClock().now_us()
    world.told = {"2024-06-12": (1.0, 2.0)}
    second = come_in(catalog, world, "ing_2", source)
    assert (second.actions, second.taken_back) == (1, 2)
    assert held(catalog) == [("2024-06-12", 1.0, 2.0)]
    then = held(catalog, as_of_us=before_us)
    assert ("2024-06-10", 1.0, 2.0) in then, "what was known then is not forgotten"
    assert held(catalog, recorded_before_us=before_us) == [("2024-06-10", 1.0, 2.0), ("2024-08-12", 1.0, 3.0)]
    row = catalog.database.read(series.get_series, OURS, source.name, SHARE.id, "1d")
    assert row is not None
    (finding,) = [each for each in row["findings"] if each["code"] == "rewritten_actions"]
    assert (finding["severity"], finding["count"]) == ("usable", 2)
    assert come_in(catalog, world, "ing_3", source).taken_back == 0
    world.told = {"2024-06-10": (1.0, 2.0)}
    come_in(catalog, world, "ing_4", source)
    assert held(catalog) == [("2024-06-10", 1.0, 2.0)]


def test_a_split_that_moved_by_days_counts_once(catalog: Catalog) -> None:
    world = World({"2024-06-10": (4.0, 0.0)})
    come_in(catalog, world, "ing_1")
    world.told = {"2024-06-13": (4.0, 0.0)}
    come_in(catalog, world, "ing_2")
    assert held(catalog) == [("2024-06-13", 4.0, 0.0)]


def test_an_answer_that_was_cut_off_or_refused_or_is_shorter_takes_nothing_back(catalog: Catalog) -> None:
    days = ("2024-05-10", "2024-06-10", "2024-07-10", "2024-08-12", "2024-09-10")
    all_of_them = dict.fromkeys(days, (1.0, 1.0)) | {"2024-06-21": (2.0, 0.0)}
    world = World(all_of_them)
    come_in(catalog, world, "ing_1")
    expected = held(catalog)
    assert len(expected) == 6
    world.cut = True
    with pytest.raises(SourceFailed):
        come_in(catalog, world, "ing_2")
    assert held(catalog) == expected
    world.cut, world.refuse = False, True
    assert "plan" in come_in(catalog, world, "ing_3").refused
    assert held(catalog) == expected
    world.refuse = False
    for number, told in enumerate(({}, {"2024-09-10": (1.0, 1.0)}, {"2024-05-10": (1.0, 1.0)})):
        world.told = told
        filled = come_in(catalog, world, f"ing_4_{number}")
        assert (filled.taken_back, filled.missing) == (0, 6 - len(told))
        assert held(catalog) == expected, "an answer that ends early looks like this"
    world.told = {}
    narrow = {"start_us": parse_us("2024-07-01"), "end_us": parse_us("2024-07-20")}
    assert come_in(catalog, world, "ing_5", **narrow).taken_back == 1
    assert held(catalog) == [each for each in expected if each[0] != "2024-07-10"]


@pytest.mark.parametrize("source", [polygon.SOURCE, tiingo.SOURCE], ids=["of their own", "with the bars"])
def test_a_ratio_that_is_corrected_back_is_what_it_was_first(catalog: Catalog, source: Any) -> None:
    world = World({})
    for number, ratio in enumerate((4.0, 2.0, 4.0)):
        world.told = {"2024-06-10": (ratio, 0.0)}
        filled = come_in(catalog, world, f"ing_{number}", source)
        assert (filled.actions, filled.taken_back) == (1, 0)
        assert held(catalog) == [("2024-06-10", ratio, 0.0)]
        assert come_in(catalog, world, f"ing_again_{number}", source).actions == 0
    (action,) = catalog.panel(instruments=[SHARE.id], owner=OURS).actions
    assert action.known_at_us <= action.time_us, "a correction does not make it unknown on its day"


def test_before_a_correction_came_the_earlier_value_is_known(catalog: Catalog) -> None:
    world = World({"2024-06-10": (4.0, 0.0)})
    come_in(catalog, world, "ing_1")
    before_us = WallClock().now_us()
    world.told = {"2024-06-10": (2.0, 0.0)}
    come_in(catalog, world, "ing_2")
    assert held(catalog, as_of_us=before_us) == [("2024-06-10", 4.0, 0.0)]
    assert held(catalog) == [("2024-06-10", 2.0, 0.0)]


@pytest.mark.parametrize("source", [FAR, tiingo.SOURCE], ids=["of their own", "with the bars"])
def test_what_is_told_months_late_comes_in_where_a_series_is_gone_on_with(catalog: Catalog, source: Any) -> None:
    world = World({"2024-08-12": (1.0, 3.0)})
    world.until = "2024-09-20"
    come_in(catalog, world, "ing_1", source)
    world.until, world.told = "2024-09-30", {"2024-06-10": (2.0, 0.0)}
    come_in(catalog, world, "ing_2", source, begins=going_on(catalog, source))
    assert held(catalog) == [("2024-06-10", 2.0, 0.0)]


def test_a_fact_that_is_corrected_back_is_what_it_was_first(tmp_path: Path) -> None:
    store, at = facts_of(tmp_path), START
    for number, value in enumerate((100.0, 1_000.0, 100.0)):
        row = pl.DataFrame([("macro:GDP", "", "", None, at, at + DAY_US, value)], schema=FACTS, orient="row")
        assert store.append(SYSTEM, "fred", row, END + number, f"ing_{number}") == 1
        assert store.append(SYSTEM, "fred", row, END + number, f"again_{number}") == 0
        assert store.read(SYSTEM)["value"].to_list() == [value]
    assert store.read(SYSTEM, recorded_before_us=END + 2)["value"].to_list() == [1_000.0]


def test_another_announcement_of_the_same_action_is_no_other_action(tmp_path: Path) -> None:
    store, at = actions_of(tmp_path), close_us("2024-06-10")
    for known in (at - DAY_US, at - 9 * DAY_US):
        row = pl.DataFrame([(SHARE.id, at, known, 4.0, 0.0)], schema=ACTIONS, orient="row")
        store.append(OURS, "polygon", row, END, f"ing_{known}")
    assert store.vintages(OURS, "polygon", [SHARE.id]).height == 1


def test_a_plan_that_refuses_after_the_first_answer_keeps_what_came(catalog: Catalog) -> None:
    world = World({"2024-06-10": (2.0, 0.0)})
    come_in(catalog, world, "ing_1")
    world.refuse = True
    assert come_in(catalog, world, "ing_2", begins=going_on(catalog)).refused
    assert held(catalog) == [("2024-06-10", 2.0, 0.0)]


def test_a_dividend_in_another_currency_is_left_out_and_told_until_it_is_none(catalog: Catalog) -> None:
    world = World({"2024-06-03": (1.0, 100.0), "2024-07-01": (1.0, 0.5)})
    world.currencies["2024-06-03"] = "JPY"

    def left_out(done: Filled) -> list[Any]:
        return [each for each in done.report.verdict.findings if each.code == "actions_left_out"]

    (told,) = left_out(come_in(catalog, world, "ing_1", FAR))
    assert (told.severity, told.count, told.rows) == (Verdict.USABLE, 1, (close_us("2024-06-03"),))
    assert told.detail.startswith("dividend in JPY on 2024-06-03: left out")
    assert held(catalog) == [("2024-07-01", 1.0, 0.5)]
    later = {"start_us": parse_us("2024-09-01")}
    assert left_out(come_in(catalog, world, "ing_2", FAR, **later)) == [told], "nobody asked for June again"
    world.refuse = True
    assert left_out(come_in(catalog, world, "ing_3", FAR, **later)) == [told], "nobody said anything else"
    world.refuse, world.currencies = False, {}
    assert left_out(come_in(catalog, world, "ing_4", FAR)) == []
    assert held(catalog) == [("2024-06-03", 1.0, 100.0), ("2024-07-01", 1.0, 0.5)]


def test_as_many_as_were_left_out_stay_told_by_an_answer_about_other_days(catalog: Catalog) -> None:
    days = [str(day) for day in DAYS if day.weekday() in (1, 3)][:24]
    world = World(dict.fromkeys(days, (1.0, 10.0)))
    world.currencies = dict.fromkeys(days, "JPY")

    def count(done: Filled) -> list[int]:
        return [each.count for each in done.report.verdict.findings if each.code == "actions_left_out"]

    assert count(come_in(catalog, world, "ing_1", FAR)) == [len(days)]
    assert count(come_in(catalog, world, "ing_2", FAR, start_us=parse_us("2024-09-01"))) == [len(days)]
