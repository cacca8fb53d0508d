"""From a frame of facts to the store: what cannot be used is kept aside, the rest is stored once and judged.

Where facts stand beside bars `FACT` is in the place of an interval: in quarantine, and in the table of series, which
holds of an instrument's facts how many there are, from which periods, and their verdict.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import polars as pl

from tradewright import ids
from tradewright.ids import Owner
from tradewright.market.checks.sifting import rejection_findings
from tradewright.market.dated import FACTS, Dated
from tradewright.market.fact_checks import FactsChecked, check_facts
from tradewright.market.ingest import Taken
from tradewright.market.instruments import FACT, Instrument
from tradewright.market.judging import SeriesReport
from tradewright.market.provenance import address_findings
from tradewright.market.records import finding_to_json, instrument_to_row
from tradewright.market.verdicts import DataVerdict
from tradewright.storage import series as store
from tradewright.storage.database import Database, Tx

_TEXT = {
    "missing_value": "the value is missing or not finite",
    "known_too_early": "known_at lies before the end of the period",
    "future_time": "it was known only after it was observed",
}


def ingest_facts(
    database: Database,
    facts: Dated,
    owner: Owner,
    source: str,
    frame: pl.DataFrame,
    observed_at_us: int,
    ingestion: str,
    vintages: bool = True,
) -> Taken:
    """Check and store facts; return what became of every row. None is `revised`: a vintage replaces nothing.

    frame: columns of `dated.FACTS`, every vintage a row. A row without a finite value, one that was known before its
    period had ended and one known in the future go to quarantine, once however often they come. vintages: rows say when
    they were known; else a value that is there already is no new one, whenever it comes. Raises StorageFailed; run it
    again with the same id to go on.
    """
    rows = frame.select(pl.col(name).cast(of) for name, of in FACTS.items())
    reason = (
        pl.when(pl.col("value").is_null() | ~pl.col("value").is_finite()).then(pl.lit("missing_value"))
        .when(pl.col("known_at") < pl.col("period_end")).then(pl.lit("known_too_early"))
        .when(pl.col("known_at") > observed_at_us).then(pl.lit("future_time"))
    )  # fmt: skip
    judged = rows.with_columns(reason.alias("code"))
    rejected = judged.filter(pl.col("code").is_not_null())
    accepted = judged.filter(pl.col("code").is_null()).drop("code")
    same = [name for name in FACTS if vintages or name != "known_at"]  # else that is when it came
    kept = [
        {
            "id": ids.derive("qua", "", owner, source, *(str(row[name]) for name in same)),
            "owner": owner,
            "source": source,
            "instrument": row["instrument"],
            "interval": FACT,
            "time": row["period_end"],
            "code": row["code"],
            "detail": f"{_TEXT[row['code']]}: {row['name'] or row['instrument']} is {row['value']}",
            "row": {name: _plain(row[name]) for name in FACTS},
            "ingestion": ingestion,
            "status": "held",
            "created_at": observed_at_us,
        }
        for row in rejected.iter_rows(named=True)
    ]
    database.write(store.quarantine_rows, kept)
    distinct = accepted.unique(maintain_order=True)
    stored, fresh = 0, distinct
    if not vintages and distinct.height:
        there = facts.read(owner, source, distinct["instrument"].unique().to_list())
        fresh = distinct.join(there.select(same), on=same, how="anti", nulls_equal=True, maintain_order="left")
    if fresh.height:
        content = hashlib.sha256(fresh.hash_rows(seed=0).to_numpy().tobytes()).hexdigest()
        stored = facts.append(owner, source, fresh, observed_at_us, f"{ingestion}/{content}")
    return Taken(rows.height, distinct.height, rejected.height, accepted.height - distinct.height, stored, 0)


def _plain(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)  # JSON has no word for what is infinite


def judge_facts(
    database: Database,
    facts: Dated,
    owner: Owner,
    source: str,
    instrument: Instrument,
    now_us: int,
    until_us: int,
    vintages: bool = True,
    elsewhere: str = "",
) -> SeriesReport:
    """Write down what the facts of an instrument are worth, with their verdict, and return it. until_us: newer facts
    were not asked for. elsewhere: the host that they came from, "" for the source's own. Raises StorageFailed."""
    found = facts.vintages(owner, source, [instrument.id])
    checked = check_facts(found, instrument, vintages, min(now_us, until_us))
    rejected = database.read(store.count_quarantine, owner, source, instrument.id, FACT)
    read = found.height + sum(rejected.values())
    before = database.read(store.get_series, owner, source, instrument.id, FACT)
    told = [*rejection_findings(rejected, read, instrument.id, _TEXT), *checked.findings]
    verdict = DataVerdict.of([*told, *(address_findings(elsewhere, instrument.id, before) if read else [])])
    row = _series_row(checked, verdict) | {
        "owner": owner,
        "source": source,
        "instrument": instrument.id,
        "revised": not vintages,
        "checked_at": now_us,
        "created_at": now_us,
    }

    def write_down(tx: Tx) -> None:
        store.add_instruments(tx, [instrument_to_row(instrument, now_us)])
        store.save_series(tx, row)

    if read:
        database.write(write_down)
    return SeriesReport(source, instrument.id, FACT, checked.current.height, verdict)


def _series_row(checked: FactsChecked, verdict: DataVerdict) -> dict[str, Any]:
    current = checked.current
    first_us, last_us = (current["period_end"].min(), current["period_end"].max()) if current.height else (None, None)
    content = current.select(list(FACTS)).sort(list(FACTS)).hash_rows(seed=0).to_numpy().tobytes()
    return {
        "interval": FACT,
        "pre_adjusted": False,
        "close_only": False,
        "lag_us": max(checked.due_us - last_us, 0) if isinstance(last_us, int) and checked.due_us else 0,
        "rows": current.height,
        "first_time": first_us,
        "last_time": last_us,
        "verdict": verdict.verdict.label,
        "findings": [finding_to_json(finding) for finding in verdict.findings],
        "data_version": hashlib.sha256(content).hexdigest()[:32],
    }
