"""What the checks say about series."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import (
    InstrumentId,
    Rfc3339,
    SeriesInterval,
    SourceName,
    VerdictName,
    moment,
)
from tradewright.ids import Owner
from tradewright.market.verdicts import Verdict
from tradewright.storage import series


class Finding(msgspec.Struct, frozen=True):
    """One thing a check saw. rows: bar times of the first rows concerned."""

    code: str
    severity: str
    detail: str
    count: int
    rows: list[str]


class SeriesVerdict(msgspec.Struct, frozen=True):
    """How far one series can be trusted, and why. interval: `fact` for facts: their rows are periods, first_time
    and last_time the ends of the first and the last."""

    source: str
    instrument: InstrumentId
    interval: SeriesInterval
    owner: Annotated[str, msgspec.Meta(examples=["system"])]
    verdict: VerdictName
    findings: list[Finding]
    rows: int
    first_time: Rfc3339 | None
    last_time: Rfc3339 | None
    pre_adjusted: bool
    close_only: bool
    revised: bool
    data_version: str
    checked_at: Rfc3339 | None


class VerdictQuery(PageQuery, frozen=True, kw_only=True):
    """Which series."""

    instrument: InstrumentId | None = None
    interval: SeriesInterval | None = None
    source: SourceName | None = None
    order: Literal["asc"] = "asc"


async def _list_verdicts(call: Call) -> Page[SeriesVerdict]:
    query: VerdictQuery = call.query
    rows = await call.services.database.read_replica_async(
        series.list_series,
        Owner(call.principal.organization),
        instruments=None if query.instrument is None else [query.instrument],
        interval=query.interval,
        source=query.source,
        after=decode_cursor(call, tuple[str, str, str, str]),
        limit=query.limit + 1,
    )
    keys = [(row["instrument"], row["interval"], row["source"], row["owner"]) for row in rows]
    return page(call, rows, keys, _verdict)


def _verdict(row: dict[str, Any]) -> SeriesVerdict:
    return SeriesVerdict(
        source=row["source"],
        instrument=row["instrument"],
        interval=row["interval"],
        owner=row["owner"],
        verdict=row["verdict"],
        findings=[_finding(f) for f in row["findings"]],
        rows=row["rows"],
        first_time=moment(row["first_time"]),
        last_time=moment(row["last_time"]),
        pre_adjusted=row["pre_adjusted"],
        close_only=row["close_only"],
        revised=row["revised"],
        data_version=row["data_version"],
        checked_at=moment(row["checked_at"]),
    )


def _finding(stored: dict[str, Any]) -> Finding:
    severity = stored["severity"]
    label = Verdict(severity).label if isinstance(severity, int) else severity
    rows = [moment(time) or "" for time in stored["rows"]]
    return Finding(stored["code"], label, stored["detail"], stored["count"], rows)


OPERATIONS = [
    Operation(
        "GET", "/v1/verdicts", "list_verdicts", "What the checks say about each series", "market data", "market:read",
        _list_verdicts, Page[SeriesVerdict], VerdictQuery, cacheable=True,
        description="How far each series can be trusted, with the findings that say why.",
    ),
]  # fmt: skip
