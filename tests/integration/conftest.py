"""A served installation with a little of everything in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pytest

import seeds_keys
import seeds_market
import seeds_people
from asgi import Client
from tradewright.accounts import keys
from tradewright.accounts.authentication import Authenticator
from tradewright.accounts.passwords import Cost, Passwords
from tradewright.accounts.scopes import SCOPES
from tradewright.accounts.sessions import Sessions
from tradewright.api.app import build
from tradewright.api.documents import documents
from tradewright.api.market_data import MarketData
from tradewright.api.services import Readiness, Services
from tradewright.api.turns import Turns
from tradewright.clock import DAY_US, FixedClock
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument, Interval
from tradewright.storage import accounts, backtests, jobs, ledgers, models, outbox, runs, signals, trading
from tradewright.storage.database import Database, Tx
from tradewright.storage.vault import Vault, new_main_key
from tradewright.trading import ledger
from tradewright.trading.rows import RunIdentity, ledger_rows

R = TypeVar("R")
START = 1_600_041_600_000_000
INSTRUMENTS = (Instrument("crypto:AAA-USD"), Instrument("crypto:BBB-USD"))


@dataclass
class Served:
    """An application over a seeded database, and keys of several kinds."""

    app: Any
    database: Database
    clock: FixedClock
    services: Services
    keys: dict[str, str]
    key_ids: dict[str, str]
    made: dict[str, str]

    @property
    def client(self) -> Client:
        return Client(self.app, self.keys["whole"])

    def run(self, work: Callable[[Client], Coroutine[Any, Any, R]], processes: int = 1) -> R:
        """Run requests on an event loop of their own. processes: of how many the application is; requests go to each in
        turn, and none waits in its own process for what another one does."""
        if processes == 1:
            return asyncio.run(work(self.client))
        each = cycle([build(replace(self.services, turns=Turns())) for _ in range(processes)])

        async def app(*given: Any) -> None:
            await next(each)(*given)

        return asyncio.run(work(Client(app, self.keys["whole"])))


class _Ready:
    def now(self) -> Readiness:
        return Readiness(True, "running", 1.0, "")


@pytest.fixture
def served(database: Database, tmp_path: Path) -> Served:
    """A served installation on each kind of database."""
    clock = FixedClock()
    catalog = Catalog(tmp_path / "data", database)
    _ingest(catalog, database, clock)
    vault = Vault([new_main_key()])
    made, texts, ids_of = database.write(_seed, clock)
    for area in (seeds_market, seeds_keys, seeds_people):
        made |= database.write(area.seed, clock, vault)
    services = Services(
        database,
        clock,
        Authenticator(database, clock),
        MarketData(catalog, database),
        _Ready(),
        lambda: None,
        "0",
        documents("0"),
        Sessions(database, clock),
        vault,
        passwords=Passwords(Cost(rounds=1, memory_kib=8)),
    )
    return Served(build(services), database, clock, services, texts, ids_of, made)


def _ingest(catalog: Catalog, database: Database, clock: FixedClock) -> None:
    random = np.random.default_rng(3)
    frames = []
    for instrument in INSTRUMENTS:
        close = 100 * np.exp(np.cumsum(random.standard_normal(30) * 0.01))
        time = START + np.arange(30) * DAY_US
        frames.append(
            pl.DataFrame(
                {
                    "source": "binance", "instrument": instrument.id, "interval": "1d", "time": time, "known_at": time,
                    "observed_at": time, "open": close * 0.99, "high": close * 1.02, "low": close * 0.98,
                    "close": close, "volume": close * 10,
                }
            )
        )  # fmt: skip
    ingest_frame(
        catalog, database, SYSTEM, pl.concat(frames), list(INSTRUMENTS), interval=Interval.DAY, source="binance",
        now_us=clock.now_us(), ingestion_id="seed", close_only=False, pre_adjusted=False, lag_us=0, revised=False,
    )  # fmt: skip


def _seed(tx: Tx, clock: FixedClock) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    now = clock.now_us()
    for organization in ("org_a", "org_b"):
        accounts.add_organization(tx, organization, organization, now)
    texts: dict[str, str] = {}
    key_ids: dict[str, str] = {}
    kinds: dict[str, tuple[str, str, list[str], int | None]] = {
        "whole": ("org_a", "paper", list(SCOPES), None),
        "nothing": ("org_a", "paper", [], None),
        "other organization": ("org_b", "paper", list(SCOPES), None),
        "other environment": ("org_a", "sandbox", list(SCOPES), None),
        "expired": ("org_a", "paper", list(SCOPES), now - 1),
        "revoked": ("org_a", "paper", list(SCOPES), None),
    }
    for name, (organization, environment, scopes, expires) in kinds.items():
        key_ids[name], texts[name] = keys.create(tx, organization, environment, name, scopes, now, expires)
    accounts.revoke_api_key(tx, "org_a", key_ids["revoked"], now - 1)
    made = {"id": "", **_seed_trading(tx, now), **_seed_research(tx, now)}
    outbox.append(tx, "org_a", "paper", [("signal.issued", "x", 1, {})], now)
    return made, texts, key_ids


def _seed_trading(tx: Tx, now: int) -> dict[str, str]:
    tenant = {"organization": "org_a", "environment": "paper", "created_at": now}
    who = RunIdentity("org_a", "paper", "run_1", "prt_1", "fds_1", "USD")
    trading.add_portfolio(
        tx,
        {
            **tenant,
            "id": "prt_1",
            "broker_account": "bra_1",
            "name": "p",
            "currency": "USD",
            "initial_cash": Decimal(1000),
        },
    )
    runs.add_feed_session(
        tx,
        {
            **tenant, "id": "fds_1", "mode": "replay", "data_set": "x", "interval": "1d", "data_version": "v",
            "start_time": START, "start_row": 1, "rows": 30, "next_row": 21, "market_time": START + 20 * DAY_US,
            "status": "running", "updated_at": now,
        },
    )  # fmt: skip
    ledgers.add_postings(tx, ledger_rows(who, ledger.deposit("USD", Decimal(1000)), "opening", START, now))
    order = {
        **tenant, "id": "ord_1", "portfolio": "prt_1", "run": "run_1", "client_order_id": "co_1",
        "instrument": "crypto:AAA-USD", "side": "buy", "type": "market", "units": Decimal("1.5"),
        "filled_units": Decimal("1.5"), "status": "filled", "reason": "", "decided_time": START, "updated_at": now,
    }  # fmt: skip
    trading.add_orders(tx, [order])
    filled = {
        **tenant, "id": "fil_1", "portfolio": "prt_1", "order": "ord_1", "broker_fill_id": "b1",
        "instrument": "crypto:AAA-USD", "side": "buy", "units": Decimal("1.5"), "price": Decimal("100.5"),
        "fee": Decimal("0.1"), "time": START + DAY_US,
    }  # fmt: skip
    trading.add_fills(tx, [filled])
    position, postings = ledger.apply_fill(ledger.Position("crypto:AAA-USD"), _fill(), "USD")
    ledgers.add_postings(tx, ledger_rows(who, postings, "fil_1", START + DAY_US, now))
    held = {
        "portfolio": "prt_1", "instrument": "crypto:AAA-USD", "organization": "org_a", "environment": "paper",
        "units": position.units, "cost": position.cost, "time": START + DAY_US,
    }  # fmt: skip
    trading.put_positions(tx, [held])
    rows = [_signal(n, now) for n in range(45)]
    signals.add(tx, rows)
    signals.add_scores(tx, [_score(row, now) for row in rows[:30]])
    return {"/v1/portfolios": "prt_1", "/v1/orders": "ord_1", "/v1/signals": "sig_00"}


def _fill() -> Any:
    from tradewright.market.orders import Fill, Side

    return Fill(
        1, "b1", "co_1", "crypto:AAA-USD", Side.BUY, Decimal("1.5"), Decimal("100.5"), Decimal("0.1"), START + DAY_US
    )


def _signal(number: int, now: int) -> dict[str, Any]:
    return {
        "id": f"sig_{number:02}", "organization": "org_a", "environment": "paper", "feed_session": "fds_1",
        "model": "mdl_1", "instrument": INSTRUMENTS[number % 2].id, "bar_time": START + (number // 2) * DAY_US,
        "horizon": 5, "feed": "replay", "status": "candidate", "evidence": "none",
        "direction": "up" if number % 3 else "down", "probability": 0.55 if number % 3 else 0.45,
        "expected_return": 0.001, "decision_price": 100.0, "valid_until": START + 9 * DAY_US, "created_at": now,
    }  # fmt: skip


def _score(signal: dict[str, Any], now: int) -> dict[str, Any]:
    rose = int(signal["id"][4:]) % 2 == 0
    return {
        "signal": signal["id"], "organization": "org_a", "environment": "paper",
        "entry_time": START, "entry_price": 100.0, "exit_time": START + DAY_US,
        "exit_price": 101.0 if rose else 99.0, "realized_return": 0.01 if rose else -0.01,
        "correct": rose == (signal["probability"] > 0.5), "created_at": now,
    }  # fmt: skip


def _seed_research(tx: Tx, now: int) -> dict[str, str]:
    request = {"strategy": "buy_and_hold", "params": {}, "interval": "1d"}
    for number in (1, 2):
        job = jobs.enqueue(tx, "org_a", "paper", "backtest", {"backtest": f"bkt_{number}"}, now)
        backtests.add(tx, "org_a", "paper", f"bkt_{number}", job, request, now)
        if number == 1:
            arrays = b'{"times":[1600041600000000],"equity":[1000.0],"fills":[]}'
            backtests.save_result(tx, "org_a", "paper", "bkt_1", {"evidence": "none"}, arrays, b"<!doctype html>")
            jobs.finish(tx, job, "succeeded", now)
    models.add_schedule(
        tx,
        "org_a",
        "paper",
        {
            "id": "msc_1", "name": "x", "entries": [{"model": "mdl_1", "trained_before": START, "valid_from": START}],
            "lineage": {}, "evaluation": {}, "evidence": "none", "promoted": False, "promotion": None,
            "created_at": now,
        },
    )  # fmt: skip
    return {"/v1/backtests": "bkt_1", "/v1/models": "msc_1", "/v1/instruments": "crypto:AAA-USD"}
