"""A run on a live feed: the same as on a replay of the same rows, however often its process ends; late rows teach."""

from __future__ import annotations

import random
import shutil
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_engine import FEE, WHO, CutOff, CutOffDatabase, contents, open_run, world

from tradewright.app.paper import PaperRun, past_of
from tradewright.brokers.paper import PaperAccount, PaperBroker, PaperCosts
from tradewright.clock import FixedClock
from tradewright.market.panel import COLUMNS, Panel
from tradewright.storage import trading
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.strategies.fixed import FixedTargets
from tradewright.trading.engine import Engine
from tradewright.trading.feed import ClosedRow, LiveFeed, ReplayFeed

ROWS, BEFORE = 50, 10
CASH = Decimal(10_000)


class Handing:
    """A live feed to which the bars of a panel are handed while it is asked, and that ends when they have come.

    unfinished: rows that the feed has already. late: rows whose bars come a day after they should.
    """

    mode = "live"

    def __init__(
        self, feed: LiveFeed, panel: Panel, clock: FixedClock, unfinished: int, late: frozenset[int] = frozenset()
    ) -> None:
        self._feed, self._panel, self._clock, self._late, self._unfinished = feed, panel, clock, late, unfinished
        self._row = 0
        self._draw = random.Random(5)

    def next(self, stop: threading.Event) -> ClosedRow | None:
        if self._unfinished:
            self._unfinished -= 1
            return self._feed.next(stop)
        if self._row == len(self._panel):
            return None
        time = int(self._panel.times[self._row])
        moment = time + (86_400_000_000 if self._row + BEFORE in self._late else 1_000_000)
        self._clock.advance((moment - self._clock.now_us()) / 1e6)
        bars = [
            {"instrument": name, "time": time}
            | {each: float(getattr(self._panel, each)[self._row, column]) for each in COLUMNS}
            for column, name in enumerate(self._panel.ids)
            if self._panel.present[self._row, column]
        ]
        self._draw.shuffle(bars)
        for one in bars:
            self._feed.put([one])
        if len(bars) < len(self._panel.ids):
            self._clock.advance(61)  # the one that is missing is waited for
        self._row += 1
        return self._feed.next(stop)


def begin(database: Database, panel: Panel) -> None:
    open_run(database, panel, CASH)
    change = {"mode": "live", "start_row": BEFORE, "next_row": BEFORE, "rows": None}
    database.write(trading.update_feed_session, "org", "paper", WHO.feed_session, change)


def go_on(database: Database, panel: Panel, strategy: Any, late: frozenset[int] = frozenset()) -> None:
    """Build the engine from what is stored, as a new process does, and hand in what has not been seen."""
    session = database.read(trading.latest_feed_session, "org", "paper")
    run = database.read(trading.get_run, "org", "paper", "run")
    assert session is not None
    assert run is not None
    learned = panel.rows(0, BEFORE)
    past = past_of(database, PaperRun(session, run, {}), learned)
    costs = {instrument: PaperCosts(fee_rate=FEE) for instrument in panel.ids}
    broker = PaperBroker(database, PaperAccount("account", "org", "paper", CASH, costs))
    clock, newest = FixedClock(int(past.rows.times[-1])), int(past.rows.times[-1])
    feed = LiveFeed(learned, session["next_row"], newest, clock, past.unfinished)
    seen = len(past.rows) + len(past.unfinished)
    engine = Engine(WHO, strategy, past.rows, broker, broker.observe, database, clock, None, past.behind)
    shifted = frozenset(row - seen + BEFORE for row in late)
    engine.run(Handing(feed, panel.rows(seen, ROWS), clock, len(past.unfinished), shifted), threading.Event())


def strategy_of(rows: int) -> FixedTargets:
    return FixedTargets(np.where(np.arange(rows)[:, None] % 3 == 0, [[0.3, 0.4, 0.6]], np.nan), kind="weights")


def test_a_live_run_leaves_what_a_replay_of_its_rows_leaves(tmp_path: Path) -> None:
    panel, found = world(ROWS, 3, close_only=False, gaps=True), {}
    for mode in ("live", "replay"):
        with Database(f"sqlite:///{tmp_path}/{mode}.db") as database:
            upgrade(database)
            begin(database, panel)
            if mode == "live":
                go_on(database, panel, strategy_of(ROWS))
            else:
                costs = {instrument: PaperCosts(fee_rate=FEE) for instrument in panel.ids}
                broker = PaperBroker(database, PaperAccount("account", "org", "paper", CASH, costs))
                history = panel.rows(0, BEFORE)
                engine = Engine(WHO, strategy_of(ROWS), history, broker, broker.observe, database, FixedClock(), None)
                engine.run(ReplayFeed(panel, BEFORE, 0), threading.Event())
            found[mode] = contents(database)
    assert len(found["live"]["fills"]) > 10
    assert found["live"] == found["replay"]


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("late", [frozenset(), frozenset({20, 21, 22, 35})], ids=["in time", "some late"])
def test_a_live_run_cut_off_at_any_commit_goes_on_as_if_it_had_not_been(
    tmp_path: Path, after: bool, late: frozenset[int]
) -> None:
    panel, strategy = world(ROWS, 3, close_only=False, gaps=True), strategy_of(ROWS)
    with Database(f"sqlite:///{tmp_path}/new.db") as database:
        upgrade(database)
        begin(database, panel)

    def fresh(name: str) -> str:
        shutil.copy(tmp_path / "new.db", tmp_path / f"{name}.db")
        return f"sqlite:///{tmp_path / name}.db"

    with CutOffDatabase(fresh("whole"), 10**9, after) as database:
        go_on(database, panel, strategy, late)
        expected, commits = contents(database), 10**9 - database.left
    decided = {row[1] for row in expected["orders"]}
    assert decided
    assert not decided & {int(panel.times[row]) for row in late}
    for cut in range(1, commits, 11):
        url = fresh(f"cut-{cut}")
        with CutOffDatabase(url, cut, after) as database, pytest.raises(CutOff):
            go_on(database, panel, strategy, late)
        with Database(url) as database:
            go_on(database, panel, strategy, late)
            assert contents(database) == expected, f"cut at commit {cut}"


def test_after_late_rows_a_run_goes_where_its_strategy_stands(tmp_path: Path) -> None:
    panel = world(ROWS, 3, close_only=False)
    targets = np.full((ROWS, 3), np.nan)
    targets[0], targets[20] = 0.1, 0.3
    with Database(f"sqlite:///{tmp_path}/late.db") as database:
        upgrade(database)
        begin(database, panel)
        go_on(database, panel, FixedTargets(targets, kind="weights"), frozenset({20}))
        orders = contents(database)["orders"]
    assert {row[1] for row in orders} == {int(panel.times[BEFORE]), int(panel.times[21])}
