"""The same POST many times at once, to two processes, makes one thing; a process may be killed in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from servers import api_processes
from storm import Outcome, storm
from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import DAY_US, WallClock
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument, Interval
from tradewright.storage import accounts, backtests
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

BODY = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"]}
POSTS, NAMES = 10_000, 100


def prepared(url: str, folder: Path) -> str:
    """Make the database and one series; return a key."""
    folder.mkdir()
    with Database(url) as database:
        upgrade(database)
        now = WallClock().now_us()
        database.write(accounts.add_organization, "org_a", "a", now)
        catalog = Catalog(folder, database)
        time = 1_600_041_600_000_000 + np.arange(30) * DAY_US
        close = np.linspace(100.0, 110.0, 30)
        frame = pl.DataFrame(
            {
                "source": "binance", "instrument": "crypto:AAA-USD", "interval": "1d", "time": time, "known_at": time,
                "observed_at": time, "open": close, "high": close, "low": close, "close": close, "volume": close,
            }
        )  # fmt: skip
        ingest_frame(
            catalog, database, SYSTEM, frame, [Instrument("crypto:AAA-USD")], interval=Interval.DAY, source="binance",
            now_us=now, ingestion_id="seed", close_only=False, pre_adjusted=False, lag_us=0, revised=False,
        )  # fmt: skip
        return database.write(keys.create, "org_a", "paper", "k", list(SCOPES), now)[1]


@pytest.mark.parametrize("killed", [False, True], ids=["all live", "one is killed"])
def test_two_processes_make_each_thing_once(database_url: str, tmp_path: Path, killed: bool) -> None:
    folder = tmp_path / "data"
    api_key = prepared(database_url, folder)
    limits = dict.fromkeys(("key_limit", "organization_limit", "address_limit"), "60000000")
    with api_processes(folder, 2, database_url=database_url, **limits) as apis:

        async def kill_one_and_start_it_again(outcome: Outcome) -> None:
            while outcome.statuses.total() < POSTS // 4:
                await asyncio.sleep(0.005)
            apis[0].process.kill()
            await asyncio.to_thread(apis[0].process.wait)
            await asyncio.sleep(0.3)
            apis[0].start()
            await asyncio.to_thread(apis[0].wait)

        during = kill_one_and_start_it_again if killed else None
        addresses = [api.address for api in apis]
        outcome = asyncio.run(storm(addresses, "/v1/backtests", api_key, BODY, POSTS, NAMES, during=during))
    once(outcome)
    if killed:
        assert outcome.retries, "the kill was noticed by nobody"
    with Database(database_url) as database:
        rows = database.read(backtests.list_page, "org_a", "paper", NAMES + 10, True, None)
    assert {row["id"] for row in rows} == {msgspec.json.decode(*bodies)["id"] for bodies in outcome.bodies.values()}
    assert len(rows) == NAMES


def once(outcome: Outcome) -> None:
    """Every request was answered with success, with one and the same body for each idempotency key."""
    assert outcome.statuses == {202: POSTS}
    assert len(outcome.bodies) == NAMES
    assert all(len(bodies) == 1 for bodies in outcome.bodies.values())
    assert all(count <= 1 for count in outcome.made.values())  # 0 when the answer was lost with the killed process
    assert outcome.retries["409"] < POSTS // 100, outcome.retries  # told to come again where a commit took seconds
