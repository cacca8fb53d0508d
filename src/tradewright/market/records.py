"""Between the values of this floor and the rows of the database: one function each way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tradewright.market.instruments import Instrument
from tradewright.market.verdicts import DataVerdict, Finding, Verdict


def instrument_to_row(instrument: Instrument, created_at_us: int) -> dict[str, Any]:
    """Return the row of table `instruments`."""
    return {
        "id": instrument.id,
        "name": instrument.name,
        "currency": instrument.currency,
        "calendar": instrument.calendar,
        "tick": instrument.tick,
        "lot": instrument.lot,
        "minimum_notional": instrument.minimum_notional,
        "multiplier": instrument.multiplier,
        "listed": instrument.listed_us,
        "delisted": instrument.delisted_us,
        "created_at": created_at_us,
    }


def instrument_from_row(row: Mapping[str, Any]) -> Instrument:
    """Return the instrument of a row of table `instruments`."""
    return Instrument(
        id=row["id"],
        name=row["name"],
        currency=row["currency"],
        calendar=row["calendar"],
        tick=row["tick"],
        lot=row["lot"],
        minimum_notional=row["minimum_notional"],
        multiplier=row["multiplier"],
        listed_us=row["listed"],
        delisted_us=row["delisted"],
    )


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as it is stored and answered."""
    return {
        "code": finding.code,
        "severity": finding.severity.label,
        "detail": finding.detail,
        "instrument": finding.instrument,
        "count": finding.count,
        "rows": list(finding.rows),
    }


def finding_from_json(stored: Mapping[str, Any]) -> Finding:
    """Return the finding of what `finding_to_json` gave."""
    return Finding(
        code=stored["code"],
        severity=Verdict[stored["severity"].upper()],
        detail=stored["detail"],
        instrument=stored["instrument"],
        count=stored["count"],
        rows=tuple(stored["rows"]),
    )


def verdict_of_series(rows: Sequence[Mapping[str, Any]]) -> DataVerdict:
    """Return the verdict of several series together, from their rows of table `series`.

    A finding that says the same of more than one series (close-only data, for example) stands once, its `count` being
    the number of series.
    """
    groups: dict[tuple[str, Verdict, str], list[Finding]] = {}
    for row in rows:
        for stored in row["findings"]:
            finding = finding_from_json(stored)
            groups.setdefault((finding.code, finding.severity, finding.detail), []).append(finding)
    merged: list[Finding] = []
    for (code, severity, detail), same in groups.items():
        if len(same) > 1 and not any(finding.rows for finding in same):
            merged.append(Finding(code, severity, f"{len(same)} of {len(rows)} series: {detail}", "", len(same)))
        else:
            merged.extend(same)
    return DataVerdict.of(merged)
