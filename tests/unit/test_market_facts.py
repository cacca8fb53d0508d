"""A fact appears from the moment it was known, in the vintage that was known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tradewright.errors import InvalidInput
from tradewright.market.facts import fact_field, with_facts
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel

TIMES = np.arange(10, dtype=np.int64)


def _facts(*rows: tuple[str, int, int, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["instrument", "period_end", "known_at", "value"], orient="row")


def test_a_value_appears_when_it_is_known_and_not_when_its_period_ends() -> None:
    field = fact_field(TIMES, [""], _facts(("", 0, 3, 1.0), ("", 2, 6, 2.0)))[:, 0]
    assert np.array_equal(field, [np.nan] * 3 + [1.0] * 3 + [2.0] * 4, equal_nan=True)


def test_a_revision_of_the_latest_period_counts_and_one_of_an_older_period_does_not() -> None:
    facts = _facts(("", 5, 2, 10.0), ("", 5, 4, 11.0), ("", 1, 6, 99.0), ("", 7, 8, 12.0))
    field = fact_field(TIMES, [""], facts)[:, 0]
    assert field[2:].tolist() == [10.0, 10.0, 11.0, 11.0, 11.0, 11.0, 12.0, 12.0]


def test_later_facts_change_no_earlier_row() -> None:
    generator = np.random.default_rng(5)
    rows = [("", int(p), int(p + lag), float(p)) for p, lag in zip(generator.integers(0, 9, 40), generator.integers(0, 5, 40), strict=True)]  # fmt: skip # noqa: E501
    whole = fact_field(TIMES, [""], _facts(*rows))
    for cut in range(10):
        known = [row for row in rows if row[2] <= cut]
        if known:
            part = fact_field(TIMES[: cut + 1], [""], _facts(*known))
            assert np.array_equal(part, whole[: cut + 1], equal_nan=True)


def test_a_panel_gets_a_field_for_all_or_for_each_instrument() -> None:
    instruments = (Instrument("equity:A"), Instrument("equity:B"))
    panel = Panel.of(TIMES, instruments, Interval.DAY, np.ones((10, 2)))
    macro = with_facts(panel, "cpi", _facts(("", 0, 3, 1.0)))
    assert macro.fields["cpi"].shape == (10,)
    each = with_facts(macro, "eps", _facts(("equity:B", 0, 3, 1.0)))
    assert np.isnan(each.fields["eps"][:, 0]).all()
    assert each.fields["eps"][3, 1] == 1.0
    assert set(each.fields) == {"cpi", "eps"}
    assert each.data_version != macro.data_version
    with pytest.raises(InvalidInput, match="equity:C"):
        with_facts(panel, "eps", _facts(("equity:C", 0, 3, 1.0)))
    with pytest.raises(InvalidInput, match="no column value"):
        with_facts(panel, "eps", _facts(("", 0, 3, 1.0)).drop("value"))
