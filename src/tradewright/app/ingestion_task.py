"""An ingestion as a job: from a stored request to bars in the catalog. It can stop anywhere and be begun again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tradewright.app import house
from tradewright.app.house import settings_from
from tradewright.clock import WallClock, format_us
from tradewright.errors import InvalidInput, SourceFailed, UnknownName
from tradewright.ids import SYSTEM, Owner
from tradewright.market.instruments import Instrument, Interval
from tradewright.settings import PREFIX, Settings
from tradewright.storage import ingestions, third_parties
from tradewright.storage.database import Database
from tradewright.storage.vault import Vault

Report = Callable[[float, str], None]
Work = Callable[[Any, Report], Awaitable[Any]]
"""Asks a source over a line, telling how far it is."""
Ask = Callable[[Work], Any]
Credentials = Callable[[Database, Vault | None, str, Any], dict[str, str]]
"""From database, vault, organization and source to the credentials to ask with."""
WAIT_S = 15.0  # at most between two words about how far it is
PATIENCE_S = 3_700.0  # within the limits of a source; a job is cancelled between two requests


def run_ingestion(payload: dict[str, Any], report: Report) -> dict[str, Any]:
    """Run the ingestion that `payload` names: settings, organization, environment, ingestion. Only credentials that
    this organization keeps are used: those in the environment are the operator's."""
    settings = settings_from(payload["settings"])
    whose = (payload["organization"], payload["environment"], payload["ingestion"])
    with house.open_database(settings, payload["organization"]) as database:
        return ingest(settings, database, *whose, report, credentials_kept)


def ingest(
    settings: Settings,
    database: Database,
    organization: str,
    environment: str,
    ingestion: str,
    report: Report,
    credentials_for: Credentials,
) -> dict[str, Any]:
    """Fetch what an ingestion asks for, from where it had come to; store and return its report.

    credentials_for: asked unless the owner is `system`, which never has any. Raises what the source and the catalog
    raise; what came before is stored, and so is how far it came.
    """
    from tradewright.sources.elsewhere import other_host
    from tradewright.sources.registry import source as find

    row = database.read(ingestions.get, organization, environment, ingestion)
    assert row is not None, "a job names an ingestion that is not there"
    source, owner, clock = find(row["source"]), Owner(row["owner"]), WallClock()
    credentials = {} if owner == SYSTEM else credentials_for(database, house.open_vault(settings), organization, source)
    work = _listing if row["request"].get("kind") == "instruments" else _data
    try:
        result = work(settings, database, source, row, partial(_asked, settings, source, credentials, report))
    except SourceFailed as error:
        if credentials or not source.auth.needed:  # else nobody asked it anything
            database.write(third_parties.note, owner, source.name, error.message, clock.now_us(), environment)
        raise
    database.write(third_parties.note, owner, source.name, None, clock.now_us(), environment)
    result["elsewhere"] = other_host(source.base_url, os.environ.get(source.base_url_variable))
    database.write(ingestions.save_report, ingestion, result)
    if result.get("unknown"):
        raise _unknown(source, row["request"]["instruments"], result["unknown"])
    return result


def _unknown(source: Any, asked: Sequence[str], said: Mapping[str, str]) -> UnknownName:
    if len(asked) == 1:
        return UnknownName(next(iter(said.values())), names=tuple(said))
    rest = "none was brought in" if len(said) == len(asked) else "the others were brought in"
    return UnknownName(
        f"{len(said)} of {len(asked)} instruments are unknown to {source.title}: {', '.join(said)}; {rest}; ask again "
        f"without them, or by the names it has: {next(iter(said.values()))}",
        names=tuple(said),
    )


def _asked(settings: Settings, source: Any, credentials: Mapping[str, str], report: Report, work: Work) -> Any:
    # runs what asks the source, with a line to it and somebody to tell how far it is
    from tradewright.transport.http import HttpTransport

    told = {"fraction": 0.0}

    def progress(fraction: float, message: str) -> None:
        told["fraction"] = fraction
        report(fraction, message)

    async def wait(seconds: float) -> None:  # the lease of the job is renewed, and a wish to stop is heard
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            report(told["fraction"], f"waiting {left:.0f} s for {source.title}")
            await asyncio.sleep(min(left, WAIT_S))

    async def run() -> Any:
        async with HttpTransport(sleep=wait) as transport:
            lane = lane_to(settings, source, transport, credentials, wait)
            line = replace(line_to(source, lane, credentials, PATIENCE_S), wait=wait)
            return await work(line, progress)

    return asyncio.run(run())


def _listing(settings: Settings, database: Database, source: Any, row: dict[str, Any], asked: Ask) -> dict[str, Any]:
    from tradewright.sources.listings import fetch_listing, keep_listing

    found = asked(fetch_listing)
    kept = keep_listing(database, source.name, found, WallClock().now_us())
    return {**asdict(kept), "skipped": found.skipped, "stored": kept.added}


def _data(settings: Settings, database: Database, source: Any, row: dict[str, Any], asked: Ask) -> dict[str, Any]:
    from tradewright.app.comparison import compared
    from tradewright.market.dated import actions_of, facts_of
    from tradewright.sources.backfill import Filled, Plan, Stores, backfill, backfill_facts

    request, ingestion, clock = row["request"], row["id"], WallClock()
    plan = Plan(
        Owner(row["owner"]),
        tuple(source.instrument_of(name) for name in request["instruments"]),
        Interval.parse(request["interval"]),
        request["start_us"],
        request["end_us"],
        ingestion,
        _within_reach(request.get("begins", {}), source.bars, request, clock.now_us()),
    )
    stores = Stores(house.open_catalog(settings, database), actions_of(settings.data_folder))

    def keep(instrument: str, reached_us: int) -> None:
        database.write(ingestions.mark, ingestion, instrument, reached_us)

    async def fill(line: Any, progress: Report) -> Any:
        if source.bars is None:
            facts = facts_of(settings.data_folder)
            return await backfill_facts(line, plan, database, facts, clock.now_us, row["marks"], keep, progress)
        return await backfill(line, plan, stores, clock.now_us, row["marks"], keep, progress)

    filled: Filled = asked(fill)
    report, told = filled.report, None
    if source.bars is not None:
        names = [instrument.id for instrument in plan.instruments]
        report, told = compared(stores.catalog, plan.owner, report, names, plan.interval, clock.now_us())
    done: dict[str, Any] = {**report_of(report), "unknown": dict(filled.unknown)}
    if (outside := filled.outside) is not None:
        first, last = format_us(outside.first_us), format_us(outside.last_us)
        done["outside"] = {"rows": outside.rows, "first": first, "last": last}
    if told is None:
        return done
    done |= {"pages": filled.pages, "mended": filled.mended, "refused": filled.refused}
    done |= {"actions": filled.actions, "actions_taken_back": filled.taken_back, "actions_missing": filled.missing}
    return {**done, "compared": told}


def _within_reach(begins: Mapping[str, int], bars: Any, request: Mapping[str, Any], now_us: int) -> dict[str, int]:
    # what a source still had when it was asked for may be gone by the time that it is fetched
    if bars is None:
        return dict(begins)
    interval = Interval.parse(request["interval"])
    oldest = {name: bars.oldest_us(interval, now_us, Instrument(name).kind) for name in begins}
    return {name: min(max(begin_us, oldest[name]), request["end_us"]) for name, begin_us in begins.items()}


def line_to(source: Any, lane: Any, credentials: Mapping[str, str], patience_s: float = 0.0) -> Any:
    """Return the line to a source as the environment says: another address, a folder to record into."""
    from tradewright.sources.fetch import Line
    from tradewright.transport.messages import Policy
    from tradewright.transport.recording import Recorder

    record = os.environ.get("TRADEWRIGHT_RECORD", "")
    return Line(
        source,
        lane,
        credentials,
        os.environ.get(source.base_url_variable),
        Policy(patience_s=patience_s),
        recorder=Recorder(Path(record), source.name) if record else None,
    )


def lane_to(
    settings: Settings,
    source: Any,
    transport: Any,
    credentials: Mapping[str, str],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Any:
    """Return the lane to a source, which keeps its limits: the long ones for all processes of a data folder together,
    by what it is asked with."""
    from tradewright.transport.lane import Lane
    from tradewright.transport.quota import REMEMBERED_S, Quota

    limits = limits_of(source)
    long = tuple(limit for limit in limits if limit.window_s >= REMEMBERED_S)
    short = tuple(limit for limit in limits if limit not in long)
    who = hashlib.sha256(msgspec.json.encode(credentials, order="sorted")).hexdigest()[:16] if credentials else "nobody"
    path = settings.data_folder / "quotas" / f"{source.name}-{who}.json"
    return Lane(transport, source.title, short, sleep=sleep, quota=Quota(path, long) if long else None)


def limits_of(source: Any) -> Any:
    """Return the limits of a source: those of TRADEWRIGHT_<SOURCE>_LIMITS, such as `300/60,1000/86400`, or its own.

    Raises InvalidInput for what cannot be read.
    """
    from tradewright.transport.pace import Limit

    variable = f"{PREFIX}{source.name.upper()}_LIMITS"
    text = os.environ.get(variable, "")
    if not text:
        return source.limits
    try:
        made = tuple(
            Limit(int(units), float(window)) for units, window in (each.split("/") for each in text.split(","))
        )
        if any(limit.units <= 0 or limit.window_s <= 0 for limit in made):
            raise ValueError
    except ValueError:
        raise InvalidInput(f"{variable} must be units/seconds between commas, such as 300/60; got {text!r}") from None
    return made


def credentials_of(database: Database, vault: Vault | None, organization: str, source: Any) -> dict[str, str]:
    """Return the credentials of whoever is at the command line: from the environment, else those that the organization
    keeps, else none."""
    given = {name: os.environ.get(f"{PREFIX}{source.name.upper()}_{name.upper()}", "") for name in source.auth.fields}
    if given and all(given.values()):
        return given
    return credentials_kept(database, vault, organization, source)


def credentials_kept(database: Database, vault: Vault | None, organization: str, source: Any) -> dict[str, str]:
    """Return the credentials for a source that the organization keeps, else none."""
    kept = database.read(third_parties.credentials, organization, source.name)
    if kept is None or vault is None:
        return {}
    key, sealed = kept
    opened: dict[str, str] = msgspec.json.decode(vault.open(sealed, f"source_credentials/{key}"))
    return opened


def report_of(report: Any) -> dict[str, Any]:
    """Return a report of the market floor as it is stored and shown."""
    findings = [
        {
            "severity": finding.severity.label,
            "instrument": finding.instrument,
            "code": finding.code,
            "detail": finding.detail,
            "count": finding.count,
        }
        for finding in report.verdict.findings
    ]
    return {
        "rows_read": report.rows_read,
        "accepted": report.accepted,
        "rejected": report.rejected,
        "duplicates": report.duplicates,
        "stored": report.stored,
        "revised": report.revised,
        "verdict": report.verdict.verdict.label,
        "findings": findings,
    }
