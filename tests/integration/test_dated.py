"""Facts and actions come back as they were known at a moment, once each, to those who may see them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from tradewright.clock import parse_us
from tradewright.errors import InvalidInput
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.comparing import compare_sources
from tradewright.market.dated import FACTS, actions_of, facts_of
from tradewright.market.fact_intake import ingest_facts, judge_facts
from tradewright.market.freshness import read_freshness
from tradewright.market.instruments import Instrument
from tradewright.storage import series
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

DAY = 86_400_000_000
Q1, Q2 = parse_us("2024-04-01"), parse_us("2024-07-01")
OURS, THEIRS = Owner("org_ours"), Owner("org_theirs")


def facts(*rows: tuple[int, int, float]) -> pl.DataFrame:
    made = [("macro:GDP", "", "", end - 91 * DAY, end, known, value) for end, known, value in rows]
    return pl.DataFrame(made, schema=FACTS, orient="row")


def test_a_revision_is_seen_from_the_moment_it_was_known(tmp_path: Path) -> None:
    store = facts_of(tmp_path)
    vintages = facts((Q1, Q1 + 30 * DAY, 1.0), (Q1, Q1 + 60 * DAY, 1.5), (Q2, Q2 + 30 * DAY, 2.0))
    assert store.append(SYSTEM, "fred", vintages, Q2 + 40 * DAY, "one") == 3
    assert store.read(SYSTEM)["value"].to_list() == [1.5, 2.0]
    assert store.read(SYSTEM, as_of_us=Q1 + 59 * DAY)["value"].to_list() == [1.0]
    assert store.read(SYSTEM, as_of_us=Q1 + 29 * DAY).height == 0
    assert store.read(SYSTEM, recorded_before_us=Q2 + 40 * DAY).height == 0
    assert store.read(SYSTEM, start_us=Q2)["value"].to_list() == [2.0]


def test_what_is_there_already_is_not_stored_again_and_what_changed_is(tmp_path: Path) -> None:
    store = facts_of(tmp_path)
    first = facts((Q1, Q1 + 30 * DAY, 1.0))
    assert store.append(SYSTEM, "fred", first, Q2, "one") == 1
    assert store.append(SYSTEM, "fred", first, Q2 + 1, "two") == 0
    assert store.append(SYSTEM, "fred", facts((Q1, Q1 + 30 * DAY, 1.1)), Q2 + 2, "three") == 1
    assert store.read(SYSTEM)["value"].to_list() == [1.1]


def test_what_one_organization_fetched_another_does_not_see(tmp_path: Path) -> None:
    store = facts_of(tmp_path)
    store.append(OURS, "sec_edgar", facts((Q1, Q1, 7.0)), Q2, "one")
    store.append(SYSTEM, "fred", facts((Q2, Q2, 8.0)), Q2, "two")
    assert store.read(OURS)["value"].to_list() == [8.0, 7.0]
    assert store.read(THEIRS)["value"].to_list() == [8.0]
    assert store.append(THEIRS, "sec_edgar", facts((Q1, Q1, 7.0)), Q2, "one") == 1
    store.forget(OURS)
    assert store.read(OURS)["value"].to_list() == [8.0]
    assert store.read(THEIRS)["value"].to_list() == [8.0, 7.0]


def test_a_row_without_a_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="period_end and known_at"):
        facts_of(tmp_path).append(SYSTEM, "fred", facts((Q1, Q1, 1.0)).with_columns(known_at=None), Q2, "one")


def test_an_empty_store_has_the_columns_of_a_full_one(tmp_path: Path) -> None:
    assert actions_of(tmp_path).read(SYSTEM).columns == [
        "source", "instrument", "time", "known_at", "split", "dividend", "observed_at",
    ]  # fmt: skip


def test_without_vintages_a_value_that_is_there_is_no_new_one(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        store = facts_of(tmp_path)
        for known, values, stored in ((Q2, (1.0, 2.0), 2), (Q2 + DAY, (1.0, 2.0), 0), (Q2 + 2 * DAY, (1.5, 2.0), 1)):
            came = facts(*((end, known, value) for end, value in zip((Q1, Q2), values, strict=True)))
            taken = ingest_facts(database, store, SYSTEM, "nasdaq_data_link", came, known, "ing", vintages=False)
            assert (taken.accepted, taken.stored) == (2, stored)
        assert store.read(SYSTEM, as_of_us=Q2 + DAY)["value"].to_list() == [1.0, 2.0]
        assert store.read(SYSTEM)["value"].to_list() == [1.5, 2.0]


def test_what_facts_are_worth_is_written_down_and_their_age_is_told(tmp_path: Path) -> None:
    ends = [parse_us(f"{year}-{month:02}-01") for year in range(2020, 2024) for month in range(1, 13)]
    monthly = [("macro:X", "", "", start, end, end + 14 * DAY, 5.0) for start, end in pairwise(ends)]
    store, instrument, now = facts_of(tmp_path), Instrument("macro:X"), ends[-1] + 20 * DAY
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        came = pl.DataFrame(monthly, schema=FACTS, orient="row")
        ingest_facts(database, store, SYSTEM, "fred", came, now, "ing")
        report = judge_facts(database, store, SYSTEM, "fred", instrument, now, now)
        assert (report.interval, report.rows, report.verdict.verdict.label) == ("fact", 47, "clean")
        (row,) = database.read(series.list_series, SYSTEM)
        assert (row["interval"], row["first_time"], row["last_time"]) == ("fact", ends[1], ends[-1])
        (fresh,) = database.read(read_freshness, SYSTEM, now)
        assert (fresh.newest_us, fresh.due, fresh.coverage) == (ends[-1], 0, None)
        (late,) = database.read(read_freshness, SYSTEM, now + 60 * DAY)
        assert (late.due, late.finding and late.finding.code) == (1, "stale_series")
        later = judge_facts(database, store, SYSTEM, "fred", instrument, now + 400 * DAY, now + 400 * DAY)
        assert later.verdict.verdict.label == "suspect"
        assert judge_facts(database, store, SYSTEM, "fred", instrument, now + 400 * DAY, now).verdict.findings == ()
        nothing = judge_facts(database, store, SYSTEM, "fred", Instrument("macro:NONE"), now, now)
        assert nothing.verdict.verdict.label == "rejected"
        assert len(database.read(series.list_series, SYSTEM)) == 1, "nothing came, so there is no series"
        assert compare_sources(Catalog(tmp_path, database), SYSTEM, now) == {}
