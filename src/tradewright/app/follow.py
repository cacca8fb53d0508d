"""A stream into the catalog, from the command line: bars as they close, until somebody ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from tradewright import ids
from tradewright.app import house, ingestion_task
from tradewright.clock import Clock, WallClock, format_us
from tradewright.ids import SYSTEM, Owner
from tradewright.settings import Settings
from tradewright.storage import third_parties
from tradewright.storage.database import Database

Say = Callable[[str], None]


def follow(
    settings: Settings, name: str, instruments: list[str], interval: str, say: Say, clock: Clock | None = None
) -> dict[str, Any]:
    """Stream bars of a source into the catalog until SIGINT or SIGTERM; return what came.

    say: told of every bar and of every change of state. What is kept is durable at once; it is judged every five
    minutes and at the end, and at the end compared with what other sources have. Raises InvalidInput for a source or
    interval that cannot be streamed, SourceRefused without the credentials it needs, SourceFailed when connecting again
    does not help.
    """
    with house.open_database(settings) as database:
        return asyncio.run(_follow(settings, database, name, instruments, interval, say, clock or WallClock()))


async def _follow(
    settings: Settings, database: Database, name: str, instruments: list[str], interval: str, say: Say, clock: Clock
) -> dict[str, Any]:
    from tradewright.app import source_commands
    from tradewright.app.comparison import compared_now
    from tradewright.market.instruments import Interval
    from tradewright.market.live_intake import LiveIntake
    from tradewright.sources.elsewhere import hosts_elsewhere
    from tradewright.sources.live import LiveStream, Outlets
    from tradewright.sources.registry import source as find
    from tradewright.transport.http import HttpTransport

    source, step = find(name), Interval.parse(interval)
    organization = database.write(house.ensure_organization, clock.now_us())
    credentials = ingestion_task.credentials_of(database, house.open_vault(settings), organization, source)
    if source.auth.needed and not credentials:
        raise source_commands.without_credentials(source)
    owner = Owner(organization) if credentials else SYSTEM
    known = [source.instrument_of(each) for each in instruments]
    catalog = house.open_catalog(settings, database)
    intake = LiveIntake(
        catalog, database, owner, known, interval=step, source=name,
        now_us=clock.now_us(), ingestion_id=ids.new("ing"), lag_us=0 if source.bars is None else source.bars.lag_us,
        elsewhere=hosts_elsewhere(source, os.environ),
    )  # fmt: skip

    def bars(rows: list[dict[str, Any]]) -> None:
        intake.take(rows, clock.now_us())
        for row in rows:
            say(f"{row['instrument']} {format_us(row['time'])} closed at {row['close']:g}, volume {row['volume']:g}")

    def state(degraded: bool, why: str) -> None:
        say(f"{name} is {'degraded' if degraded else 'back'}: {why}")
        database.write(third_parties.note, owner, name, why if degraded else None, clock.now_us())

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with HttpTransport(clock) as transport:
        lane = ingestion_task.lane_to(settings, source, transport, credentials)
        line = ingestion_task.line_to(source, lane, credentials)
        url = os.environ.get(source.stream_url_variable)
        stream = LiveStream(line, known, step, Outlets(bars, state), clock, url)
        say(f"streaming {', '.join(each.id for each in known)} from {source.title}; Ctrl-C ends it")
        try:
            await stream.run(stop)
        finally:
            intake.settle(clock.now_us())
    _, told = compared_now(catalog, owner, [each.id for each in known], step, clock.now_us())
    counts = stream.counts
    return {
        "messages": counts.messages, "trades": counts.trades, "bars": counts.bars, "revisions": counts.revisions,
        "filled": counts.filled, "lost": counts.lost, "refused": counts.refused,
        "withdrawn": counts.withdrawn, "connections": counts.connections, "rejected": intake.rejected,
        "compared": told,
    }  # fmt: skip
