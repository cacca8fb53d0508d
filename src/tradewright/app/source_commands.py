"""What the commands about sources do, and how an ingestion of the command line is begun, kept and gone on with."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec

from tradewright import ids
from tradewright.app import house, ingestion_task
from tradewright.clock import WallClock, format_us
from tradewright.errors import (
    Cancelled,
    Conflict,
    InvalidInput,
    NotFound,
    SourceFailed,
    SourceLimited,
    SourceRefused,
    TradewrightError,
)
from tradewright.ids import SYSTEM, Owner
from tradewright.settings import PREFIX, Settings
from tradewright.storage import audit, ingestions, jobs, outbox, series, third_parties
from tradewright.storage.database import Database, Tx

Progress = Callable[[float, str], None]
LEASE_US = 60_000_000
CHECK_S = 15.0
DAYS_BACK = 10  # of the bars that a check asks for


def listed(settings: Settings) -> list[dict[str, Any]]:
    """Return every source: what it offers, what it needs, whether it answered, and what came from it."""
    from tradewright.sources.elsewhere import hosts_elsewhere
    from tradewright.sources.registry import SOURCES

    seen: dict[str, Any] = {}
    health: dict[str, Any] = {}
    kept: dict[str, int] = {}
    if settings.database_url or (settings.data_folder / "tradewright.db").exists():
        with house.open_database(settings) as database:
            owner = Owner(database.write(house.ensure_organization, WallClock().now_us()))
            seen = database.read(series.sources_seen, owner)
            health = database.read(third_parties.health, owner)
            kept = database.read(third_parties.sources_with_credentials, owner)
    return [
        {
            "source": source.name,
            "title": source.title,
            "offers": list(source.offers),
            "intervals": [] if source.bars is None else [each.value for each in source.bars.intervals],
            "needs": list(source.auth.fields) if source.auth.needed else [],
            "optional": list(source.auth.fields) if source.auth.optional else [],
            "credentials": source.name in kept or _in_environment(source),
            "opt_in": bool(source.opt_in),
            "elsewhere": hosts_elsewhere(source, os.environ),
            "series": int(seen[source.name]["series"]) if source.name in seen else 0,
            "status": health[source.name]["status"] if source.name in health else "",
            "since": format_us(health[source.name]["since"]) if source.name in health else "",
            "said": health[source.name]["said"] if source.name in health else "",
        }
        for source in SOURCES.values()
    ]


def check(settings: Settings, names: Sequence[str], progress: Progress) -> list[dict[str, Any]]:
    """Ask each source (all without names) for something small; return what came of it, one row a source.

    Those without the credentials they need are not asked, and say so. Raises UnknownName.
    """
    from tradewright.sources.registry import SOURCES
    from tradewright.sources.registry import source as find

    chosen = [find(name) for name in names] if names else list(SOURCES.values())
    with house.open_database(settings) as database:
        organization = database.write(house.ensure_organization, WallClock().now_us())
        return asyncio.run(_check_all(settings, database, organization, chosen, bool(names), progress))


async def _check_all(
    settings: Settings, database: Database, organization: str, chosen: Sequence[Any], named: bool, progress: Progress
) -> list[dict[str, Any]]:
    from tradewright.transport.http import HttpTransport

    places = asyncio.Semaphore(8)
    done = 0
    async with HttpTransport() as transport:

        async def one(source: Any) -> dict[str, Any]:
            nonlocal done
            async with places:
                row = await _check(settings, database, organization, source, named, transport)
            done += 1
            progress(done / len(chosen), f"{source.name}: {row['status']}")
            return row

        return list(await asyncio.gather(*(one(source) for source in chosen)))


async def _check(
    settings: Settings, database: Database, organization: str, source: Any, named: bool, transport: Any
) -> dict[str, Any]:
    from tradewright.sources.elsewhere import hosts_elsewhere
    from tradewright.transport.messages import Policy

    credentials = ingestion_task.credentials_of(database, house.open_vault(settings), organization, source)
    row = {"source": source.name, "credentials": bool(credentials), "status": "", "ms": None, "said": ""}
    row["elsewhere"] = hosts_elsewhere(source, os.environ)
    if source.auth.needed and not credentials:
        return {**row, "status": "refused" if named else "not asked", "said": without_credentials(source).message}
    if source.opt_in and not named and source.name not in opted_in():
        return {**row, "status": "not asked", "said": f"off: {source.opt_in}"}
    lane = ingestion_task.lane_to(settings, source, transport, credentials)
    line = ingestion_task.line_to(source, lane, credentials)
    line = replace(line, policy=Policy(deadline_s=CHECK_S, attempt_s=CHECK_S, attempts=2))
    owner = Owner(organization) if credentials else SYSTEM
    began = time.monotonic()
    try:
        said = await _something_small(line)
    except SourceFailed as error:
        database.write(third_parties.note, owner, source.name, error.message, WallClock().now_us())
        status = {SourceLimited: "limited", SourceRefused: "refused"}.get(type(error), "failed")
        return {**row, "status": status, "said": error.message}
    except TradewrightError as error:
        return {**row, "status": "refused", "said": error.message}
    database.write(third_parties.note, owner, source.name, None, WallClock().now_us())
    return {**row, "status": "answers", "ms": round((time.monotonic() - began) * 1e3), "said": said}


async def _something_small(line: Any) -> str:
    from tradewright.market.instruments import Interval
    from tradewright.sources.fetch import bar_pages, fetch_facts

    source, now_us = line.source, WallClock().now_us()
    instrument = source.instrument_of(source.example)
    day_us = Interval.DAY.us
    if source.bars is not None:
        interval = Interval.DAY if Interval.DAY in source.bars.intervals else source.bars.intervals[-1]
        async for page in bar_pages(line, instrument, interval, now_us - DAYS_BACK * day_us, now_us):
            if page.bars.height:
                last = page.bars.row(-1, named=True)
                return f"{instrument.id} closed at {last['close']:g} on {format_us(last['time'])}"
        return f"no bars of {instrument.id} in the last {DAYS_BACK} days"
    facts = await fetch_facts(line, instrument, now_us - 3 * 366 * day_us, now_us)
    return f"{facts.height} facts of {instrument.id} in the last three years"


def keep_credentials(settings: Settings, name: str, given: dict[str, str]) -> dict[str, Any]:
    """Seal and keep the credentials of a source for the organization of this installation.

    Raises UnknownName for a source that is not there or a field that it does not have, InvalidInput for one left out.
    """
    from tradewright.sources import asking
    from tradewright.sources.registry import source as find

    for _, fault in asking.credential_faults(find(name).name, given):
        raise fault
    now_us = WallClock().now_us()
    with house.open_database(settings) as database:
        organization = database.write(house.ensure_organization, now_us)
        vault = house.open_vault(settings)
        key = database.read(third_parties.credentials_id, organization, name)
        sealed = vault.seal(msgspec.json.encode(given), f"source_credentials/{key}")

        def keep(tx: Tx) -> None:
            third_parties.keep_credentials(tx, organization, name, key, sealed, now_us)
            audit.record(tx, organization, "paper", house.OPERATOR, "source.credentials", name, {"kept": True}, now_us)

        database.write(keep)
    return {"source": name, "fields": sorted(given)}


def forget_credentials(settings: Settings, name: str) -> dict[str, Any]:
    """Forget the credentials of a source. Raises NotFound when none are kept."""
    now_us = WallClock().now_us()
    with house.open_database(settings) as database:
        organization = database.write(house.ensure_organization, now_us)

        def forget(tx: Tx) -> bool:
            gone = third_parties.remove_credentials(tx, organization, name)
            if gone:
                audit.record(
                    tx, organization, "paper", house.OPERATOR, "source.credentials", name, {"kept": False}, now_us
                )
            return gone

        if not database.write(forget):
            raise NotFound(f"no credentials of the source {name!r} are kept; `tradewright sources` shows which are")
    return {"source": name, "forgotten": True}


def without_credentials(source: Any) -> SourceRefused:
    """Return the refusal of a source that needs credentials and has none."""
    variables = ", ".join(f"{PREFIX}{source.name.upper()}_{name.upper()}" for name in source.auth.fields)
    return SourceRefused(
        f"{source.title} needs {' and '.join(source.auth.fields)}: {source.auth.where}; then `tradewright sources "
        f"credentials {source.name}`, or set {variables}",
        source=source.name,
    )


def opted_in() -> frozenset[str]:
    """Return the names of the sources that are off by default and that a setting turns on."""
    return frozenset(name.strip() for name in os.environ.get(f"{PREFIX}SOURCES_OPT_IN", "").split(","))


def _in_environment(source: Any) -> bool:
    names = (f"{PREFIX}{source.name.upper()}_{name.upper()}" for name in source.auth.fields)
    return bool(source.auth.fields) and all(os.environ.get(name) for name in names)


def elsewhere() -> dict[str, str]:
    """Return by name the sources that are not asked at their own address, with the hosts that settings name."""
    from tradewright.sources.elsewhere import hosts_elsewhere
    from tradewright.sources.registry import SOURCES

    found = {source.name: hosts_elsewhere(source, os.environ) for source in SOURCES.values()}
    return {name: hosts for name, hosts in found.items() if hosts}


def refuse_when_off(source: Any) -> None:
    """Raise InvalidInput for a source that is off by default unless a setting turns it on."""
    if source.opt_in and source.name not in opted_in():
        raise InvalidInput(
            f"{source.title} is off: {source.opt_in}; name it in {PREFIX}SOURCES_OPT_IN to use it all the same"
        )


def check_request(source: Any, interval: str, start_us: int, end_us: int) -> None:
    """Raise InvalidInput when a source cannot be asked for this."""
    from tradewright.sources.asking import check_span

    refuse_when_off(source)
    check_span(source, interval, start_us, end_us)


# --- an ingestion of the command line ---------------------------------------------------------------------------------


@contextmanager
def begun(
    database: Database, organization: str, environment: str, owner: str, source: str, request: dict[str, Any]
) -> Iterator[str]:
    """Yield the id of an ingestion that this process works on: a new one, or the one that was asked for in the same
    words for the same owner and has not ended, which goes on where it was; until now, where no end was named. It ends
    with the block. Raises Conflict when another process is at it."""
    now_us, worker = WallClock().now_us(), f"{ids.new('wrk')}@{socket.gethostname()}/{os.getpid()}"

    def begin(tx: Tx) -> tuple[str, str]:
        known = _same(tx, organization, environment, owner, source, request)
        if known is not None:
            ingestion, job = known
            if request["end"] is None:
                ingestions.extend(tx, ingestion, request["end_us"])
        else:
            ingestion = ingestions.order(tx, organization, environment, owner, source, request, now_us)
            job = ingestions.job_of(tx, ingestion)
        if _is_gone(jobs.holder(tx, job)):
            jobs.give_back(tx, job)
        if not jobs.claim_one(tx, job, worker, now_us, LEASE_US):
            raise Conflict(
                f"another process works on the same ingestion {ingestion}; wait until it has ended (or a minute, when "
                "it ended by force on another machine)"
            )
        return ingestion, job

    ingestion, job = database.write(begin)

    def end(tx: Tx, status: str, error: dict[str, Any] | None = None) -> None:
        ended_us = WallClock().now_us()
        result = {"ingestion": ingestion} if error is None else None
        if jobs.finish(tx, job, status, ended_us, result=result, error=error):
            outbox.append(tx, organization, environment, [ingestions.finished(tx, {"id": job}, status)], ended_us)

    try:
        yield ingestion
    except (KeyboardInterrupt, Cancelled):
        database.write(jobs.release, worker)
        raise
    except TradewrightError as error:
        database.write(end, "failed", {"code": error.code, "message": error.message})
        raise
    database.write(end, "succeeded")


def _is_gone(worker: str | None) -> bool:
    # a command says on which machine and as which process it works
    host, slash, process = (worker or "").partition("@")[2].rpartition("/")
    if not slash or host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def leased(database: Database, ingestion: str, progress: Progress) -> Progress:
    """Return a progress that renews the lease of the ingestion's job as well."""
    job = database.read(ingestions.job_of, ingestion)

    def tell(fraction: float, message: str) -> None:
        database.write(jobs.report, job, fraction, message, WallClock().now_us() + LEASE_US)
        progress(fraction, message)

    return tell


def _same(
    tx: Tx, organization: str, environment: str, owner: str, source: str, request: dict[str, Any]
) -> tuple[str, str] | None:
    found = ingestions.unfinished(tx, organization, environment, source)
    words = ("instruments", "interval", "start", "end")
    for row in found:
        if row["owner"] == owner and all(row["request"].get(word) == request[word] for word in words):
            return row["id"], row["job"]
    return None
