"""What a series holds once bars came in: its verdict, written down beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from tradewright.market.action_intake import rewritten_actions
from tradewright.market.actions import actions_of_column
from tradewright.market.arrays import Action
from tradewright.market.arrival import Arrival
from tradewright.market.checks import series_findings
from tradewright.market.checks.sifting import Sifted, rejection_findings
from tradewright.market.checks.thresholds import ROWS_KEPT
from tradewright.market.comparing import kept
from tradewright.market.frames import VALUES, resolve
from tradewright.market.instruments import Instrument
from tradewright.market.provenance import NOTHING_SAID, Said, address_findings, release_findings, said_findings
from tradewright.market.records import finding_from_json, finding_to_json
from tradewright.market.rewriting import rewriting_findings
from tradewright.market.span import Asked, span_findings
from tradewright.market.verdicts import DataVerdict, Finding
from tradewright.storage import quarantine
from tradewright.storage import series as store

INPUT_CODES = frozenset({"duplicate_rows", "unordered_rows"})
"""Of findings about the rows as they came, which cannot be computed from what is stored."""


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What an ingestion did to one series. rows: how many bars the series has now."""

    source: str
    instrument: str
    interval: str
    rows: int
    verdict: DataVerdict


def conclude(
    arrival: Arrival,
    instrument: Instrument,
    result: Sifted | None,
    found: list[Finding],
    grew: bool,
    asked: Asked | None = None,
    said: Said = NOTHING_SAID,
) -> SeriesReport:
    """Write down what a series holds now, with its verdict, and return it.

    result: what came of it in one frame, None for nothing. found: findings about the rows as they came. grew: the
    series holds more than that frame. asked: the span that was asked for, when the source has answered. said: what
    was learned of the series beside its rows. Raises StorageFailed.
    """
    key = (arrival.source, instrument.id, arrival.interval.value)
    rejected = arrival.database.read(store.count_quarantine, arrival.owner, *key)
    released = arrival.database.read(quarantine.of_status, arrival.owner, *key, quarantine.RELEASED)
    actions = _actions(arrival, instrument)
    if grew or result is None:
        stored = arrival.catalog.history(arrival.owner, arrival.source, [instrument.id], arrival.interval)
    else:
        stored = result.accepted
    whole = resolve(stored)
    found += rejection_findings(rejected, whole.height + sum(rejected.values()), instrument.id)
    found += release_findings(released, whole, instrument.id)
    flags = {"close_only": arrival.close_only, "pre_adjusted": arrival.pre_adjusted}
    found += series_findings(whole, instrument, arrival.interval, **flags, actions=actions)
    found += rewriting_findings(stored, instrument.id, pre_adjusted=arrival.pre_adjusted)
    found += [replace(finding, instrument=instrument.id) for finding in arrival.known]
    row = arrival.database.read(store.get_series, arrival.owner, *key)
    found += kept(row)
    found += address_findings(arrival.elsewhere, instrument.id, row)
    found += said_findings(said, instrument.id, row, arrival.pre_adjusted)
    if not arrival.pre_adjusted:
        told = arrival.catalog.actions.vintages(arrival.owner, arrival.source, [instrument.id])
        found += rewritten_actions(told, instrument.id)
    found += _span_findings(arrival, instrument, whole, asked, row)
    verdict = DataVerdict.of(found)
    arrival.database.write(store.save_series, _series_row(arrival, instrument.id, whole, verdict))
    return SeriesReport(*key, rows=whole.height, verdict=verdict)


def _span_findings(
    arrival: Arrival, instrument: Instrument, whole: pl.DataFrame, asked: Asked | None, row: Mapping[str, Any] | None
) -> list[Finding]:
    if not whole.height:
        return []
    before = [] if row is None else [finding_from_json(each) for each in row["findings"]]
    stored = int(whole["time"][0]), int(whole["time"][-1])
    return span_findings(instrument, arrival.interval, stored, asked, before, arrival.now_us - arrival.lag_us)


def _actions(arrival: Arrival, instrument: Instrument) -> tuple[Action, ...]:
    if arrival.pre_adjusted:
        return ()
    found = arrival.catalog.actions.read(arrival.owner, arrival.source, [instrument.id])
    return actions_of_column(found, instrument, arrival.interval)


def _series_row(arrival: Arrival, instrument: str, whole: pl.DataFrame, verdict: DataVerdict) -> dict[str, Any]:
    content = hashlib.sha256(instrument.encode())
    for name in ("time", *VALUES):
        content.update(whole[name].fill_null(0 if name == "time" else float("nan")).to_numpy().tobytes())
    return {
        "owner": arrival.owner,
        "source": arrival.source,
        "instrument": instrument,
        "interval": arrival.interval.value,
        "pre_adjusted": arrival.pre_adjusted,
        "close_only": arrival.close_only,
        "revised": arrival.revised,
        "lag_us": arrival.lag_us,
        "rows": whole.height,
        "first_time": whole["time"].min() if whole.height else None,
        "last_time": whole["time"].max() if whole.height else None,
        "verdict": verdict.verdict.label,
        "findings": [finding_to_json(finding) for finding in verdict.findings],
        "data_version": content.hexdigest()[:32],
        "checked_at": arrival.now_us,
        "created_at": arrival.now_us,
    }


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings about pages as one of each code."""
    if len(findings) < 2:
        return list(findings)
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    return [
        replace(
            same[0],
            severity=max(finding.severity for finding in same),
            detail=same[0].detail if len(same) == 1 else f"in {len(same)} pages: {same[0].detail}",
            count=sum(finding.count for finding in same),
            rows=tuple(time for finding in same for time in finding.rows)[:ROWS_KEPT],
        )
        for same in by_code.values()
    ]


def input_findings(arrival: Arrival, instrument: str) -> list[Finding]:
    """Return the findings about the rows as they came that a series has."""
    row = arrival.database.read(store.get_series, arrival.owner, arrival.source, instrument, arrival.interval.value)
    stored = [] if row is None else [finding_from_json(each) for each in row["findings"]]
    return [finding for finding in stored if finding.code in INPUT_CODES]
