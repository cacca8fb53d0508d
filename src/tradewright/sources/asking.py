"""What a source may be asked for, and with which credentials: looked at before anything is stored or sent.

A fault is a pair: the value that is wrong (`source`, `instruments/2`, a credential's name, "" for the whole) and the
error that says why. No error holds a secret.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tradewright.clock import format_us
from tradewright.errors import InvalidInput, TradewrightError, UnknownName
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources import long_tail, registry, symbols
from tradewright.sources.fetch import checked
from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Source

Fault = tuple[str, TradewrightError]
MOST_BARS = 50_000_000
"""Of one ingestion, all instruments together: more is asked for in parts."""
MAX_UNFINISHED = 20
"""How many ingestions of an organization may wait or run, over all its environments."""
_VENUE = re.compile("[a-z0-9]{2,32}")


def exists(name: str) -> bool:
    """Return whether there is a source of that name; of ccxt's venues without reading the library in, which is large:
    whether it has a module of that name."""
    if name in SOURCES:
        return True
    venue = name.removeprefix(long_tail.PREFIX)
    if venue == name or not _VENUE.fullmatch(venue):
        return False
    library = importlib.util.find_spec("ccxt")
    folders = [] if library is None else library.submodule_search_locations or []
    return any((Path(folder) / "async_support" / f"{venue}.py").is_file() for folder in folders)


def unknown(name: str) -> UnknownName:
    """Return the error for a name that no source has."""
    if name.startswith(long_tail.PREFIX) and importlib.util.find_spec("ccxt") is None:
        return UnknownName(f"there is no source named {name!r} here: it needs the library ccxt", name=name)
    return registry.unknown(name)


def credential_faults(name: str, given: Mapping[str, str]) -> list[Fault]:
    """Return what is wrong with the credentials of a source that exists. Those of ccxt take none."""
    source = SOURCES.get(name)
    fields = () if source is None else source.auth.fields
    title = name if source is None else source.title
    if not fields:
        return [("", InvalidInput(f"{title} needs no credentials"))]
    faults: list[Fault] = []
    for field, value in given.items():
        if field not in fields:
            faults.append((field, UnknownName.of(f"credential of {name}", field, fields)))
        elif not value.strip() or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            text = f"the credential {field} is empty or holds control characters; copy it again"
            faults.append((field, InvalidInput(text)))
    missing = [field for field in fields if field not in given]
    if missing:
        faults.append(("", InvalidInput(f"{title} also needs {', '.join(missing)}")))
    return faults


def request_faults(name: str, instruments: Sequence[str], interval: str) -> tuple[list[str], list[Fault]]:
    """Return the ids of the instruments, and everything that is wrong with what is asked for, whatever the span.

    A venue of ccxt is asked which intervals and pairs it has when the request runs, not here.
    """
    if not exists(name):
        return [], [("source", unknown(name))]
    source = SOURCES.get(name)
    ids, faults = _ids(_coins_of(name) if source is None else source.instrument_of, instruments)
    if source is not None:
        faults += _part_faults(source, interval)
    return ids, faults


def listing_faults(name: str) -> list[Fault]:
    """Return why the instruments that a source lists cannot be added to those that everybody can name."""
    if not exists(name):
        return [("source", unknown(name))]
    source = SOURCES.get(name)
    if source is None or source.listing is None:
        offers = "bars" if source is None else ", ".join(source.offers)
        text = f"{name if source is None else source.title} has no listing; it has {offers}"
        return [("source", InvalidInput(text))]
    if source.auth.needed:
        text = (
            f"{source.title} lists for those with credentials, and what they fetch is theirs alone, while instruments "
            "are everybody's; each is added when bars of it come in"
        )
        return [("source", InvalidInput(text))]
    return []


def span_faults(name: str, begins: Collection[int], interval: str, end_us: int) -> list[Fault]:
    """Return what is wrong with the spans of a request. begins: the first moment of each instrument."""
    faults: list[Fault] = []
    if begins and max(begins) > end_us:
        faults.append(("start", InvalidInput("must not lie after end, which is now where it is left out")))
    source = SOURCES.get(name)
    if source is None or source.bars is not None:
        bars = sum((end_us - begin_us) // Interval.parse(interval).us for begin_us in begins)
        if bars > MOST_BARS:
            text = f"at most {MOST_BARS:,} bars at a time, of all instruments together; this is {bars:,}: ask in parts"
            faults.append(("start", InvalidInput(text)))
    return faults


def _ids(instrument_of: Callable[[str], Instrument], instruments: Sequence[str]) -> tuple[list[str], list[Fault]]:
    ids: list[str] = []
    faults: list[Fault] = []
    for place, text in enumerate(instruments):
        try:
            known = instrument_of(text).id
        except InvalidInput as error:
            faults.append((f"instruments/{place}", error))
            continue
        if known in ids:
            faults.append((f"instruments/{place}", InvalidInput(f"{known} is named before; name each instrument once")))
        ids.append(known)
    return ids, faults


def _coins_of(name: str) -> Callable[[str], Instrument]:
    return lambda text: symbols.coins(text, name, long_tail.EXAMPLE)


def _part_faults(source: Source, interval: str) -> list[Fault]:
    if source.bars is None and source.facts is None:
        return [
            ("source", InvalidInput(f"{source.title} has neither bars nor facts; it has {', '.join(source.offers)}"))
        ]
    if source.bars is not None and Interval.parse(interval) not in source.bars.intervals:
        text = f"{source.title} has no bars of {interval}; it has {', '.join(source.bars.intervals)}"
        return [("interval", InvalidInput(text))]
    return []


def check_span(source: Source, interval: str, start_us: int, end_us: int) -> None:
    """Raise InvalidInput when a source cannot be asked for this span."""
    if source.bars is not None or source.facts is None:
        checked(source, interval, start_us, end_us)
    elif start_us > end_us:
        raise InvalidInput(f"the start {format_us(start_us)} lies after the end {format_us(end_us)}; swap them")
