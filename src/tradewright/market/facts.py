"""Facts: dated values that are no bars (macro figures, fundamentals), visible only from the moment they were known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import polars as pl

from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel, Times

FACTS = {"instrument": pl.String(), "period_end": pl.Int64(), "known_at": pl.Int64(), "value": pl.Float64()}


def fact_field(times: Times, instruments: Sequence[str], facts: pl.DataFrame) -> Floats:
    """Return, for every row and instrument, the value of the latest period known then, (T, N); NaN before the first.

    facts: columns of `FACTS`, any order, microseconds; one row for each vintage. Of what was known the latest period
    counts, and of that period the vintage known last, so that a late revision of an old period changes nothing.
    Raises InvalidInput for missing columns or times.
    """
    missing = [name for name in FACTS if name not in facts.columns]
    if missing:
        raise InvalidInput(f"the facts have no column {', '.join(missing)}; they have {', '.join(facts.columns)}")
    rows = facts.select(pl.col(name).cast(kind) for name, kind in FACTS.items())
    if rows.select(pl.any_horizontal(pl.col("period_end", "known_at").is_null().any())).item():
        raise InvalidInput("every fact needs a period_end and a known_at")
    field = np.full((len(times), len(instruments)), np.nan)
    for column, instrument in enumerate(instruments):
        mine = rows.filter(pl.col("instrument") == instrument).sort("known_at", "period_end")
        if mine.height:
            field[:, column] = _known(times, mine)
    return field


def with_facts(panel: Panel, name: str, facts: pl.DataFrame) -> Panel:
    """Return the panel with facts as field `name`: (T, N), or (T,) when they are about no instrument ("").

    Raises InvalidInput when facts are about instruments that are not in the panel, and what `fact_field` raises.
    """
    about = set(facts["instrument"].to_list()) if "instrument" in facts.columns else set()
    if about == {""}:
        field = fact_field(panel.times, [""], facts)[:, 0]
    else:
        strange = sorted(about - set(panel.ids))
        if strange:
            raise InvalidInput(f"facts about {', '.join(strange)}, which the panel does not hold; leave them out")
        field = fact_field(panel.times, panel.ids, facts)
    return replace(panel, fields=MappingProxyType({**panel.fields, name: field}), data_version="")


def _known(times: Times, facts: pl.DataFrame) -> Floats:
    period, known_at = facts["period_end"].to_numpy(), facts["known_at"].to_numpy()
    leads = period >= np.maximum.accumulate(period)
    best = np.maximum.accumulate(np.where(leads, np.arange(len(period)), 0))
    at = np.searchsorted(known_at, times, side="right") - 1
    values = facts["value"].fill_null(np.nan).to_numpy()
    return np.where(at >= 0, values[best[np.maximum(at, 0)]], np.nan)
