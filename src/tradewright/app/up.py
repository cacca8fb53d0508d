"""`tradewright up`: API, worker and engine in one process, on one data folder."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tradewright.accounts.authentication import Authenticator
from tradewright.accounts.limits import Limiter, MemoryLimiter
from tradewright.accounts.sessions import Sessions
from tradewright.accounts.shared_limits import SharedLimiter
from tradewright.api import rules
from tradewright.api.app import build
from tradewright.api.documents import documents
from tradewright.api.market_data import MarketData
from tradewright.api.services import Readiness, Services
from tradewright.app import feeds, house, http_server, live, paper, preparation
from tradewright.app.child import COMMAND
from tradewright.app.console import Console
from tradewright.app.feeds import Choice
from tradewright.app.leaving import at_signals
from tradewright.app.live import Place, Streaming
from tradewright.app.numbering import PAUSE_S, number_events
from tradewright.app.scheduling import POLL_S, Scheduler
from tradewright.app.source_commands import elsewhere, opted_in
from tradewright.app.upkeep import Upkeep
from tradewright.app.work import Hands, build_hands
from tradewright.clock import WallClock, parse_us
from tradewright.errors import (
    Cancelled,
    SourceFailed,
    SourceRefused,
    StorageFailed,
    TradewrightError,
)
from tradewright.ids import Owner
from tradewright.jobs.compute import run_child
from tradewright.market.panel import Panel
from tradewright.settings import Settings
from tradewright.storage import accounts, runs
from tradewright.storage.cache import Cache
from tradewright.storage.database import Database
from tradewright.trading.engine import Engine
from tradewright.trading.feed import ClosedRow, LiveFeed, ReplayFeed

ENVIRONMENT = "paper"
_FIRST_PAUSE_S, _LAST_PAUSE_S = 1.0, 30.0
_log = logging.getLogger("tradewright.up")


class _Progress:
    """The readiness of this process, replaced whole by one thread and read by others."""

    def __init__(self) -> None:
        self._now = Readiness(False, "starting", 0.0, "starting")

    def now(self) -> Readiness:
        return self._now

    def set(self, **change: Any) -> None:
        self._now = replace(self._now, **change)


@dataclass(slots=True)
class _House:
    settings: Settings
    database: Database
    organization: str
    progress: _Progress
    console: Console
    stop: threading.Event
    restart_feed: bool
    started: threading.Event
    rows: int = 0


def up(settings: Settings, restart_feed: bool, console: Console) -> None:
    """Run everything until SIGINT or SIGTERM. Raises FolderInUse, StorageFailed, SettingsInvalid before it serves."""
    clock = WallClock()
    feeds.check(settings)
    _make_folder(settings.data_folder)
    with house.folder_lock(settings.data_folder), house.open_database(settings) as database:
        organization = database.write(house.ensure_organization, clock.now_us())
        fresh = house.first_key(database, clock, organization, ENVIRONMENT)
        progress = _Progress()
        this = _House(
            settings, database, organization, progress, console, threading.Event(), restart_feed, threading.Event()
        )
        hands = build_hands(database, clock, settings)
        services = build_services(database, clock, settings, progress, hands)
        address, port = http_server.usable(settings.host, settings.port)
        server = http_server.Embedded(build(services), address, port)
        engine = threading.Thread(target=_engine, args=(this,), name="engine")

        def leave() -> None:
            this.stop.set()
            hands.stop()
            server.stop()

        at_signals(leave)
        turns = (Scheduler(database, clock, hands.wake).run, POLL_S, "scheduler")
        numbers = (partial(number_events, database), PAUSE_S, "numberer")
        upkeep = Upkeep(database, clock, services.authenticator, [turns, numbers])
        upkeep.start()
        hands.start()
        engine.start()
        greeter = threading.Thread(target=_greet, args=(this, address, port, fresh), name="greeter")
        greeter.start()
        try:
            server.run()
        finally:
            leave()
            for thread in (greeter, engine):
                thread.join()
            hands.join()
            upkeep.stop()
            _mark(this, "stopped")
        console.say("stopped")
        if progress.now().phase == "failed":
            raise TradewrightError(progress.now().error)


def build_services(
    database: Database, clock: WallClock, settings: Settings, progress: Any, hands: Hands | None
) -> Services:
    """Return what the routes are handed."""
    return Services(
        database=database,
        clock=clock,
        authenticator=Authenticator(database, clock),
        market_data=MarketData(house.open_catalog(settings, database), database),
        progress=progress,
        wake_worker=hands.wake if hands is not None else (lambda: None),
        version=house.VERSION,
        documents=documents(house.VERSION),
        sessions=Sessions(database, clock),
        vault=house.open_vault(settings),
        rules=replace(rules.of_settings(settings), opted_in=opted_in(), elsewhere=elsewhere()),
        limiter=_limiter(settings),
    )


def _limiter(settings: Settings) -> Limiter:
    return SharedLimiter(Cache(settings.cache_url)) if settings.cache_url else MemoryLimiter()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"cannot make the data folder {folder}: {error.strerror}") from error


def _greet(this: _House, address: str, port: int, fresh: tuple[str, str] | None) -> None:
    if not http_server.listens(address, port, this.stop):
        return
    this.started.set()
    this.console.address(http_server.shown(address, port))
    if fresh is not None:
        this.console.first_key(fresh[1])
        this.database.write(accounts.mark_key_shown, this.organization, fresh[0], WallClock().now_us())


def _serving(this: _House) -> bool:
    while not this.started.wait(0.05):
        if this.stop.is_set():
            return False
    return True


def _engine(this: _House) -> None:
    """Prepare, then trade. A database that refuses and a source that does not answer are tried again; any other error
    ends it. The API keeps serving."""
    pause_s = _FIRST_PAUSE_S
    while not this.stop.is_set():
        rows_before = this.rows
        try:
            made = _prepare(this)
            if made is not None:
                house.settle()
                _trade(this, made)
            return
        except Cancelled:
            return
        except (StorageFailed, SourceFailed) as error:
            if isinstance(error, SourceRefused) or error.facts.get("final"):
                _fail(this, "failed", error.message, str(error))
                return
            # nothing of that step was kept; the next round goes on from what is stored
            pause_s = _FIRST_PAUSE_S if this.rows > rows_before else min(2 * pause_s, _LAST_PAUSE_S)
            again = f"(trying again every {pause_s:.0f} s)"
            _fail(this, "waiting", f"{error.message} {again}", f"{error} {again}")
            this.stop.wait(pause_s)
        except TradewrightError as error:
            _fail(this, "failed", error.message, str(error))
            return
        except Exception as error:  # noqa: BLE001 - the supervised loop: logged, told, nothing half-written
            _log.exception("the engine stopped")
            kind = type(error).__name__
            _fail(
                this, "failed", f"the engine stopped: {kind}; the log says more", f"the engine stopped: {kind}: {error}"
            )
            return


def _mark(this: _House, status: str) -> None:
    # a session that has ended stays so; without a database nothing can be said
    tenant = (this.organization, ENVIRONMENT)
    try:
        session = this.database.read(runs.latest_feed_session, *tenant)
        if session is not None and session["status"] not in ("ended", status):
            this.database.write(runs.update_feed_session, *tenant, session["id"], {"status": status, "reason": None})
    except StorageFailed as error:
        _log.error("the feed could not be marked as %s: %s", status, error)


def _fail(this: _House, phase: str, message: str, whole: str = "") -> None:
    # message: clients are told it. whole: what the console says instead
    told = this.progress.now().error
    this.progress.set(ready=False, phase=phase, error=message, message="stopped by an error")
    if message != told:
        this.console.failed(whole or message)


def _prepare(this: _House) -> dict[str, Any] | None:
    if not _serving(this):
        return None
    made = preparation.prepared(this.database, this.organization, ENVIRONMENT)
    known = None if made is None or this.restart_feed else made["words"]
    choice = feeds.choose(this.settings, this.database, this.organization, known)
    anew = this.restart_feed and choice.mode == "live"  # its model learns what came since
    if made is None or anew or made["words"] != choice.words:
        this.console.feed(choice)
        this.progress.set(phase="preparing", message="preparing data and model")

        def report(fraction: float, message: str) -> bool:
            this.progress.set(progress=fraction, message=message)
            this.console.progress(fraction, message)
            return this.stop.is_set()

        payload = {
            "settings": house.settings_to(this.settings),
            "organization": this.organization,
            "environment": ENVIRONMENT,
            "choice": asdict(choice),
        }
        made = dict(run_child(COMMAND, "prepare", payload, report))
    return None if this.stop.is_set() else made


def _trade(this: _House, made: dict[str, Any]) -> None:
    from tradewright.research.registry import Registry

    clock, tenant = WallClock(), (this.organization, ENVIRONMENT)
    panel = _panel(this, made)
    opened = paper.open_run(this.database, clock, *tenant, made, panel, this.restart_feed)
    this.restart_feed = False
    schedule = Registry(this.database, *tenant).load_schedule(opened.run["schedule"])
    _mark(this, "running")
    past = paper.past_of(this.database, opened, panel)
    engine = paper.build_engine(this.database, clock, opened, past, schedule, made)
    if opened.session["mode"] == "live":
        _trade_live(this, engine, opened, past, made)
    else:
        _trade_replay(this, engine, opened, panel, made)


def _panel(this: _House, made: dict[str, Any]) -> Panel:
    # of a replay all that it plays, of a live feed what was learned from, as it was then
    catalog = house.open_catalog(this.settings, this.database)
    if made["choice"]["mode"] == "replay":
        return catalog.panel(made["data_set"])
    until_us, before_us = parse_us(made["trained_until"]), made["recorded_before"]
    return catalog.panel(made["data_set"], owner=Owner(made["owner"]), end_us=until_us, recorded_before_us=before_us)


def _trade_replay(this: _House, engine: Engine, opened: paper.PaperRun, panel: Panel, made: dict[str, Any]) -> None:
    session, rows = opened.session, len(panel)
    said = f"replaying {made['data_set']}"
    this.progress.set(ready=True, phase="running", progress=1.0, message=said, error="")
    this.console.ready(made, session, panel.verdict)

    def after_row(row: ClosedRow) -> None:
        this.rows += 1
        this.console.row(int(row.panel.times[0]), rows - row.index - 1)

    if session["status"] != "ended":
        engine.run(ReplayFeed(panel, session["next_row"], this.settings.speed), this.stop, after_row)
    if not this.stop.is_set():
        this.progress.set(message=f"the replay of {made['data_set']} has ended; begin anew with --restart-feed")
        this.console.ended()


def _trade_live(this: _House, engine: Engine, opened: paper.PaperRun, past: paper.Past, made: dict[str, Any]) -> None:
    clock, session = WallClock(), opened.session
    place = Place(this.settings, this.database, this.organization, ENVIRONMENT, Choice(**made["choice"]))
    since_us = int(past.rows.times[-1])
    actions = live.StoredActions(place, Owner(made["owner"]), past.rows)
    feed = LiveFeed(past.rows, session["next_row"], since_us, clock, past.unfinished, actions)
    late_bars = live.LateBars(place, session)

    def report(fraction: float, message: str) -> None:
        if this.stop.is_set():
            raise Cancelled("stopped while catching up")
        this.progress.set(message=f"catching up: {message}")

    def after_row(row: ClosedRow) -> None:
        this.rows += 1
        this.progress.set(message=f"live from {place.choice.source}", error="")
        this.console.row(int(row.panel.times[0]), None)
        late_bars.keep(feed.late_bars)

    missed = live.catch_up(place, since_us, clock.now_us(), report)
    feed.put(missed)
    newest = dict.fromkeys(past.rows.ids, since_us) | {row["instrument"]: row["time"] for row in missed}
    newest_us = min(newest.values())  # where one instrument is behind, the bars of the others come again
    said = f"live from {place.choice.source}: {made['data_set']}"
    this.progress.set(ready=True, phase="running", progress=1.0, message=said, error="")
    this.console.ready(made, session, past.rows.verdict)
    with Streaming(place, session["id"], feed, newest_us, clock, this.console.state):
        engine.run(feed, this.stop, after_row)
    late_bars.keep(feed.late_bars)
