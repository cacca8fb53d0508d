"""What a source says now: quotes of some instruments, and everything that it lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from tradewright.errors import InvalidInput, SourceFailed
from tradewright.market.instruments import Instrument
from tradewright.market.records import instrument_to_row
from tradewright.sources.fetch import Line
from tradewright.sources.rows import QUOTES
from tradewright.sources.source import Listed, ListingPage
from tradewright.sources.trail import Trail
from tradewright.storage import listings as store
from tradewright.storage.database import Database

Progress = Callable[[float, str], None]
MOST_QUOTES = 500
"""Instruments whose quotes are asked for at a time."""
MOST_LISTED = 200_000
"""Entries of a listing that are read: more than any source of today has."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source lists, in its order. skipped: how many of its entries are nothing that we know."""

    listed: tuple[Listed, ...]
    skipped: int


async def fetch_quotes(line: Line, instruments: Sequence[Instrument]) -> pl.DataFrame:
    """Return the latest prices of instruments as a frame of `rows.QUOTES`, without those that the source has none of.

    Raises InvalidInput for a source without quotes and for more than `MOST_QUOTES`, UnknownName where the source does
    not know one, and what the source and the transport raise.
    """
    offer = line.source.quotes
    if offer is None:
        raise InvalidInput(f"{line.source.title} has no quotes; it has {', '.join(line.source.offers)}")
    if len(instruments) > MOST_QUOTES:
        raise InvalidInput(f"at most {MOST_QUOTES} quotes at a time; got {len(instruments)}: ask in parts")
    frames = [pl.DataFrame(schema=QUOTES)]
    for first in range(0, len(instruments), offer.batch):
        wanted = {line.source.symbol_of(each): each for each in instruments[first : first + offer.batch]}
        _, frame = await line.ask(
            offer.request(list(wanted)),
            lambda answer: offer.parse(answer, wanted),  # noqa: B023 - awaited here
        )
        frames.append(frame)
    return pl.concat(frames)


async def fetch_listing(line: Line, progress: Progress | None = None) -> Listing:
    """Return everything that a source lists. progress: called after each page; how many there are nobody says.

    Raises InvalidInput for a source without a listing, SourceFailed for one that names the same next page again or
    lists more than `MOST_LISTED`, and what the source and the transport raise.
    """
    offer, title = line.source.listing, line.source.title
    if offer is None:
        raise InvalidInput(f"{title} has no listing; it has {', '.join(line.source.offers)}")
    listed: list[Listed] = []
    skipped, token, trail = 0, "", Trail(title, ("symbol",), " of its listing", "its API may have changed")
    while True:
        _, page = await line.ask(offer.request(token), offer.parse)
        listed += page.listed
        skipped += page.skipped
        token = page.token
        if progress is not None:
            progress(0.0, f"{title}: {len(listed)} instruments")
        if not token:
            return Listing(tuple(listed), skipped)
        _go_on(page, trail, len(listed) + skipped, title)


def _go_on(page: ListingPage, trail: Trail, read: int, title: str) -> None:
    symbols = [each.symbol for each in page.listed]
    trail.go_on(page.token, pl.DataFrame({"symbol": pl.Series(symbols, dtype=pl.String)}))
    if read > MOST_LISTED:
        raise SourceFailed(f"{title} lists more than {MOST_LISTED:,} instruments; its API may have changed")


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeping a listing did. listed: how many trade there. added: instruments that were not known. changed: names,
    ticks or lots that are others than before. ended: names that lead nowhere any more."""

    listed: int
    added: int
    changed: int
    ended: int


def keep_listing(database: Database, source: str, listing: Listing, now_us: int) -> Kept:
    """Add what trades at a source to the instruments that can be named, and what the source calls them from now on.

    An instrument that is known stays as it is: what this source says of tick and lot stands with its own name for it.
    Only names of this source are changed. Raises SourceFailed, and changes nothing, when fewer than half of what was
    listed before is still there: the answer is then more likely to be damaged than the market to be gone.
    """
    current = {one.symbol: one.instrument for one in listing.listed if one.active}
    instruments = {each.id: instrument_to_row(each, now_us) for each in current.values()}
    names = [
        {
            "source": source,
            "symbol": symbol,
            "instrument": each.id,
            "tick": each.tick,
            "lot": each.lot,
            "minimum_notional": each.minimum_notional,
        }
        for symbol, each in current.items()
    ]
    known = database.read(store.current_names, source)
    still = sum(symbol in current for symbol in known)
    if not current or 2 * still < len(known):
        raise SourceFailed(
            f"{source} lists {len(current)} instruments now, {still} of the {len(known)} that it listed before; "
            "nothing was changed: ask again later, or look at it with `tradewright sources instruments`"
        )
    added, changed, ended = database.write(store.keep, source, list(instruments.values()), names, now_us)
    return Kept(len(current), added, changed, ended)
