"""Comparing the stored sources of an instrument, and what that says written into the verdicts of their series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.consensus import CODES, consensus
from tradewright.market.instruments import FACT, Instrument, Interval, Kind
from tradewright.market.records import finding_from_json, finding_to_json
from tradewright.market.verdicts import DataVerdict, Finding
from tradewright.storage import series as store
from tradewright.storage.database import Tx


def compare_sources(
    catalog: Catalog,
    owner: Owner,
    now_us: int,
    *,
    instruments: Sequence[str] | None = None,
    interval: Interval | None = None,
    market_of: Callable[[str, Kind], str] = lambda source, kind: source,
) -> dict[tuple[str, str, str], tuple[Finding, ...]]:
    """Compare the sources of each instrument that `owner` can read and write the findings into the verdicts of the
    series that are the owner's; return the findings by (source, instrument, interval).

    market_of: from a source and a kind of instrument to whose prices those are. Findings of an earlier comparison are
    replaced, those of the checks stay; a series that is checked again keeps those of the last comparison. Another
    verdict than before is told as an event. Raises StorageFailed.
    """
    step = None if interval is None else interval.value
    rows = catalog.database.read(store.list_series, owner, instruments=instruments, interval=step)
    groups: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["owner"] == owner):  # of one source the owner's series counts
        if row["rows"] and row["interval"] != FACT:
            groups.setdefault((row["instrument"], row["interval"]), {})[row["source"]] = row
    found: dict[tuple[str, str, str], tuple[Finding, ...]] = {}
    for (instrument, name), by_source in sorted(groups.items()):
        frames = {source: catalog.read(owner, source, [instrument], name) for source in by_source}
        markets = {source: market_of(source, Instrument(instrument).kind) for source in frames}
        for source, findings in consensus(frames, Interval.parse(name), markets).items():
            key = (source, instrument, name)
            found[key] = findings
            if by_source[source]["owner"] == owner:
                catalog.database.write(_write_down, owner, key, findings, now_us)
    return found


def _write_down(
    tx: Tx,
    owner: Owner,
    key: tuple[str, str, str],
    findings: Sequence[Finding],
    now_us: int,
) -> None:
    row = store.get_series(tx, owner, *key, lock=True)  # an ingestion may be writing down its bars
    if row is None or kept(row) == list(findings):
        return
    of_the_checks = [f for stored in row["findings"] if (f := finding_from_json(stored)).code not in CODES]
    verdict = DataVerdict.of([*of_the_checks, *(replace(f, instrument=key[1]) for f in findings)])
    told = [finding_to_json(finding) for finding in verdict.findings]
    store.save_series(tx, row | {"verdict": verdict.verdict.label, "findings": told, "checked_at": now_us})


def kept(row: Mapping[str, Any] | None) -> list[Finding]:
    """Return the findings of the last comparison in a row of table `series`, which a new check of it keeps."""
    stored = [] if row is None else row["findings"]
    return [finding_from_json(each) for each in stored if each["code"] in CODES]
