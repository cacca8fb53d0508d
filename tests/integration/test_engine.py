"""The engine loop: equal to the compiled simulator, and unmoved by being cut off at any commit."""

from __future__ import annotations

import shutil
import threading
from ast import literal_eval
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tradewright.brokers.paper import PaperAccount, PaperBroker, PaperCosts
from tradewright.clock import DAY_US, FixedClock
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Action, Panel
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs
from tradewright.storage import ledgers, runs, trading
from tradewright.storage.database import Database
from tradewright.storage.tables import fills, orders, outbox, postings
from tradewright.strategies.contract import KernelStrategy
from tradewright.strategies.fixed import FixedTargets
from tradewright.strategies.moving_average import MovingAverageCross
from tradewright.trading import ledger
from tradewright.trading.engine import Engine
from tradewright.trading.feed import ReplayFeed
from tradewright.trading.rows import RunIdentity, ledger_rows

WHO = RunIdentity("org", "paper", "run", "portfolio", "session", "USD")
FEE = Decimal("0.001")


def world(rows: int, columns: int, *, close_only: bool, gaps: bool = False) -> Panel:
    random = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(random.standard_normal((rows, columns)) * 0.01, axis=0))
    opened = np.vstack([close[:1], close[:-1] * (1 + random.standard_normal((rows - 1, columns)) * 0.002)])
    if gaps:
        missing = random.random((rows, columns)) < 0.1
        missing[:2] = False
        close, opened = np.where(missing, np.nan, close), np.where(missing, np.nan, opened)
    times = 1_600_000_000_000_000 + np.arange(rows) * DAY_US
    instruments = tuple(Instrument(f"equity:T{n}") for n in range(columns))
    more: dict[str, Any] = {}
    if not close_only:
        high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
        more = {"open": opened, "high": high, "low": low, "volume": np.where(np.isnan(close), np.nan, 1e6)}
    return Panel.of(times, instruments, Interval.DAY, close, **more)


def with_actions(panel: Panel, seed: int = 3) -> Panel:
    """The panel with prices on new terms after splits, known on the day or before, and with dividends."""
    random = np.random.default_rng(seed)
    rows, columns = panel.shape
    close, opened = panel.close.copy(), panel.open.copy()
    actions = []
    for row in range(4, rows - 1, 6):
        column = int(random.integers(columns))
        before = close[:row, column][np.isfinite(close[:row, column])][-1]
        split = float(random.choice([1.0, 7.0, 1.5] if before > 90 else [1.0, 0.5, 0.125]))
        dividend = float(random.choice([0.0, round(before * 0.01, 4)]))
        time = int(panel.times[row]) - int(random.choice([0, DAY_US // 2]))
        actions.append(Action(column, time, time - int(random.integers(3)) * DAY_US, split, dividend))
        close[row:, column] /= split
        opened[row:, column] /= split
    given = {"close": close, "open": opened, "high": np.fmax(opened, close), "low": np.fmin(opened, close)}
    return replace(panel, **given, actions=tuple(actions), data_version="")


def open_run(database: Database, panel: Panel, cash: Decimal) -> None:
    tenant = {"organization": WHO.organization, "environment": WHO.environment, "created_at": 1}
    session = {
        **tenant, "id": WHO.feed_session, "mode": "replay", "data_set": "x", "interval": "1d", "data_version": "x",
        "start_time": 0, "start_row": 0, "rows": len(panel), "next_row": 0, "market_time": None, "status": "running",
        "updated_at": 1,
    }  # fmt: skip
    portfolio = {
        **tenant, "id": WHO.portfolio, "broker_account": "account", "name": "p", "currency": "USD",
        "initial_cash": cash,
    }  # fmt: skip
    run = {
        **tenant, "id": WHO.run, "feed_session": WHO.feed_session, "portfolio": WHO.portfolio, "strategy": "s",
        "params": {}, "schedule": None, "status": "running", "handled": 0, "lineage": {}, "stopped_at": None,
    }  # fmt: skip

    def write(tx: sa.Connection) -> None:
        runs.add_feed_session(tx, session)
        trading.add_portfolio(tx, portfolio)
        runs.add_run(tx, run)
        ledgers.add_postings(tx, ledger_rows(WHO, ledger.deposit("USD", cash), "opening", 0, 1))

    database.write(write)


def go_on(database: Database, panel: Panel, strategy: KernelStrategy, cash: Decimal) -> Engine:
    """Build the engine from what is stored, as a new process would, and run it to the end of the feed."""
    session = database.read(runs.latest_feed_session, "org", "paper")
    assert session is not None
    costs = {instrument: PaperCosts(fee_rate=FEE) for instrument in panel.ids}
    broker = PaperBroker(database, PaperAccount("account", "org", "paper", cash, costs))
    history = panel.rows(0, session["next_row"])
    engine = Engine(WHO, strategy, history, broker, broker.observe, database, FixedClock(), None)
    engine.run(ReplayFeed(panel, session["next_row"], 0), threading.Event())
    return engine


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What a run leaves behind, without ids, sequence and wall times."""

    def read(tx: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
        order, fill, posting = orders.c, fills.c, postings.c
        return {
            "orders": [tuple(r) for r in tx.execute(sa.select(
                order.instrument, order.decided_time, order.side, order.units, order.filled_units, order.status,
                order.reason, order.client_order_id,
            ).order_by(order.decided_time, order.instrument))],
            "fills": [tuple(r) for r in tx.execute(sa.select(
                fill.instrument, fill.time, fill.units, fill.price, fill.fee).order_by(fill.time, fill.instrument))],
            "postings": [tuple(r) for r in tx.execute(sa.select(
                posting.time, posting.account, posting.currency, posting.amount, posting.line
            ).order_by(posting.time, posting.transaction, posting.line))],
            "outbox": sorted((r.type, r.subject, r.bar_time, repr(r.data)) for r in tx.execute(sa.select(
                outbox.c.type, outbox.c.subject, outbox.c.bar_time, outbox.c.data))),
        }  # fmt: skip

    return database.read(read)


@pytest.fixture
def sqlite(tmp_path: Any) -> Any:
    from tradewright.storage.migrations import upgrade

    with Database(f"sqlite:///{tmp_path / 'engine.db'}") as database:
        upgrade(database)
        yield database


CASES: list[tuple[str, Callable[[], tuple[Panel, KernelStrategy]]]] = [
    ("moving average, opens", lambda: (world(300, 3, close_only=False), MovingAverageCross(5, 20, 100))),
    ("moving average, closes only", lambda: (world(300, 3, close_only=True), MovingAverageCross(5, 20, 100))),
    ("moving average, gaps", lambda: (world(300, 3, close_only=False, gaps=True), MovingAverageCross(5, 20, 100))),
    ("weights", lambda: (world(200, 4, close_only=True), _weights(200, 4))),
    ("weights, gaps", lambda: (world(200, 4, close_only=False, gaps=True), _weights(200, 4))),
    ("more than the cash", lambda: (world(150, 2, close_only=False), _weights(150, 2, total=1.0))),
    ("actions", lambda: (with_actions(world(300, 3, close_only=False)), MovingAverageCross(5, 20, 10))),
    ("actions, closes only", lambda: (with_actions(world(200, 3, close_only=True)), _weights(200, 3))),
    ("actions, gaps", lambda: (with_actions(world(300, 3, close_only=False, gaps=True)), _weights(300, 3))),
    ("actions, units", lambda: (with_actions(world(200, 3, close_only=False, gaps=True)), _units(200, 3))),
]


def _units(rows: int, columns: int) -> FixedTargets:
    random = np.random.default_rng(6)
    targets = np.where(random.random((rows, columns)) < 0.3, random.integers(0, 90, (rows, columns)) * 1.0, np.nan)
    return FixedTargets(targets)


def _weights(rows: int, columns: int, total: float = 0.95) -> FixedTargets:
    random = np.random.default_rng(5)
    targets = np.full((rows, columns), np.nan)
    for row in range(0, rows, 7):
        parts = random.random(columns)
        targets[row] = total * parts / parts.sum()
    return FixedTargets(targets, kind="weights")


@pytest.mark.parametrize(("name", "case"), CASES, ids=[name for name, _ in CASES])
def test_the_engine_and_the_simulator_agree(
    sqlite: Database, name: str, case: Callable[[], tuple[Panel, KernelStrategy]]
) -> None:
    panel, strategy = case()
    cash = Decimal(1_000_000)
    open_run(sqlite, panel, cash)
    go_on(sqlite, panel, strategy, cash)
    simulated = simulate(panel, strategy.targets(panel), cash=1e6, costs=Costs(fee_rate=0.001))
    traded = contents(sqlite)["fills"]
    assert len(traded) == len(simulated.fills)
    lines = sqlite.read(trading.list_postings, "org", "paper", "portfolio")
    balances = ledger.fold((ledger.Posting(r["account"], r["currency"], r["amount"]) for r in lines), "USD")
    last = {i: panel.close[np.isfinite(panel.close[:, c]), c][-1] for c, i in enumerate(panel.ids)}
    equity = float(balances.cash) + sum(float(units) * last[i] for i, units in balances.units.items())
    assert equity == pytest.approx(simulated.equity[-1], rel=1e-9)
    by_key = {(panel.ids[f["column"]], int(panel.times[f["row_filled"]])): f for f in simulated.fills}
    for instrument, time, units, price, fee in traded:
        twin = by_key[instrument, time]
        assert float(units) == pytest.approx(abs(twin["units"]), rel=1e-8, abs=1e-7)
        assert float(price) == pytest.approx(twin["price"], abs=1e-8)
        assert float(fee) == pytest.approx(twin["fee"], rel=1e-8, abs=1e-7)


@pytest.mark.parametrize("case", [CASES[0][1], CASES[-1][1]], ids=["trades", "trades and actions"])
def test_every_currency_of_every_transaction_sums_to_zero(
    sqlite: Database, case: Callable[[], tuple[Panel, KernelStrategy]]
) -> None:
    panel, strategy = case()
    open_run(sqlite, panel, Decimal(1_000_000))
    go_on(sqlite, panel, strategy, Decimal(1_000_000))
    sums: dict[tuple[str, str], Decimal] = {}
    for line in sqlite.read(trading.list_postings, "org", "paper", "portfolio"):
        key = (line["transaction"], line["currency"])
        sums[key] = sums.get(key, Decimal(0)) + line["amount"]
    assert len(sums) > 20
    assert set(sums.values()) == {Decimal(0)}


class CutOff(BaseException):
    """The process ends here."""


class CutOffDatabase(Database):
    """A database whose process ends right before or right after its n-th commit."""

    def __init__(self, url: str, commits: int, after: bool) -> None:
        super().__init__(url)
        self.left = commits
        self._after = after

    def write(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self._after:
            raise CutOff
        result = super().write(function, *args, **kwargs)
        if self.left == 0:
            raise CutOff
        return result


def test_a_split_and_a_dividend_of_what_is_held_are_booked_journalled_and_told(sqlite: Database) -> None:
    closes = [700.0, 707.0, 101.0, 102.0, 100.0]  # seven for one on the third day, 2 a unit on the fifth
    opens = [700.0, 700.0, 101.0, 101.0, 100.0]
    times = 1_600_000_000_000_000 + np.arange(5) * DAY_US
    given = {name: np.array(values)[:, None] for name, values in (("open", opens), ("high", closes), ("low", opens))}
    split = Action(0, int(times[2]), int(times[0]), split=7.0)
    dividend = Action(0, int(times[4]), int(times[3]), dividend=2.0)
    panel = Panel.of(times, (Instrument("equity:XYZ"),), Interval.DAY, np.array(closes)[:, None], **given,
                     volume=np.ones((5, 1)), actions=(split, dividend))  # fmt: skip
    cash, targets = Decimal(10_000), np.array([[10.0], [np.nan], [np.nan], [np.nan], [np.nan]])
    open_run(sqlite, panel, cash)
    engine = go_on(sqlite, panel, FixedTargets(targets), cash)
    (bought,) = contents(sqlite)["fills"]
    fee = bought[4]
    lines = sqlite.read(trading.list_postings, "org", "paper", "portfolio")
    balances = ledger.fold((ledger.Posting(r["account"], r["currency"], r["amount"]) for r in lines), "USD")
    assert (balances.units, balances.cost, balances.dividends) == ({"equity:XYZ": 70}, {"equity:XYZ": 7_000}, 140)
    assert balances.cash == 3_140 - fee
    assert engine._broker.positions() == {"equity:XYZ": 70}
    (held,) = sqlite.read(trading.list_positions, "org", "paper", "portfolio")
    assert (held["units"], held["cost"], held["time"]) == (70, 7_000, times[4])
    journal = sqlite.read(runs.journal_after, "org", "paper", "run", 0)
    assert [(e["kind"], e["time"]) for e in journal if e["kind"] == "action"] == [
        ("action", times[2]), ("action", times[4]),
    ]  # fmt: skip
    told = [literal_eval(data) for kind, _, _, data in contents(sqlite)["outbox"] if kind == "action.booked"]
    assert sorted((each["split"], each["units_before"], each["units"], each["cash"]) for each in told) == [
        ("1", "70", "70", "140"), ("7", "10", "70", "0"),
    ]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
def test_a_process_cut_off_at_any_commit_goes_on_as_if_it_had_not_been(tmp_path: Any, after: bool) -> None:
    from tradewright.storage.migrations import upgrade

    panel, cash = with_actions(world(50, 3, close_only=False, gaps=True)), Decimal(10_000)
    strategy = FixedTargets(np.where(np.arange(50)[:, None] % 3 == 0, [[0.3, 0.4, 0.6]], np.nan), kind="weights")

    with Database(f"sqlite:///{tmp_path}/new.db") as database:
        upgrade(database)
        open_run(database, panel, cash)

    def fresh(name: str) -> str:
        shutil.copy(tmp_path / "new.db", tmp_path / f"{name}.db")
        return f"sqlite:///{tmp_path / name}.db"

    with CutOffDatabase(fresh("whole"), 10**9, after) as database:
        go_on(database, panel, strategy, cash)
        expected, commits = contents(database), 10**9 - database.left
    assert len(expected["fills"]) > 20
    assert {row[5] for row in expected["orders"]} >= {"filled", "cancelled"}
    assert sum(row[0] == "action.booked" for row in expected["outbox"]) >= 4
    for cut in range(1, commits, 7):
        url = fresh(f"cut-{cut}")
        with CutOffDatabase(url, cut, after) as database, pytest.raises(CutOff):
            go_on(database, panel, strategy, cash)
        with Database(url) as database:
            go_on(database, panel, strategy, cash)
            assert contents(database) == expected, f"cut at commit {cut}"


def test_a_lot_size_is_kept(sqlite: Database) -> None:
    panel = world(60, 2, close_only=False)
    whole = tuple(replace(i, lot=Decimal(1)) for i in panel.instruments)
    panel = replace(panel, instruments=whole)
    open_run(sqlite, panel, Decimal(10_000))
    go_on(sqlite, panel, _weights(60, 2), Decimal(10_000))
    placed = contents(sqlite)["orders"]
    assert placed
    assert all(row[3] == int(row[3]) for row in placed)
