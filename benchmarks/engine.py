"""From a closed bar to decided orders, and from an order to its durable acceptance."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.postgres import server
from benchmarks.table import Row

from tradewright.brokers.paper import PaperAccount, PaperBroker
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.orders import Order, OrderStatus, Side
from tradewright.market.panel import Panel
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.strategies import MovingAverageCross
from tradewright.trading.sizing import orders_for

INSTRUMENTS, ROWS, ORDERS = 100, 600, 500
MINUTE_US = 60_000_000
NOTE = (
    "The decision path is the strategy's step on one closed row and the sizing of its targets against the "
    "positions held, orders with their ids included; the journal, the database and the broker are not in it. "
    "Accepting an order is one durable transaction at the paper broker and the look-up of its status. The live "
    "bar of 1,000 instruments with a model stands under `prediction`."
)


def run(folder: Path) -> list[Row]:
    """Return the measured rows. folder: where the databases lie while they are measured."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        table = [*_decisions(), _accepted(f"sqlite:///{Path(name) / 'orders.db'}", "SQLite", 2.0)]
    with server() as url:
        if url is not None:
            table.append(_accepted(url, "PostgreSQL", 4.0))
    return table


def _world() -> Panel:
    draw = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(draw.standard_normal((ROWS, INSTRUMENTS)) * 0.01, axis=0))
    opened = np.vstack([close[:1], close[:-1]])
    instruments = tuple(Instrument(f"equity:T{n:03}") for n in range(INSTRUMENTS))
    times = 1_600_000_020_000_000 + np.arange(ROWS) * MINUTE_US
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    more = {"open": opened, "high": high, "low": low, "volume": np.ones_like(close)}
    return Panel.of(times, instruments, Interval.MINUTE, close, **more)


def _decisions() -> list[Row]:
    panel = _world()
    strategy = MovingAverageCross(20, 50, 100)
    state = strategy.start(panel)
    strategy.advance(state, panel.rows(0, 200))
    held: dict[str, Decimal] = {}
    closes = panel.close
    times, decided, counts = [], [], []
    for t in range(200, ROWS):
        row = panel.rows(t, t + 1)
        began = time.perf_counter_ns()
        targets = strategy.advance(state, row)[0]
        after = time.perf_counter_ns()
        orders = orders_for(targets, strategy.kind, row, closes[t], held, 1e6, "run")
        ended = time.perf_counter_ns()
        times.append((ended - began) / 1e3)
        decided.append((after - began) / 1e3)
        counts.append(len(orders))
        for order in orders:
            signed = order.units if order.side is Side.BUY else -order.units
            held[order.instrument] = held.get(order.instrument, Decimal(0)) + signed
    mean = sum(counts) / len(counts)
    busy = sorted(times)[int(len(times) * 0.99)]
    what = f"bar to decided orders, {INSTRUMENTS} instruments, {mean:.1f} orders a bar"
    return [
        Row(f"{what}, p50, us", "", median(times), limit=100.0),
        Row(f"{what}, p99, us", "", busy),
        Row(f"of it the strategy's step, {INSTRUMENTS} instruments, p50, us", "", median(decided)),
    ]


def _accepted(url: str, kind: str, limit: float) -> Row:
    with Database(url) as database:
        upgrade(database)
        broker = PaperBroker(database, PaperAccount("account", "org", "paper", Decimal(1_000_000)))
        times = [_milliseconds(lambda number=number: _submit(broker, number)) for number in range(ORDERS)]  # type: ignore[misc]
    return Row(f"order accepted and durable on {kind}, p50, ms", "", median(times), limit=limit)


def _submit(broker: PaperBroker, number: int) -> None:
    order = Order(f"co_{number}", "equity:T000", Side.BUY, Decimal(1), 1_600_000_020_000_000)
    broker.submit(order)
    found = broker.find(order.client_order_id)
    assert found is not None
    assert found.status is OrderStatus.ACCEPTED


def _milliseconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1e6
