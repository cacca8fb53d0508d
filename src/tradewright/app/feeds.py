"""Which feed a start of `tradewright up` takes: live bars of a source, or a replay of real history.

`live` and `replay` are taken at their word. `auto` keeps what an earlier start began with; the first time it takes the
first source of SOURCES that answers within PROBE_S, and the replay where none does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tradewright.app import house, ingestion_task
from tradewright.clock import WallClock
from tradewright.errors import InvalidInput, SourceFailed, SourceRefused, TradewrightError
from tradewright.ids import SYSTEM, Owner
from tradewright.settings import Settings
from tradewright.storage.database import Database
from tradewright.trading.feed import FeedMode

SOURCES = {"coinbase": "USD", "binance": "USDT", "okx": "USDT", "bybit": "USDT"}
"""Sources of coins that need no key and have history enough to learn from, in the order in which they are tried, with
the currency that most of their pairs are in."""
COINS = ("BTC", "ETH", "SOL", "XRP", "ADA")
PROBE_S = 5.0
_OF_LIVE = ("feed_source", "feed_instruments", "feed_interval")
_PROBED_BARS = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """A feed. why: for people, in a few words. source, instruments, interval, days: of a live one; days of history to
    learn from. data_set, rows: of a replay."""

    mode: FeedMode
    why: str
    source: str = ""
    instruments: tuple[str, ...] = ()
    interval: str = ""
    days: int = 0
    data_set: str = ""
    rows: int = 0

    @property
    def words(self) -> dict[str, Any]:
        """What a preparation for this feed is told apart by."""
        if self.mode == "replay":
            return {"feed": "replay", "data_set": self.data_set, "rows": self.rows}
        named = {"source": self.source, "instruments": list(self.instruments), "interval": self.interval}
        return {"feed": "live", **named, "days": self.days}


def choose(settings: Settings, database: Database, organization: str, known: Mapping[str, Any] | None) -> Choice:
    """Return the feed of this start. known: the words of what an earlier start prepared.

    Raises SourceFailed when `live` is asked for and no source answers, InvalidInput and UnknownName for settings that
    name no such feed.
    """
    replay = Choice("replay", "as set", data_set=settings.data_set, rows=settings.replay_rows)
    if settings.feed == "replay":
        return replay
    wanted = [_live(settings, name) for name in ([settings.feed_source] if settings.feed_source else SOURCES)]
    for choice in (*wanted, *([replay] if settings.feed == "auto" else [])):
        if choice.words == known:
            return replace(choice, why="as begun")
    answers = asyncio.run(_ask_all(settings, database, organization, wanted))
    for choice in wanted:
        if answers[choice.source] is None:
            return replace(choice, why=f"{choice.source} answers")
    refused = [answer for answer in answers.values() if isinstance(answer, SourceRefused)]
    if settings.feed == "live" and len(refused) == len(wanted):
        raise refused[0]  # asking again does not help
    said = "; ".join(f"{name}: {answer.message}" for name, answer in answers.items() if answer is not None)
    if settings.feed == "live":
        raise SourceFailed(f"no live source can be reached ({said}); `--feed replay` plays real history instead")
    return replace(replay, why=f"no live source can be reached ({said})")


def check(settings: Settings) -> None:
    """Look at the settings of a live feed before anything is begun. Raises InvalidInput and UnknownName."""
    named = any(settings.origins.get(name, "default") != "default" for name in _OF_LIVE)
    if settings.feed != "replay" and named:
        for name in [settings.feed_source] if settings.feed_source else SOURCES:
            _live(settings, name)


def owner_of(settings: Settings, database: Database, organization: str, source: Any) -> tuple[Owner, dict[str, str]]:
    """Return whose the bars of a source are, and the credentials to ask with. Raises SourceRefused without those that
    it needs."""
    from tradewright.app.source_commands import without_credentials

    credentials = ingestion_task.credentials_of(database, house.open_vault(settings), organization, source)
    if source.auth.needed and not credentials:
        raise without_credentials(source)
    return (Owner(organization) if credentials else SYSTEM), credentials


def stream_address(source: Any) -> str | None:
    """Return the address of the socket of a source that the environment names, None for its own."""
    return os.environ.get(source.stream_url_variable)


def _live(settings: Settings, name: str) -> Choice:
    from tradewright.market.instruments import Interval
    from tradewright.sources.registry import source as find

    source, interval = find(name), Interval.parse(settings.feed_interval)
    if source.stream is None or source.bars is None:
        raise InvalidInput(f"{source.title} has no stream of bars; feed_source must name a source that has one")
    if interval not in source.bars.intervals:
        names = ", ".join(each.value for each in source.bars.intervals)
        raise InvalidInput(f"{source.title} has no history of {interval.value} bars; feed_interval can be {names}")
    listed = [text.strip() for text in settings.feed_instruments.split(",") if text.strip()]
    if not listed and name not in SOURCES:
        raise InvalidInput(f"name what to stream from {source.title} in feed_instruments")
    texts = listed or [f"crypto:{coin}-{SOURCES[name]}" for coin in COINS]
    instruments = [source.instrument_of(text) for text in texts]
    currencies = sorted({each.currency for each in instruments})
    if len(currencies) > 1:
        raise InvalidInput(
            f"feed_instruments are priced in {' and '.join(currencies)}, and a portfolio is in one; name those "
            "of one currency"
        )
    known = dict.fromkeys(each.id for each in instruments)
    return Choice("live", "as set", name, tuple(known), interval.value, settings.feed_days)


async def _ask_all(
    settings: Settings, database: Database, organization: str, choices: list[Choice]
) -> dict[str, TradewrightError | None]:
    # None for a source that answers, else what was wrong
    from tradewright.transport.http import HttpTransport

    async with HttpTransport() as transport:
        said = await asyncio.gather(*(_ask(settings, database, organization, each, transport) for each in choices))
    return {choice.source: text for choice, text in zip(choices, said, strict=True)}


async def _ask(
    settings: Settings, database: Database, organization: str, choice: Choice, transport: Any
) -> TradewrightError | None:
    from tradewright.market.instruments import Interval
    from tradewright.sources.fetch import bar_pages
    from tradewright.sources.registry import source as find
    from tradewright.transport.messages import Policy

    source, interval, clock = find(choice.source), Interval.parse(choice.interval), WallClock()
    try:
        _, credentials = owner_of(settings, database, organization, source)
        lane = ingestion_task.lane_to(settings, source, transport, credentials)
        line = replace(
            ingestion_task.line_to(source, lane, credentials),
            policy=Policy(deadline_s=PROBE_S, attempt_s=PROBE_S, attempts=1),
        )
        now_us = clock.now_us()
        instrument = source.instrument_of(choice.instruments[0])
        async for page in bar_pages(line, instrument, interval, now_us - _PROBED_BARS * interval.us, now_us):
            if page.bars.height:
                return None
    except TradewrightError as error:
        return error
    return SourceFailed(f"no {choice.interval} bars of {choice.instruments[0]}")
