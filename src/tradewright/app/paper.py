"""The paper run of an environment: account, portfolio, feed session and run, opened once and resumed ever after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tradewright import ids
from tradewright.brokers.paper import PaperAccount, PaperBroker, PaperCosts
from tradewright.clock import Clock
from tradewright.errors import InvalidInput
from tradewright.learning.schedule import ModelSchedule
from tradewright.market.instruments import Instrument
from tradewright.market.panel import Action, Panel
from tradewright.signals.issue import Issuer
from tradewright.storage import broker_accounts, runs, trading
from tradewright.storage.database import Database, Tx
from tradewright.strategies.model import ModelStrategy
from tradewright.trading import inputs
from tradewright.trading.engine import Engine
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

    A new one begins behind what was learned from when there was none, when `restart` is set, or when the old one had
    another feed; it has a portfolio of its own. made: what the preparation stored. panel: of a replay the whole data
    set, of a live feed what was learned from. Raises InvalidInput when that changed since.
    """

    def find_or_make(tx: Tx) -> PaperRun:
        session = runs.latest_feed_session(tx, organization, environment)
        words = {"mode": made["choice"]["mode"], **{name: made[name] for name in ("data_version", "start_row")}}
        if session is not None and all(session[name] == word for name, word in words.items()) and not restart:
            run = runs.run_of_session(tx, organization, environment, session["id"])
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
        "mode": made["choice"]["mode"],
        "data_set": made["data_set"],
        "interval": panel.interval.value,
        "data_version": made["data_version"],
        "start_time": int(panel.times[start - 1]),
        "start_row": start,
        "rows": len(panel) if made["choice"]["mode"] == "replay" else None,
        "next_row": start,
        "market_time": None,
        "status": "running",
        "reason": None,
        "late_bars": 0,
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
    runs.add_feed_session(tx, session)
    runs.add_run(tx, run)
    return PaperRun(session, run, portfolio)


@dataclass(frozen=True, slots=True)
class Past:
    """What a run saw before the feed goes on. rows: every row that was handled, and all before the first. unfinished:
    rows that were journalled and not handled, each with whether it was late. behind: the last of rows was late."""

    rows: Panel
    unfinished: tuple[tuple[Panel, bool], ...] = ()
    behind: bool = False


def past_of(database: Database, opened: PaperRun, panel: Panel) -> Past:
    """Return what a run saw so far. panel: as `open_run` has it.

    A replay gives its unfinished row again; of a live feed it is the journal that knows what was seen, and as what.
    """
    session, run = opened.session, opened.run
    if session["mode"] == "replay":
        return Past(panel.rows(0, session["next_row"]))
    tenant = (session["organization"], session["environment"])
    entries = database.read(runs.journal_after, *tenant, run["id"], 0, (inputs.ROW, inputs.ACTION))
    journalled = [entry for entry in entries if entry["kind"] == inputs.ROW]
    seen = [entry for entry in journalled if entry["sequence"] <= run["handled"]]
    waiting = [entry for entry in journalled if entry["sequence"] > run["handled"]]
    unfinished = tuple((_rows([entry], entries, panel), inputs.is_late(entry)) for entry in waiting)
    rows = panel.followed_by(_rows(seen, entries, panel, panel.actions)) if seen else panel
    return Past(rows, unfinished, bool(seen) and inputs.is_late(seen[-1]))


def _rows(
    seen: list[dict[str, Any]], entries: list[dict[str, Any]], like: Panel, known: tuple[Action, ...] = ()
) -> Panel:
    # with what took place in them, but for what the rows before them have already
    there = {(each.instrument, each.time_us, each.split, each.dividend) for each in known}
    booked = inputs.actions_in(entries, {entry["time"] for entry in seen}, like)
    fresh = (each for each in booked if (each.instrument, each.time_us, each.split, each.dividend) not in there)
    return replace(inputs.to_rows(seen, like), actions=tuple(fresh))


def build_engine(
    database: Database, clock: Clock, opened: PaperRun, past: Past, schedule: ModelSchedule, made: dict[str, Any]
) -> Engine:
    """Return the engine of a paper run, warmed up with what it saw."""
    session, portfolio = opened.session, opened.portfolio
    tenant = (session["organization"], session["environment"])
    account = PaperAccount(
        portfolio["broker_account"], *tenant, portfolio["initial_cash"], paper_costs(past.rows.instruments)
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
    strategy = ModelStrategy(schedule)
    return Engine(who, strategy, past.rows, broker, broker.observe, database, clock, issuer, past.behind)


def paper_costs(instruments: tuple[Instrument, ...]) -> dict[str, PaperCosts]:
    """Return the default costs of the simulator as the paper broker takes them."""
    from tradewright.simulation.costs import default_costs

    table = default_costs(instruments).columns(len(instruments))
    return {
        instrument.id: PaperCosts(Decimal(repr(float(table[0, n]))), Decimal(repr(float(table[3, n]))))
        for n, instrument in enumerate(instruments)
    }
