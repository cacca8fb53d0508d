"""A split and a dividend, from a third party's answer to the equity of a backtest: worked out by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from aiohttp import web

import tradewright as tw
from tradewright.clock import DAY_US, WallClock, parse_us
from tradewright.errors import SourceRefused
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.dated import ACTIONS
from tradewright.market.instruments import Interval
from tradewright.market.panel import Panel
from tradewright.market.verdicts import Verdict
from tradewright.sources import tiingo
from tradewright.sources.backfill import Plan, Stores, backfill
from tradewright.sources.fetch import Line
from tradewright.sources.rows import no_actions
from tradewright.sources.source import Actions, ActionsPage, Source, SpanQuery
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.strategies.fixed import FixedTargets
from tradewright.transport.http import HttpTransport
from tradewright.transport.messages import Request, Response

OURS = Owner("org_ours")
SHARE = tiingo.instrument_of("XYZ")
DAYS = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08")
CLOSES = tuple(parse_us(f"{day}T21:00:00Z") for day in DAYS)
OPENED, CLOSED = (700.0, 700.0, 101.0, 101.0, 100.0), (700.0, 707.0, 101.0, 102.0, 100.0)
SPLIT, DIVIDEND = (1.0, 1.0, 7.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0, 2.0)
NO_COSTS = tw.Costs()


@asynccontextmanager
async def speaking(rows: list[dict[str, Any]]) -> AsyncIterator[str]:
    """A server that answers as Tiingo does."""

    async def answer(request: web.Request) -> web.StreamResponse:
        first, last = request.query["startDate"], request.query["endDate"]
        return web.json_response([row for row in rows if first <= row["date"][:10] <= last])

    app = web.Application()
    app.router.add_get("/tiingo/daily/XYZ/prices", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def told(split: Sequence[float] = SPLIT, dividend: Sequence[float] = DIVIDEND) -> list[dict[str, Any]]:
    names = ("open", "close", "splitFactor", "divCash")
    values = zip(OPENED, CLOSED, split, dividend, strict=True)
    rows = [dict(zip(names, each, strict=True)) for each in values]
    return [
        {"date": f"{day}T00:00:00.000Z", "high": max(row["open"], row["close"]), "volume": 1e6} | row
        | {"low": min(row["open"], row["close"])}
        for day, row in zip(DAYS, rows, strict=True)
    ]  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        yield Catalog(tmp_path, database)


def come_in(
    catalog: Catalog, rows: list[dict[str, Any]], ingestion: str = "ing_1", source: Source = tiingo.SOURCE
) -> None:
    async def run() -> None:
        async with speaking(rows) as address, HttpTransport() as transport:
            line = Line(source, transport, {"token": "secret"}, address)
            plan = Plan(OURS, (SHARE,), Interval.DAY, CLOSES[0] - DAY_US, CLOSES[-1], ingestion)
            await backfill(line, plan, Stores(catalog, catalog.actions), WallClock().now_us)

    asyncio.run(run())


def read(catalog: Catalog, **bounds: int) -> Panel:
    return catalog.panel(instruments=[SHARE.id], owner=OURS, **bounds)


def held_from_the_first_row(panel: Panel, units: float = 10.0, **more: Any) -> tw.BacktestResult:
    targets = np.full(panel.shape, np.nan)
    targets[0] = units
    return tw.backtest(FixedTargets(targets), panel, cash=10_000.0, costs=NO_COSTS, **more)


def test_a_split_changes_units_a_dividend_cash_and_neither_the_equity(catalog: Catalog) -> None:
    come_in(catalog, told())
    panel = read(catalog)
    assert panel.times.tolist() == list(CLOSES)
    assert [(a.time_us, a.split, a.dividend) for a in panel.actions] == [(CLOSES[2], 7.0, 0.0), (CLOSES[4], 1.0, 2.0)]
    assert "split_like_jump" not in {finding.code for finding in panel.verdict.findings}
    result = held_from_the_first_row(panel)
    # 10 units at 700 leave 3,000; then 70 units; 140 of dividends on the last day, on which the price falls by as much
    assert result.equity.tolist() == [10_000.0, 10_070.0, 10_070.0, 10_140.0, 10_140.0]
    assert result.simulation.cash.tolist() == [10_000.0, 3_000.0, 3_000.0, 3_000.0, 3_140.0]
    assert result.simulation.units_final.tolist() == [70.0]
    assert panel.total_return_close[:, 0] == pytest.approx([700.0, 707.0, 707.0, 714.0, 714.0])


def test_without_what_the_source_told_the_same_bars_are_a_loss_and_the_verdict_says_so(catalog: Catalog) -> None:
    come_in(catalog, told(split=(1.0,) * 5, dividend=(0.0,) * 5))
    panel = read(catalog)
    assert panel.actions == ()
    jump = next(finding for finding in panel.verdict.findings if finding.code == "split_like_jump")
    assert (jump.severity, jump.rows) == (Verdict.SUSPECT, (CLOSES[2],))
    assert held_from_the_first_row(panel).equity[2] == 4_010.0
    come_in(catalog, told(), "ing_2")
    assert "split_like_jump" not in {finding.code for finding in read(catalog).verdict.findings}
    assert held_from_the_first_row(read(catalog)).equity[2] == 10_070.0


def test_a_source_that_refuses_its_actions_leaves_a_finding_until_it_gives_them(catalog: Catalog) -> None:
    days = Request(f"{tiingo.BASE_URL}/tiingo/daily/XYZ/prices", query=(("startDate", DAYS[0]), ("endDate", DAYS[-1])))

    def refuse(response: Response, query: SpanQuery) -> ActionsPage:
        raise SourceRefused("Example does not give this on the present plan")

    def give(response: Response, query: SpanQuery) -> ActionsPage:
        return ActionsPage(no_actions())

    refusing = replace(tiingo.SOURCE, actions=Actions(lambda query: days, refuse))
    giving = replace(tiingo.SOURCE, actions=Actions(lambda query: days, give))
    come_in(catalog, told(), source=refusing)
    (finding,) = [each for each in read(catalog).verdict.findings if each.code == "actions_refused"]
    assert (finding.severity, finding.instrument) == (Verdict.USABLE, SHARE.id)
    assert finding.detail.endswith("Example does not give this on the present plan")
    come_in(catalog, told(), "ing_2")
    assert "actions_refused" in {each.code for each in read(catalog).verdict.findings}, "nobody asked for them since"
    come_in(catalog, told(), "ing_3", giving)
    assert "actions_refused" not in {each.code for each in read(catalog).verdict.findings}


def test_a_split_that_the_prices_do_not_show_is_a_finding(catalog: Catalog) -> None:
    come_in(catalog, told(split=(1.0, 7.0, 7.0, 1.0, 1.0)))
    found = {finding.code: finding for finding in read(catalog).verdict.findings}
    assert (found["action_without_jump"].severity, found["action_without_jump"].rows) == (Verdict.SUSPECT, (CLOSES[1],))
    assert "split_like_jump" not in found
    assert "outlier_return" not in found


def test_prices_that_the_source_adjusted_get_no_actions(catalog: Catalog) -> None:
    come_in(catalog, told())
    catalog.database.write(
        lambda tx: tx.exec_driver_sql("update series set pre_adjusted = 1")  # as if of a source that adjusts
    )
    assert read(catalog).actions == ()


def test_actions_are_read_as_they_were_known_and_as_they_had_come_in(catalog: Catalog) -> None:
    come_in(catalog, told())
    first, then = read(catalog), WallClock().now_us()
    assert [action.known_at_us for action in first.actions] == [CLOSES[1], CLOSES[3]]
    assert read(catalog, as_of_us=CLOSES[1]).actions == ()  # known, and beyond the last row
    assert len(read(catalog, as_of_us=CLOSES[2]).actions) == 1
    restated = pl.DataFrame([(SHARE.id, CLOSES[4], CLOSES[4], 1.0, 2.5)], schema=ACTIONS, orient="row")
    catalog.actions.append(OURS, "tiingo", restated, then + 1, "later")
    assert read(catalog).actions[-1].dividend == 2.5
    assert read(catalog).data_version != first.data_version
    again = read(catalog, recorded_before_us=then)
    assert (again.actions, again.data_version) == (first.actions, first.data_version)
    back = pl.DataFrame([(SHARE.id, CLOSES[4], CLOSES[4] + 1, 1.0, 0.0)], schema=ACTIONS, orient="row")
    catalog.actions.append(OURS, "tiingo", back, then + 2, "taken back")
    assert [action.split for action in read(catalog).actions] == [7.0]


def test_what_another_organization_or_source_told_is_not_taken(catalog: Catalog) -> None:
    come_in(catalog, told(split=(1.0,) * 5, dividend=(0.0,) * 5))
    row = pl.DataFrame([(SHARE.id, CLOSES[2], CLOSES[1], 7.0, 0.0)], schema=ACTIONS, orient="row")
    catalog.actions.append(Owner("org_theirs"), "tiingo", row, CLOSES[4], "theirs")
    catalog.actions.append(OURS, "polygon", row, CLOSES[4], "another source")
    assert read(catalog).actions == ()
    catalog.actions.append(SYSTEM, "tiingo", row, CLOSES[4], "of all")
    assert len(read(catalog).actions) == 1


class Seer:
    """Buys when it sees an action at all; whether it may see one is for the panel to say."""

    name, params = "seer", {}

    def targets(self, panel: Panel) -> tw.strategies.Targets:
        values = np.full(panel.shape, np.nan)
        for action in panel.actions:
            values[np.searchsorted(panel.times, self.when(action))] = 1.0
        return tw.strategies.Targets(values)

    def when(self, action: Any) -> int:
        return int(action.known_at_us)


class Cheat(Seer):
    name = "cheat"

    def when(self, action: Any) -> int:
        return int(action.known_at_us) - DAY_US


def test_an_action_is_invisible_before_it_is_known_and_acting_on_it_earlier_is_found(catalog: Catalog) -> None:
    come_in(catalog, told())
    panel = read(catalog)
    assert [len(panel.rows(0, rows).actions) for rows in range(1, 6)] == [0, 1, 1, 2, 2]
    assert panel.rows(0, 2).total_return_close[:, 0].tolist() == [700.0, 707.0]  # known, and not yet taken place
    late = replace(panel, actions=tuple(replace(a, known_at_us=CLOSES[3]) for a in panel.actions), data_version="")
    assert late.rows(0, 3).total_return_close[:, 0].tolist() == [700.0, 707.0, 101.0]
    honest = tw.backtest(Seer(), panel, cash=10_000.0, costs=NO_COSTS, checks="full")
    assert not honest.blocking
    cheating = tw.backtest(Cheat(), panel, cash=10_000.0, costs=NO_COSTS, checks="full")
    assert cheating.blocking
