"""Sources of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from tradewright.api import encoded
from tradewright.api.operations import Call, Operation, Raw
from tradewright.api.problems import Refused
from tradewright.api.wire import IntervalName, Rfc3339, moment
from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.sources import asking
from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Source as Module
from tradewright.storage import series, third_parties
from tradewright.storage.database import Tx

SourceName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["binance"])]


class Limit(msgspec.Struct, frozen=True):
    """At most so many units of weight within so many seconds."""

    units: Annotated[int, msgspec.Meta(examples=[6000])]
    window_s: Annotated[float, msgspec.Meta(examples=[60.0])]


class Declared(msgspec.Struct, frozen=True):
    """What the module of a source says about it. offers: which of bars, facts, actions, quotes, listing and stream it
    has. credentials: names of what it takes, none for a keyless source; optional: it also answers without them.
    limits: as documented by the source. lag_s: from the end of a bar until anyone can have it. adjusted_intervals:
    those whose prices the source adjusts; the others have raw ones. revised: its history changes. opt_in: why it is off
    unless a setting names it."""

    title: Annotated[str, msgspec.Meta(examples=["Binance spot"])]
    offers: list[str]
    kinds: list[str]
    intervals: list[IntervalName]
    credentials: list[str]
    optional: bool
    limits: list[Limit]
    licence: str
    base_url: str
    lag_s: float
    adjusted_intervals: list[IntervalName]
    revised: bool
    opt_in: str
    notes: list[str]


class SourceHealth(msgspec.Struct, frozen=True):
    """Whether it answered when it was last asked: with the organization's credentials, else by anybody without. said:
    what was wrong, empty when nothing was. since: when that began."""

    status: Literal["answers", "degraded"]
    since: Rfc3339
    asked_at: Rfc3339
    said: Annotated[str, msgspec.Meta(examples=["Binance did not answer within 30 s"])]


class KeptCredentials(msgspec.Struct, frozen=True):
    """Credentials that are kept, sealed. kept_at: when they were handed in; what they are is in no answer."""

    kept_at: Rfc3339


class Source(msgspec.Struct, frozen=True):
    """A third party. declared: null for data that came as a file, and for venues of ccxt. series: how many the caller
    sees. last_time: of the newest bar, or the end of the newest period of a fact; age_s: seconds since then.
    checked_at: when any of it was last taken in. credentials: what the organization keeps of those that are declared,
    null when it keeps none. health: null before it was asked. elsewhere: the host that a setting of the server names in
    the place of the source's own address (`declared.base_url`), null where it is asked at its own; what came from there
    has the finding `other_address`."""

    name: SourceName
    declared: Declared | None
    series: int
    last_time: Rfc3339 | None
    age_s: Annotated[float, msgspec.Meta(ge=0, examples=[3.2])] | None
    checked_at: Rfc3339 | None
    credentials: KeptCredentials | None
    health: SourceHealth | None
    elsewhere: Annotated[str, msgspec.Meta(examples=["api.binance.us"])] | None


class Sources(msgspec.Struct, frozen=True):
    """Every source by name."""

    data: list[Source]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of sources besides their modules, each by name."""

    seen: dict[str, dict[str, Any]]
    health: dict[str, dict[str, Any]]
    kept: dict[str, int]
    elsewhere: Mapping[str, str]

    @property
    def names(self) -> set[str]:
        return {*SOURCES, *self.seen, *self.health, *self.kept}


async def _known(call: Call) -> _Known:
    owner = Owner(call.principal.organization)

    def read(tx: Tx) -> _Known:
        kept = third_parties.sources_with_credentials(tx, owner)
        return _Known(
            series.sources_seen(tx, owner), third_parties.health(tx, owner), kept, call.services.rules.elsewhere
        )

    return await call.services.database.read_replica_async(read)


async def _list(call: Call) -> Raw:
    known, now_us = await _known(call), call.services.clock.now_us()
    made = [_source(name, known) for name in sorted(known.names)]
    return encoded.aged(Sources([_aged(source, known, now_us) for source in made]), Sources(made))


async def _get(call: Call) -> Raw:
    name, known = call.path["name"], await _known(call)
    if name not in known.names and not asking.exists(name):
        raise no_source(name)
    made = _source(name, known)
    return encoded.aged(_aged(made, known, call.services.clock.now_us()), made)


def no_source(name: str) -> Refused:
    """Return the refusal of a name that is none."""
    return Refused("not_found", f"there is no source {name!r} here; GET /v1/sources lists them")


def _source(name: str, known: _Known) -> Source:
    module, seen, health = SOURCES.get(name), known.seen.get(name), known.health.get(name)
    return Source(
        name=name,
        declared=None if module is None else _declared(module),
        series=0 if seen is None else int(seen["series"]),
        last_time=None if seen is None else moment(seen["last_time"]),
        age_s=None,
        checked_at=None if seen is None else moment(seen["checked_at"]),
        credentials=KeptCredentials(format_us(known.kept[name])) if name in known.kept else None,
        health=None if health is None else _health(health),
        elsewhere=known.elsewhere.get(name),
    )


def _aged(source: Source, known: _Known, now_us: int) -> Source:
    newest_us = known.seen.get(source.name, {}).get("last_time")
    if newest_us is None:
        return source
    return msgspec.structs.replace(source, age_s=round(max(0.0, (now_us - newest_us) / 1e6), 3))


def _health(row: dict[str, Any]) -> SourceHealth:
    return SourceHealth(row["status"], format_us(row["since"]), format_us(row["asked_at"]), row["said"])


def _declared(module: Module) -> Declared:
    bars = module.bars
    return Declared(
        title=module.title,
        offers=list(module.offers),
        kinds=[kind.value for kind in module.kinds],
        intervals=[] if bars is None else [interval.value for interval in bars.intervals],
        credentials=list(module.auth.fields),
        optional=bool(module.auth.fields) and module.auth.optional,
        limits=[Limit(limit.units, limit.window_s) for limit in module.limits],
        licence=module.licence,
        base_url=module.base_url,
        lag_s=0.0 if bars is None else bars.lag_us / 1e6,
        adjusted_intervals=[] if bars is None else [each.value for each in bars.intervals if bars.adjusts(each)],
        revised=bars is not None and bars.revised,
        opt_in=module.opt_in,
        notes=list(module.notes),
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/sources", "list_sources", "Sources of data", "sources", "sources:read", _list, Sources,
        cacheable=True,
        description="What each third party offers, its limits and lag, whether it answers, and what came from it. The "
        "ETag does not change with the age of the newest bar alone.",
    ),
    Operation(
        "GET", "/v1/sources/{name}", "get_source", "One source", "sources", "sources:read", _get, Source,
        cacheable=True, errors=("not_found",),
        description="What it offers, whether it answers, and what came from it. `ccxt_<venue>` is a source too.",
    ),
]  # fmt: skip
