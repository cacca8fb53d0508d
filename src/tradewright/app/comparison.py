"""What an ingestion or a stream says once its sources were compared: the verdict is the one that a series then has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.comparing import compare_sources
from tradewright.market.consensus import CODES
from tradewright.market.ingest import IngestReport
from tradewright.market.instruments import Interval
from tradewright.market.judging import SeriesReport
from tradewright.market.verdicts import DataVerdict, Finding
from tradewright.sources.registry import market_of
from tradewright.storage import series

Found = dict[tuple[str, str, str], tuple[Finding, ...]]


def compared(
    catalog: Catalog, owner: Owner, report: IngestReport, instruments: Sequence[str], interval: Interval, now_us: int
) -> tuple[IngestReport, list[dict[str, Any]]]:
    """Compare the sources of instruments of which there are several; return the report with the verdicts after that,
    and what was compared, as `compared_now` says it. Raises StorageFailed."""
    found, told = compared_now(catalog, owner, instruments, interval, now_us)
    return replace(report, series=tuple(_judged_again(each, found) for each in report.series)), told


def compared_now(
    catalog: Catalog, owner: Owner, instruments: Sequence[str], interval: Interval, now_us: int
) -> tuple[Found, list[dict[str, Any]]]:
    """Compare the sources of instruments of which `owner` can read several and mark the owner's series; return the
    findings, and of each instrument that was compared: instrument, sources, findings. Sources whose span meets that of
    no other one are not compared. Raises StorageFailed."""
    rows = catalog.database.read(series.list_series, owner, instruments=instruments, interval=interval.value)
    known = [row for row in rows if row["rows"]]
    sources: dict[str, set[str]] = {}
    for row in known:
        if any(_meets(row, other) for other in known):
            sources.setdefault(row["instrument"], set()).add(row["source"])
    several = sorted(name for name, each in sources.items() if len(each) > 1)
    if not several:
        return {}, []
    found = compare_sources(catalog, owner, now_us, instruments=several, interval=interval, market_of=market_of)
    return found, [
        {"instrument": name, "sources": sorted(sources[name]), "findings": _of_instrument(found, name)}
        for name in several
    ]


def _meets(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["instrument"] != other["instrument"] or one["source"] == other["source"]:
        return False
    return bool(one["first_time"] <= other["last_time"] and other["first_time"] <= one["last_time"])


def _judged_again(series: SeriesReport, found: Found) -> SeriesReport:
    key = (series.source, series.instrument, series.interval)
    if key not in found:
        return series
    of_the_checks = [each for each in series.verdict.findings if each.code not in CODES]
    told = [replace(each, instrument=series.instrument) for each in found[key]]
    return replace(series, verdict=DataVerdict.of([*of_the_checks, *told]))


def _of_instrument(found: Found, name: str) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "code": finding.code,
            "severity": finding.severity.label,
            "detail": finding.detail,
            "count": finding.count,
        }
        for (source, instrument, _), findings in sorted(found.items())
        for finding in findings
        if instrument == name
    ]
