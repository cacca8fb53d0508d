"""From a frame of facts to the store: what cannot be used is kept aside, the rest is stored once."""

from __future__ import annotations

import hashlib

import polars as pl

from tradewright import ids
from tradewright.ids import Owner
from tradewright.market.dated import FACTS, Dated
from tradewright.market.ingest import Taken
from tradewright.storage import series as store
from tradewright.storage.database import Database

INTERVAL = "fact"  # in the place of an interval, where facts stand beside bars
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
    """Check and store facts; return what became of every row.

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
            "interval": INTERVAL,
            "time": row["period_end"],
            "code": row["code"],
            "detail": f"{_TEXT[row['code']]}: {row['name'] or row['instrument']} is {row['value']}",
            "row": {name: row[name] if row[name] == row[name] else None for name in FACTS},
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
    return Taken(rows.height, distinct.height, rejected.height, accepted.height - distinct.height, stored)
