"""Panels for a notebook: from the data folder, or straight from a package that ships data.

Whatever the way, the same checks run and their verdict stands on the panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from tradewright.clock import parse_us, to_us
from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.catalog import Catalog
from tradewright.market.datasets import DATA_SETS, data_set, load_bars
from tradewright.market.instruments import Interval
from tradewright.market.intake import checked_parts
from tradewright.market.panel import Panel
from tradewright.market.provenance import REVISED
from tradewright.settings import load as load_settings
from tradewright.storage.database import Database


def load_panel(
    name: str | None = None,
    *,
    instruments: Sequence[str] | None = None,
    interval: Interval | str = Interval.DAY,
    as_of: str | datetime | int | None = None,
    source: str | None = None,
    data_folder: Path | str | None = None,
) -> Panel:
    """Return the panel of a data set, or of instruments at an interval.

    name: "us-stocks" or "us-indices", or a data set of the data folder. instruments: ids in the data folder's catalog.
    as_of: a time (RFC 3339 text, aware datetime or microseconds): only what could be known then. source: needed only
    when several have an instrument. data_folder: where `tradewright up` keeps its data; left out, the folder of the
    settings is used if it is there, else a packaged data set is read straight from its package. Raises UnknownName for
    a data set or instrument that is not there, InvalidInput, TooFewRows.
    """
    step = Interval.parse(interval)
    moment = _moment(as_of)
    overrides = None if data_folder is None else {"data_folder": Path(data_folder)}
    settings = load_settings(overrides=overrides)
    embedded = settings.database_url == ""
    if not embedded or (settings.data_folder / "tradewright.db").exists():
        with Database(settings.resolved_database_url) as database:
            catalog = Catalog(settings.data_folder, database)
            try:
                return catalog.panel(name, instruments=instruments, interval=step, source=source, as_of_us=moment)
            except UnknownName:
                if name not in DATA_SETS or data_folder is not None:
                    raise
    if data_folder is not None:
        raise UnknownName(
            f"there is no Tradewright data in {data_folder}; run `tradewright up` or `tradewright ingest`"
        )
    if name is None:
        raise InvalidInput(
            f"there is no data folder at {settings.data_folder}; hand in data_folder=, run `tradewright ingest`, or "
            f"name a packaged data set: {', '.join(DATA_SETS)}"
        )
    return _packaged_panel(name, moment)


def _packaged_panel(name: str, as_of_us: int | None) -> Panel:
    spec = data_set(name)
    rows = load_bars(name)
    if as_of_us is not None:
        rows = rows.filter(pl.col("known_at") <= as_of_us)
    known = (*spec.findings, REVISED) if spec.revised else spec.findings
    parts = checked_parts(rows, spec.instruments, spec.interval, spec.close_only, spec.pre_adjusted, known)
    return Panel(**parts)


def _moment(as_of: str | datetime | int | None) -> int | None:
    if isinstance(as_of, str):
        return parse_us(as_of)
    return to_us(as_of) if isinstance(as_of, datetime) else as_of
