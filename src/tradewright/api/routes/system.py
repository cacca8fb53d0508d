"""Health, status, the document and its page."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from tradewright.api import reference
from tradewright.api.operations import KNOWN, PUBLIC, Call, Operation, Raw
from tradewright.api.problems import Refused
from tradewright.api.wire import Feed, Rfc3339, feed_at, session_of
from tradewright.clock import format_us, parse_us
from tradewright.errors import StorageFailed
from tradewright.storage import house
from tradewright.storage.jobs import at_work

_WAITS_US = 60_000_000  # for so long jobs wait where somebody works, when others are in front of them
_DATABASE_S = 1.0  # within which a database that can be worked with says so
_WHY = "coinbase is degraded since 2024-03-28T20:00:00Z: connected, but no trade for 31 s"


class Health(msgspec.Struct, frozen=True):
    """Whether the process is there."""

    status: str


class FeedState(Feed, frozen=True):
    """The feed in full. reason: what is wrong and since when, of one that is degraded or stale. late_bars: how many
    bars came after their row had closed without them; they stand in the catalog, and nothing was decided on them."""

    reason: Annotated[str, msgspec.Meta(examples=[_WHY])] | None
    late_bars: Annotated[int, msgspec.Meta(ge=0, examples=[0])]


class JobsState(msgspec.Struct, frozen=True):
    """The jobs of this environment that have not ended. queued_since: when the oldest that waits was made."""

    queued: Annotated[int, msgspec.Meta(ge=0, examples=[0])]
    running: Annotated[int, msgspec.Meta(ge=0, examples=[1])]
    queued_since: Rfc3339 | None


class Status(msgspec.Struct, frozen=True):
    """How far this installation is. ready: requests are answered. phase: starting, preparing, running, failed.
    progress: 0..1 of the phase. message: what it does, or what is wrong: with the feed, or that jobs wait and nobody
    works on them. environment: null for a session that names none; there are no feed and no jobs then."""

    ready: bool
    phase: str
    progress: float
    message: str
    error: str
    version: str
    environment: str | None
    feed: FeedState | None
    jobs: JobsState | None


class Root(msgspec.Struct, frozen=True):
    """What this is and where to go on; the links are paths of this host."""

    name: str
    version: str
    docs: str
    openapi: str
    status: str


async def _root(call: Call) -> Root:
    return Root("Tradewright", call.services.version, "/docs", "/openapi.json", "/v1/status")


async def _livez(call: Call) -> Health:
    return Health("ok")


async def _readyz(call: Call) -> Health:
    now = call.services.progress.now()
    if not now.ready:
        raise _not_ready(f"{now.phase}: {now.message or 'not ready yet'}")
    try:
        async with asyncio.timeout(_DATABASE_S):
            writable = await call.services.database.read_short_async(house.takes_changes)
    except (StorageFailed, TimeoutError) as error:
        raise _not_ready("the database does not answer; try again after the seconds in Retry-After.") from error
    if not writable:
        raise _not_ready("the database is read-only: reads are answered, changes are not.")
    return Health("ok")


def _not_ready(why: str) -> Refused:
    return Refused("not_ready", why, headers={"Retry-After": "2"})


async def _status(call: Call) -> Status:
    now, feed, jobs = call.services.progress.now(), await _feed_state(call), await _jobs_state(call)
    wrong = (feed.reason if feed is not None else None) or _idle(jobs, call.services.clock.now_us())
    return Status(
        ready=now.ready,
        phase=now.phase,
        progress=round(now.progress, 4),
        message=(wrong if now.phase == "running" else None) or now.message,
        error=now.error,
        version=call.services.version,
        environment=call.principal.environment or None,
        feed=feed,
        jobs=jobs,
    )


async def _jobs_state(call: Call) -> JobsState | None:
    if not call.principal.environment:
        return None
    found = await call.services.database.read_short_async(at_work, *call.tenant)
    (queued, oldest), (running, _) = (found.get(status, (0, None)) for status in ("queued", "running"))
    return JobsState(queued, running, None if oldest is None else format_us(oldest))


def _idle(jobs: JobsState | None, now_us: int) -> str | None:
    if jobs is None or jobs.running or jobs.queued_since is None or now_us - parse_us(jobs.queued_since) < _WAITS_US:
        return None
    return f"jobs wait since {jobs.queued_since} and none is running; see that `tradewright worker` runs"


async def _feed_state(call: Call) -> FeedState | None:
    row = await session_of(call)
    if row is None:
        return None
    feed = feed_at(row, call.services.clock.now_us())
    reason = row["reason"] if feed.status == "degraded" else None
    if feed.status == "stale":
        since = format_us(row["start_time"] if row["market_time"] is None else row["market_time"])
        reason = f"no row has closed since {since}; one is due every {row['interval']} while there is trade"
    return FeedState(feed.mode, feed.status, feed.time, feed.age_s, reason, row["late_bars"])


async def _openapi(call: Call) -> Raw:
    return Raw(call.services.documents.openapi, "application/json")


async def _docs(call: Call) -> Raw:
    return Raw(call.services.documents.reference, "text/html; charset=utf-8", headers=_PAGE_HEADERS)


async def _errors(call: Call) -> Raw:
    return Raw(reference.errors_page().encode(), "text/html; charset=utf-8", headers=_PAGE_HEADERS)


_PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


OPERATIONS = [
    Operation("GET", "/", "get_root", "What this is and where to go on", "system", PUBLIC, _root, Root),
    Operation("GET", "/livez", "get_liveness", "Is the process there", "system", PUBLIC, _livez, Health, cost=0),
    Operation(
        "GET", "/readyz", "get_readiness", "Can it answer everything", "system", PUBLIC, _readyz, Health,
        errors=("not_ready",), cost=0,
    ),
    Operation("GET", "/openapi.json", "get_openapi", "This API as OpenAPI 3.1", "system", PUBLIC, _openapi, dict),
    Operation("GET", "/docs", "get_reference", "This page", "system", PUBLIC, _docs, media_types=("text/html",)),
    Operation(
        "GET", "/docs/errors", "get_error_codes", "Error codes", "system", PUBLIC, _errors, media_types=("text/html",)
    ),
    Operation(
        "GET", "/v1/status", "get_status", "Preparation, feed and version", "system", KNOWN, _status, Status
    ),
]  # fmt: skip
