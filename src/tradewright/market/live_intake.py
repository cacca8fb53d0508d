"""Live bars on their way in: checked, into the tail at once; into the tables and judged every few minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.frames import SCHEMA
from tradewright.market.ingest import Ingestion
from tradewright.market.instruments import Instrument, Interval
from tradewright.storage.database import Database, Tx

SETTLED_US = 300_000_000  # how far apart flushes and verdicts are


class LiveIntake:
    """Takes bars of one source and interval as they close. Not for several threads.

    ingestion_id: of the passage; rows that a check rejects are kept aside under it. elsewhere: as in `Ingestion`.
    """

    def __init__(
        self,
        catalog: Catalog,
        database: Database,
        owner: Owner,
        instruments: Sequence[Instrument],
        *,
        interval: Interval,
        source: str,
        now_us: int,
        ingestion_id: str,
        lag_us: int = 0,
        elsewhere: str = "",
    ) -> None:
        self._catalog, self._database, self._owner = catalog, database, owner
        self._ingestion = Ingestion(
            catalog, database, owner, instruments, interval=interval, source=source, now_us=now_us,
            ingestion_id=ingestion_id, lag_us=lag_us, paged=True, elsewhere=elsewhere,
        )  # fmt: skip
        self._touched: set[str] = set()
        self._settled_us = now_us
        self.stored = self.rejected = 0

    def take(self, rows: Sequence[Mapping[str, Any]], now_us: int) -> list[dict[str, Any]]:
        """Check rows of the canonical columns and make the good ones durable; return those, by time. Rows already taken
        do no harm; one in the place of other values was known when it came, whatever it says.

        Raises StorageFailed; the rows can be handed in again.
        """
        self._ingestion.at(now_us)
        frame = pl.DataFrame(list(rows), schema=SCHEMA, orient="row")
        good, rejected = self._ingestion.checked(frame)
        self.rejected += rejected
        fresh, same = self._ingestion.placed(good)
        if fresh.height:
            made = fresh.to_dicts()

            def keep(tx: Tx) -> None:
                self._catalog.tail_append(tx, self._owner, made)

            self._database.write(keep)
            self.stored += fresh.height
            self._touched.update(fresh["instrument"].unique())
        if now_us - self._settled_us >= SETTLED_US:
            self.settle(now_us)
        return pl.concat([fresh, same]).sort("time", maintain_order=True).to_dicts()

    def settle(self, now_us: int) -> None:
        """Move what waits in the tail into the tables, and judge the series that grew. Raises StorageFailed."""
        self._settled_us = now_us
        self._ingestion.at(now_us)
        if not self._touched:
            return
        self._catalog.flush(self._owner)
        for instrument in sorted(self._touched):
            self._ingestion.revisit(instrument)
        self._ingestion.conclude()
        self._touched.clear()
