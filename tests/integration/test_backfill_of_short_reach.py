"""A source that only has its latest bars is not asked for old gaps: what is there stays, what is new comes in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tradewright.clock import DAY_US, parse_us
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.dated import actions_of
from tradewright.market.instruments import Interval, Kind
from tradewright.market.verdicts import Finding
from tradewright.sources import coingecko, kraken, okx
from tradewright.sources.backfill import Filled, Plan, Stores, backfill
from tradewright.sources.fetch import Line
from tradewright.storage import series
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.transport.messages import Policy, Request, Response

MINUTE = Interval.MINUTE
START = parse_us("2024-01-01")
BITCOIN = kraken.instrument_of("XBTUSD")


class Venue:
    """Kraken at a moment, as a transport: its latest 720 minutes, without those that it lost."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.asked = 0

    async def fetch(self, request: Request, policy: Policy = Policy()) -> Response:  # noqa: B008 - frozen
        self.asked += 1
        minutes = (n for n in range(max(self.now - 719, 0), self.now + 1) if not 10 <= n < 20)
        rows = [[START // 1_000_000 + n * 60, "1", "2", "0.5", "1.5", "1", "3", 1] for n in minutes]
        body = {"error": [], "result": {"XXBTZUSD": rows, "last": 1}}
        return Response(200, json.dumps(body).encode(), (), START + self.now * MINUTE.us)


def told(done: Filled) -> dict[str, Finding]:
    findings = done.report.verdict.findings
    return {finding.code: finding for finding in findings if finding.code in ("begins_late", "ends_early", "no_rows")}


def test_old_gaps_are_left_alone_and_the_latest_bars_come_in(tmp_path: Path) -> None:
    def filled(venue: Venue, stores: Stores) -> Filled:
        end_us = START + venue.now * MINUTE.us
        plan = Plan(SYSTEM, (BITCOIN,), MINUTE, START, end_us, f"ing_{venue.now}")
        line = Line(kraken.SOURCE, venue)
        return asyncio.run(backfill(line, plan, stores, lambda: end_us))

    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        stores = Stores(Catalog(tmp_path, database), actions_of(tmp_path))
        young = Venue(700)
        first = filled(young, stores)
        assert first.mended == 0
        assert {code: finding.count for code, finding in told(first).items()} == {"begins_late": 1}
        assert young.asked == 2  # the whole, and once more for the ten that are missing
        late = Venue(2_000)
        second = filled(late, stores)
        assert late.asked == 1
        assert told(second).keys() == {"begins_late"}, "what an earlier one brought is there"
        times = stores.catalog.read(SYSTEM, "kraken", [BITCOIN.id], MINUTE)["time"].to_list()
    with Database(f"sqlite:///{tmp_path / 'other'}") as database:
        upgrade(database)
        stores = Stores(Catalog(tmp_path / "second", database), actions_of(tmp_path / "second"))
        begin = told(filled(Venue(2_000), stores))["begins_late"]
        assert begin.detail.endswith("expects: 1282; Kraken goes back about 720 bars")
        (row,) = database.read(series.list_series, SYSTEM)
        assert "begins_late" in {finding["code"] for finding in row["findings"]}
    ends = [n + 1 for n in range(700) if not 10 <= n < 20] + list(range(1_282, 2_001))
    assert times == [START + n * MINUTE.us for n in ends]


@pytest.mark.parametrize(
    ("bars", "interval", "reach_us"),
    [
        (kraken.SOURCE.bars, MINUTE, 684 * MINUTE.us),
        (kraken.SOURCE.bars, Interval.DAY, 684 * DAY_US),
        (coingecko.SOURCE.bars, Interval.DAY, 365 * DAY_US * 19 // 20),
        (okx.SOURCE.bars, MINUTE, START),
    ],
)
def test_how_far_back_a_source_surely_goes_is_told(bars, interval: Interval, reach_us: int) -> None:  # type: ignore[no-untyped-def]
    assert bars.oldest_us(interval, START, Kind.CRYPTO) == START - reach_us
