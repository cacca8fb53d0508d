"""A run on a live feed: the same as on a replay of the same rows, however often its process ends; late rows teach."""

from __future__ import annotations

import random
import shutil
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from test_engine import FEE, WHO, CutOff, CutOffDatabase, contents, open_run, with_actions, world

from tradewright.app import house
from tradewright.app.feeds import Choice
from tradewright.app.live import Place, StoredActions
from tradewright.app.paper import PaperRun, past_of
from tradewright.brokers.paper import PaperAccount, PaperBroker, PaperCosts
from tradewright.clock import DAY_US, FixedClock, parse_us
from tradewright.ids import SYSTEM
from tradewright.market.dated import ACTIONS
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import COLUMNS, Panel
from tradewright.settings import Settings
from tradewright.storage import runs
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.strategies.fixed import FixedTargets
from tradewright.strategies.moving_average import MovingAverageCross
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
    database.write(runs.update_feed_session, "org", "paper", WHO.feed_session, change)


def go_on(database: Database, panel: Panel, strategy: Any, late: frozenset[int] = frozenset()) -> None:
    """Build the engine from what is stored, as a new process does, and hand in what has not been seen."""
    session = database.read(runs.latest_feed_session, "org", "paper")
    run = database.read(runs.get_run, "org", "paper", "run")
    assert session is not None
    assert run is not None
    learned = panel.rows(0, BEFORE)
    past = past_of(database, PaperRun(session, run, {}), learned)
    costs = {instrument: PaperCosts(fee_rate=FEE) for instrument in panel.ids}
    broker = PaperBroker(database, PaperAccount("account", "org", "paper", CASH, costs))
    clock, newest = FixedClock(int(past.rows.times[-1])), int(past.rows.times[-1])
    feed = LiveFeed(past.rows, session["next_row"], newest, clock, past.unfinished, lambda: panel.actions)
    seen = len(past.rows) + len(past.unfinished)
    engine = Engine(WHO, strategy, past.rows, broker, broker.observe, database, clock, None, past.behind)
    shifted = frozenset(row - seen + BEFORE for row in late)
    engine.run(Handing(feed, panel.rows(seen, ROWS), clock, len(past.unfinished), shifted), threading.Event())


def strategy_of(rows: int) -> FixedTargets:
    return FixedTargets(np.where(np.arange(rows)[:, None] % 3 == 0, [[0.3, 0.4, 0.6]], np.nan), kind="weights")


def splitting() -> Panel:
    """A world with splits and dividends, every third of them known two days after it took place."""
    panel = with_actions(world(ROWS, 3, close_only=False, gaps=True))
    moved = (
        replace(each, known_at_us=each.time_us + 2 * DAY_US) if place % 3 == 1 else each
        for place, each in enumerate(panel.actions)
    )
    return replace(panel, actions=tuple(moved), data_version="")


WORLDS = {"gaps": lambda: world(ROWS, 3, close_only=False, gaps=True), "actions": splitting}
STRATEGIES = {"weights": strategy_of, "averages": lambda _: MovingAverageCross(3, 8, 40)}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("made", WORLDS.values(), ids=WORLDS)
def test_a_live_run_leaves_what_a_replay_of_its_rows_leaves(tmp_path: Path, made: Any, strategy: Any) -> None:
    panel, found = made(), {}
    for mode in ("live", "replay"):
        with Database(f"sqlite:///{tmp_path}/{mode}.db") as database:
            upgrade(database)
            begin(database, panel)
            if mode == "live":
                go_on(database, panel, strategy(ROWS))
            else:
                costs = {instrument: PaperCosts(fee_rate=FEE) for instrument in panel.ids}
                broker = PaperBroker(database, PaperAccount("account", "org", "paper", CASH, costs))
                history = panel.rows(0, BEFORE)
                engine = Engine(WHO, strategy(ROWS), history, broker, broker.observe, database, FixedClock(), None)
                engine.run(ReplayFeed(panel, BEFORE, 0), threading.Event())
            found[mode] = contents(database)
    assert len(found["live"]["fills"]) > 10
    booked = [row for row in found["replay"]["outbox"] if row[0] == "action.booked"]
    assert bool(booked) is bool(panel.actions)
    assert found["live"] == found["replay"]


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("late", [frozenset(), frozenset({20, 21, 22, 35})], ids=["in time", "some late"])
@pytest.mark.parametrize("case", ["gaps", "actions"])
def test_a_live_run_cut_off_at_any_commit_goes_on_as_if_it_had_not_been(
    tmp_path: Path, after: bool, late: frozenset[int], case: str
) -> None:
    panel, strategy = WORLDS[case](), strategy_of(ROWS) if case == "gaps" else MovingAverageCross(3, 8, 40)
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
    for cut in range(1, commits, 11 if case == "gaps" else 29):
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


def test_what_ingestion_stored_of_splits_reaches_the_rows_within_a_minute(tmp_path: Path) -> None:
    share = Instrument("equity:XYZ", calendar="XNYS")
    day, now = "2024-03-06", [0.0]
    row = {
        "instrument": share.id, "time": parse_us(f"{day}T21:00:00Z"), "known_at": parse_us("2024-03-01T21:00:00Z"),
        "split": 7.0, "dividend": 0.0,
    }  # fmt: skip
    like = Panel.of(
        np.array([parse_us(f"{day}T14:30:00Z")]), (share,), Interval.MINUTE, np.ones((1, 1)), sources=("tiingo",)
    )
    with Database(f"sqlite:///{tmp_path}/a.db") as database:
        upgrade(database)
        settings = Settings(data_folder=tmp_path / "data")
        place = Place(settings, database, "org", "paper", Choice("live", "as set", source="tiingo"))
        stored = StoredActions(place, SYSTEM, like, lambda: now[0])
        assert stored() == ()
        frame = pl.DataFrame([row], schema=ACTIONS)
        house.open_catalog(settings, database).actions.append(SYSTEM, "tiingo", frame, 1, "b")
        assert stored() == (), "they are read once a minute"
        now[0] = 60.0
        (action,) = stored()
        assert (action.instrument, action.split) == (0, 7.0)
        assert action.time_us == parse_us(f"{day}T14:30:00Z") + 1, (
            "minute bars are on the new terms from the opening on"
        )
        assert StoredActions(place, SYSTEM, replace(like, pre_adjusted=True), lambda: 0.0)() == ()
