"""Each check of facts finds what it is for, and leaves good ones alone."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recorded import LATE, recorded
from tradewright.clock import DAY_US, parse_us
from tradewright.market.dated import FACTS
from tradewright.market.fact_checks import check_facts
from tradewright.market.instruments import Instrument
from tradewright.market.verdicts import Finding, Verdict
from tradewright.sources import fred, sec_edgar
from tradewright.sources.source import SpanQuery

PRICES = Instrument("macro:CPIAUCSL")
COMPANY = Instrument("equity:AAPL")
LAG_US = 14 * DAY_US


def months(count: int, first_year: int = 2000) -> list[tuple[int, int]]:
    firsts = [date(first_year + n // 12, n % 12 + 1, 1) for n in range(count + 1)]
    starts = [(day - date(1970, 1, 1)).days * DAY_US for day in firsts]
    return list(pairwise(starts))


def facts(periods: list[tuple[int, int]], values: Any, name: str = "", instrument: str = PRICES.id) -> pl.DataFrame:
    columns = {
        "instrument": instrument, "name": name, "unit": "", "period_start": [start for start, _ in periods],
        "period_end": [end for _, end in periods], "known_at": [end + LAG_US for _, end in periods], "value": values,
    }  # fmt: skip
    return pl.DataFrame(columns, schema=FACTS).with_columns(pl.lit(LATE).alias("observed_at"))


def steady(count: int) -> Any:
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(5).standard_normal(count) * 0.003 + 0.002))


def found(frame: pl.DataFrame, instrument: Instrument = PRICES, **more: Any) -> dict[str, Finding]:
    newest = 0 if not frame.height else int(frame["known_at"].max())  # type: ignore[arg-type]
    given = {"vintages": True, "until_us": newest, **more}
    return {finding.code: finding for finding in check_facts(frame, instrument, **given).findings}


def test_good_facts_say_nothing_and_revisions_of_them_neither() -> None:
    once = facts(months(120), steady(120))
    assert found(once) == {}
    revised = once.with_columns(pl.col("value") * 1.001, pl.col("known_at") + 30 * DAY_US)
    checked = check_facts(pl.concat([revised, once]), PRICES, True, int(once["known_at"].max()))  # type: ignore[arg-type]
    assert checked.findings == ()
    assert checked.current["value"].to_list() == pytest.approx((once["value"] * 1.001).to_list())


def test_two_values_of_one_moment_contradict_each_other() -> None:
    once = facts(months(120), steady(120))
    clash = pl.concat([once, once.slice(5, 1).with_columns(pl.col("value") + 1.0)])
    assert (found(clash)["conflicting_values"].count, found(clash)["conflicting_values"].severity) == (
        1,
        Verdict.USABLE,
    )
    assert found(clash)["conflicting_values"].rows == (months(120)[5][1],)
    many = pl.concat([once, once.head(20).with_columns(pl.col("value") + 1.0)])
    assert found(many)["conflicting_values"].severity is Verdict.SUSPECT
    assert "conflicting_values" not in found(pl.concat([once, once.head(20)])), (
        "the same value twice contradicts nothing"
    )


@pytest.mark.parametrize("factor", [1e3, 1e-3, 1e6])
def test_a_value_in_another_unit_is_told_and_so_is_a_change_of_unit(factor: float) -> None:
    values = steady(60)
    values[30] *= factor
    jump = found(facts(months(60), values))["unit_jump"]
    assert (jump.severity, jump.count) == (Verdict.SUSPECT, 2)
    assert jump.rows == (months(60)[30][1], months(60)[31][1])
    values = steady(60)
    values[30:] *= factor
    told = found(facts(months(60), values))
    assert told["unit_jump"].count == 1
    assert "outlier_value" not in told, "it is named once"


def test_a_wild_line_has_no_unit_that_could_be_told() -> None:
    values = 10.0 ** np.random.default_rng(2).uniform(0, 6, 60)
    assert found(facts(months(60), values)) == {}


def test_a_move_far_beyond_what_is_usual_is_told_for_prices_and_rates() -> None:
    values = steady(60)
    values[40] *= 1.5
    assert found(facts(months(60), values))["outlier_value"].rows == (months(60)[40][1], months(60)[41][1])
    rates = np.random.default_rng(1).standard_normal(60) * 0.1
    rates[20] = 9.0
    assert found(facts(months(60), rates))["outlier_value"].count == 2
    assert found(facts(months(20), [1.0] * 10 + [5.0] * 10)) == {}, "too few to say what is usual"


def test_absent_periods_of_a_regular_series_are_counted() -> None:
    whole = facts(months(60), steady(60))
    gap = found(whole.filter(~pl.int_range(pl.len()).is_in([20, 21, 40])))["missing_periods"]
    assert (gap.count, gap.severity) == (3, Verdict.USABLE)
    assert gap.rows == (months(60)[22][1], months(60)[41][1])
    many = found(whole.filter(~pl.int_range(pl.len()).is_between(20, 29)))["missing_periods"]
    assert (many.count, many.severity) == (10, Verdict.SUSPECT)


def test_days_of_business_have_no_gap_at_weekends_and_one_after_a_week() -> None:
    days = [d for d in range(19_000, 19_200) if (d + 3) % 7 < 5]
    spans = [(d * DAY_US, (d + 1) * DAY_US) for d in days]
    assert found(facts(spans, steady(len(spans)))) == {}
    left = [span for span in spans if not 19_100 <= span[0] // DAY_US < 19_107]
    assert found(facts(left, steady(len(left))))["missing_periods"].count == 5


def test_quarters_as_companies_report_them_have_no_gaps() -> None:
    quarters = [(months(96)[n][0], months(96)[n + 2][1]) for n in range(0, 96, 3) if n % 12 != 9]
    frame = facts(quarters, steady(len(quarters)), "us-gaap:Revenues", COMPANY.id)
    assert found(frame, COMPANY) == {}


def test_a_series_whose_next_period_is_overdue_is_stale() -> None:
    frame = facts(months(60), steady(60))  # known 14 days after their end; the last in the middle of January
    assert found(frame, until_us=parse_us("2005-02-20")) == {}
    late = found(frame, until_us=parse_us("2005-03-01"))["stale_facts"]
    assert (late.severity, late.count) == (Verdict.USABLE, 1)
    assert "the newest period ended 2005-01-01T00:00:00Z" in late.detail
    assert found(frame, until_us=parse_us("2006-01-01"))["stale_facts"].severity is Verdict.SUSPECT


def test_without_vintages_three_periods_are_waited_for() -> None:
    frame = facts(months(60), steady(60)).with_columns(pl.lit(LATE).alias("known_at"))
    told = found(frame, vintages=False, until_us=parse_us("2005-03-30"))
    assert {code: each.severity for code, each in told.items()} == {"no_vintages": Verdict.USABLE}
    assert "stale_facts" in found(frame, vintages=False, until_us=parse_us("2005-04-05"))


def test_nothing_at_all_is_rejected() -> None:
    told = found(facts([], []))
    assert (told["no_rows"].severity, len(told)) == (Verdict.REJECTED, 1)


def test_recorded_facts_have_the_findings_that_they_should_have(shared: Path) -> None:
    query = SpanQuery(COMPANY, "AAPL", 0, LATE, (), "320193")
    page = sec_edgar.SOURCE.facts.parse(recorded(shared, "sec_edgar", "company_facts__CIK0000320193"), query)
    frame = page.facts.with_columns(pl.lit(LATE).alias("observed_at"))
    told = found(frame, COMPANY)
    assert told.keys() == {"outlier_value"}, "the shares outstanding after the splits of 2014 and 2020"
    assert "EntityCommonStockSharesOutstanding" in told["outlier_value"].detail
    gdp = fred.instrument_of("GDP")
    answer = recorded(shared, "fred", "macro_series__GDP-initial-release")
    page = fred.SOURCE.facts.parse(answer, SpanQuery(gdp, "GDP", 0, LATE, (), "Q|0"))
    frame = page.facts.with_columns(pl.lit(LATE).alias("observed_at"))
    assert found(frame, gdp).keys() == {"outlier_value"}, "the second quarter of 2020"
    assert found(frame, gdp, until_us=LATE).keys() == {"outlier_value", "stale_facts"}
