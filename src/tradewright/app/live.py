"""The live feed of a run: history to learn from, what was missed since, and the stream that goes on from there."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from tradewright import ids
from tradewright.app import feeds, house, ingestion_task, source_commands
from tradewright.app.feeds import Choice
from tradewright.clock import DAY_US, Clock, format_us
from tradewright.errors import TradewrightError
from tradewright.ids import Owner
from tradewright.market.actions import actions_of_column
from tradewright.market.panel import Action, Panel
from tradewright.settings import Settings
from tradewright.storage import runs, series, third_parties
from tradewright.storage.database import Database, Tx
from tradewright.trading.feed import LiveFeed

Report = Callable[[float, str], None]
Tell = Callable[[bool, str], None]
"""(degraded, what is wrong since when, or that data come again) whenever that changes; from any thread."""
_TICK_S = 0.1
_SAID = 500
_ACTIONS_FRESH_S = 60.0
_log = logging.getLogger("tradewright.live")
NOTE = "streamed while `tradewright up` runs; its history is back-filled"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose live feed it is, and what it streams."""

    settings: Settings
    database: Database
    organization: str
    environment: str
    choice: Choice


def data_set_of(choice: Choice) -> str:
    """Return the name of the data set that a live feed grows."""
    return f"live-{choice.source}-{choice.interval}"


def learn_from(place: Place, now_us: int, report: Report) -> Owner:
    """Bring the days of history that the choice names into the catalog, as a data set; return its owner.

    What an earlier call of the same day had brought is not asked for again. Raises what the source and the catalog
    raise.
    """
    start_us = now_us - now_us % DAY_US - place.choice.days * DAY_US
    owner = _fetch(place, start_us, now_us, (format_us(start_us)[:10], format_us(now_us)[:10]), report)
    choice = place.choice
    members: list[dict[str, Any]] = [
        {"source": choice.source, "instrument": name, "interval": choice.interval} for name in choice.instruments
    ]
    place.database.write(series.save_data_set, owner, data_set_of(choice), members, NOTE, now_us)
    return owner


def catch_up(place: Place, since_us: int, now_us: int, report: Report) -> list[dict[str, Any]]:
    """Bring what closed after since_us into the catalog; return all bars after since_us that are there.

    Raises what the source and the catalog raise.
    """
    choice = place.choice
    owner = _fetch(place, since_us, now_us, (format_us(since_us), format_us(now_us)), report)
    catalog = house.open_catalog(place.settings, place.database)
    found = catalog.read(owner, choice.source, list(choice.instruments), choice.interval, start_us=since_us + 1)
    return found.to_dicts()


def _fetch(place: Place, start_us: int, end_us: int, words: tuple[str, str], report: Report) -> Owner:
    from tradewright.sources.registry import source as find

    choice, database, tenant = place.choice, place.database, (place.organization, place.environment)
    owner, _ = feeds.owner_of(place.settings, database, place.organization, find(choice.source))
    asked = {"instruments": list(choice.instruments), "interval": choice.interval, "start": words[0], "end": words[1]}
    request = {**asked, "start_us": start_us, "end_us": end_us}
    with source_commands.begun(database, *tenant, owner, choice.source, request) as ingestion:
        told = source_commands.leased(database, ingestion, report)
        ingestion_task.ingest(place.settings, database, *tenant, ingestion, told, ingestion_task.credentials_of)
    return owner


class StoredActions:
    """The splits and dividends that the source of a live feed told of, read again a minute after they were.

    owner: of the feed's bars. rows: a panel of its instruments; where its prices are adjusted there are no actions.
    """

    def __init__(
        self, place: Place, owner: Owner, rows: Panel, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = house.open_catalog(place.settings, place.database).actions
        self._owner, self._source, self._like, self._monotonic = owner, place.choice.source, rows, monotonic
        self._read_at = -math.inf
        self._known: tuple[Action, ...] = ()

    def __call__(self) -> tuple[Action, ...]:
        """Return them as actions of the columns of the panel. Raises StorageFailed."""
        now = self._monotonic()
        if now - self._read_at >= _ACTIONS_FRESH_S and not self._like.pre_adjusted:
            like = self._like
            found = self._store.read(self._owner, self._source, like.ids)
            columns = enumerate(like.instruments)
            told = (actions_of_column(found, each, like.interval, column) for column, each in columns)
            self._known = tuple(chain.from_iterable(told))
            self._read_at = now
        return self._known


class LateBars:
    """How many bars of a feed session came after their row had closed, kept on the session. session: its row."""

    def __init__(self, place: Place, session: Mapping[str, Any]) -> None:
        self._place, self._session, self._before = place, session["id"], session["late_bars"]
        self._kept = 0

    def keep(self, count: int) -> None:
        """Write down how many there were in this process, and log it, when that changed. Raises StorageFailed."""
        if count == self._kept:
            return
        tenant, total = (self._place.organization, self._place.environment), self._before + count
        self._place.database.write(runs.update_feed_session, *tenant, self._session, {"late_bars": total})
        _log.warning("%d bar(s) came too late for their row; of this feed session %d", count - self._kept, total)
        self._kept = count


class Streaming:
    """A stream into the catalog and into a feed, in a thread of its own.

    Every bar is durable in the catalog before the feed has it. The state of the stream stands on the feed session, and
    `tell` is called when it changes. since_us: the bars that closed after it and before the stream began are fetched as
    well.
    """

    def __init__(self, place: Place, session: str, feed: LiveFeed, since_us: int, clock: Clock, tell: Tell) -> None:
        self._place, self._session, self._feed, self._since_us, self._clock = place, session, feed, since_us, clock
        self._tell = tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream")

    def __enter__(self) -> Streaming:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._stream())
        except TradewrightError as error:
            self._feed.fail(error)
        except Exception as error:
            self._feed.fail(TradewrightError(f"the stream stopped: {type(error).__name__}: {error}"))
            raise

    async def _stream(self) -> None:
        from tradewright.market.instruments import Interval
        from tradewright.market.live_intake import LiveIntake
        from tradewright.sources.elsewhere import hosts_elsewhere
        from tradewright.sources.live import LiveStream, Outlets
        from tradewright.sources.registry import source as find
        from tradewright.transport.http import HttpTransport

        place, choice, clock = self._place, self._place.choice, self._clock
        source, interval = find(choice.source), Interval.parse(choice.interval)
        owner, credentials = feeds.owner_of(place.settings, place.database, place.organization, source)
        known = [source.instrument_of(name) for name in choice.instruments]
        intake = LiveIntake(
            house.open_catalog(place.settings, place.database), place.database, owner, known, interval=interval,
            source=source.name, now_us=clock.now_us(), ingestion_id=ids.new("ing"),
            lag_us=0 if source.bars is None else source.bars.lag_us, elsewhere=hosts_elsewhere(source, os.environ),
        )  # fmt: skip

        def bars(rows: list[dict[str, Any]]) -> None:
            self._feed.put(intake.take(rows, clock.now_us()), stream.now_us())

        def state(degraded: bool, why: str) -> None:
            said = f"{choice.source} is {'degraded' if degraded else 'back'} since {format_us(clock.now_us())}: {why}"
            place.database.write(self._note, owner, why if degraded else None, said)
            self._tell(degraded, said)

        stop = asyncio.Event()
        watching = asyncio.create_task(self._watch(stop))
        async with HttpTransport(clock) as transport:
            lane = ingestion_task.lane_to(place.settings, source, transport, credentials)
            line = ingestion_task.line_to(source, lane, credentials)
            address, outlets = feeds.stream_address(source), Outlets(bars, state)
            stream = LiveStream(line, known, interval, outlets, clock, address, since_us=self._since_us)
            try:
                await stream.run(stop)
            finally:
                watching.cancel()
                intake.settle(clock.now_us())

    async def _watch(self, stop: asyncio.Event) -> None:
        while not self._over.is_set():
            await asyncio.sleep(_TICK_S)
        stop.set()

    def _note(self, tx: Tx, owner: Owner, why: str | None, said: str) -> None:
        tenant = (self._place.organization, self._place.environment)
        third_parties.note(tx, owner, self._place.choice.source, why, self._clock.now_us(), tenant[1])
        wrong = why is not None
        status = {"status": "degraded" if wrong else "running", "reason": said[:_SAID] if wrong else None}
        runs.update_feed_session(tx, *tenant, self._session, status)
