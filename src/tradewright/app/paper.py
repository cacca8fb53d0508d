"""The paper run of an environment: account, portfolio, feed session and run, opened once and resumed ever after."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradewright import ids
from tradewright.brokers.paper import PaperAccount, PaperBroker, PaperCosts
from tradewright.clock import Clock
from tradewright.errors import InvalidInput
from tradewright.learning.schedule import ModelSchedule
from tradewright.market.instruments import Instrument
from tradewright.market.panel import Panel
from tradewright.signals.issue import Issuer
from tradewright.storage import broker_accounts, trading
from tradewright.storage.database import Database, Tx
from tradewright.strategies.model import ModelStrategy
from tradewright.trading.engine import Engine
from tradewright.trading.feed import ReplayFeed
from tradewright.trading.opening import Opening, open_portfolio
from tradewright.trading.rows import RunIdentity

CASH = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class PaperRun:
    """The stored rows of a paper run."""

    session: dict[str, Any]
    run: dict[str, Any]
    portfolio: dict[str, Any]


def open_run(
    database: Database,
    clock: Clock,
    organization: str,
    environment: str,
    made: dict[str, Any],
    panel: Panel,
    restart: bool,
) -> PaperRun:
    """Return the paper run of this environment: the one that was there, or a new one.

    A new one begins at the first replayed row when there was none, when `restart` is set, or when the old one replays
    other data; it has a portfolio of its own. made: what the preparation stored.
    """

    def find_or_make(tx: Tx) -> PaperRun:
        session = trading.latest_feed_session(tx, organization, environment)
        same = session is not None and session["data_version"] == made["data_version"]
        if session is not None and same and session["start_row"] == made["start_row"] and not restart:
            run = trading.run_of_session(tx, organization, environment, session["id"])
            assert run is not None
            portfolio = trading.get_portfolio(tx, organization, environment, run["portfolio"])
            assert portfolio is not None
            return PaperRun(session, run, portfolio)
        return _open(tx, clock.now_us(), organization, environment, made, panel)

    if panel.data_version != made["data_version"]:
        raise InvalidInput(
            f"the data set {made['data_set']} changed since the model was trained (it is {panel.data_version} now, was "
            f"{made['data_version']}); use an empty data folder to begin anew"
        )
    return database.write(find_or_make)


def _open(tx: Tx, now_us: int, organization: str, environment: str, made: dict[str, Any], panel: Panel) -> PaperRun:
    tenant = {"organization": organization, "environment": environment, "created_at": now_us}
    start = made["start_row"]
    account, session_id = ids.new("bra"), ids.new("fds")
    currency = panel.currency[0]
    session = {
        **tenant,
        "id": session_id,
        "mode": "replay",
        "data_set": made["data_set"],
        "interval": panel.interval.value,
        "data_version": made["data_version"],
        "start_time": int(panel.times[start - 1]),
        "start_row": start,
        "rows": len(panel),
        "next_row": start,
        "market_time": None,
        "status": "running",
        "updated_at": now_us,
    }
    broker_accounts.add(tx, {**tenant, "id": account, "broker": "paper", "name": "paper", "credentials": None})
    opening = Opening(account, f"paper {made['data_set']}", currency, CASH, session["start_time"])
    portfolio = open_portfolio(tx, organization, environment, opening, now_us)
    run = {
        **tenant,
        "id": ids.new("run"),
        "feed_session": session_id,
        "portfolio": portfolio["id"],
        "strategy": "model",
        "params": {},
        "schedule": made["schedule"],
        "status": "running",
        "handled": 0,
        "lineage": {"data_version": made["data_version"], "evidence": made["evidence"]},
        "stopped_at": None,
    }
    trading.add_feed_session(tx, session)
    trading.add_run(tx, run)
    return PaperRun(session, run, portfolio)


def build_engine(
    database: Database, clock: Clock, opened: PaperRun, panel: Panel, schedule: ModelSchedule, made: dict[str, Any]
) -> Engine:
    """Return the engine of a paper run, warmed up with every row before the feed's next one."""
    session, portfolio = opened.session, opened.portfolio
    tenant = (session["organization"], session["environment"])
    account = PaperAccount(
        portfolio["broker_account"], *tenant, portfolio["initial_cash"], paper_costs(panel.instruments)
    )
    broker = PaperBroker(database, account)
    issuer = Issuer(
        *tenant,
        session["id"],
        session["mode"],
        "promoted" if made["promoted"] else "candidate",
        made["evidence"],
        schedule.horizon,
    )
    who = RunIdentity(*tenant, opened.run["id"], portfolio["id"], session["id"], portfolio["currency"])
    history = panel.rows(0, session["next_row"])
    return Engine(who, ModelStrategy(schedule), history, broker, broker.observe, database, clock, issuer)


def paper_costs(instruments: tuple[Instrument, ...]) -> dict[str, PaperCosts]:
    """Return the default costs of the simulator as the paper broker takes them."""
    from tradewright.simulation.costs import default_costs

    table = default_costs(instruments).columns(len(instruments))
    return {
        instrument.id: PaperCosts(Decimal(repr(float(table[0, n]))), Decimal(repr(float(table[3, n]))))
        for n, instrument in enumerate(instruments)
    }


def run_replay(
    engine: Engine,
    opened: PaperRun,
    panel: Panel,
    speed: float,
    stop: threading.Event,
    after_row: Callable[[int], None],
) -> None:
    """Replay what is left of the feed into the engine; returns when it has ended or `stop` was set."""
    if opened.session["status"] == "ended":
        return
    engine.run(ReplayFeed(panel, opened.session["next_row"], speed), stop, after_row)
