"""The catalog keeps every row, answers as of any moment, and survives a stop at any step."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tradewright.clock import DAY_US, parse_us
from tradewright.errors import InvalidInput, StorageFailed, TooFewRows, UnknownName
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.frames import SCHEMA, canonical
from tradewright.market.instruments import Interval
from tradewright.storage import series as store
from tradewright.storage import tail
from tradewright.storage.database import Database, Tx

START = parse_us("2024-01-01")
SEEN = parse_us("2025-01-01")
COIN, OTHER = "crypto:BTC-USD", "crypto:ETH-USD"


def _frame(days: int = 100, instrument: str = COIN, price: float = 100.0, seen: int = SEEN) -> pl.DataFrame:
    times = [START + DAY_US * d for d in range(days)]
    return canonical(
        pl.DataFrame({"time": times, "close": [price + d for d in range(days)], "volume": [1.0] * days}),
        source="s", instrument=instrument, interval="1d", observed_at_us=seen, lag_us=3_600_000_000,
    )  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path, database: Database) -> Catalog:
    return Catalog(tmp_path / "catalog", database)


def _closes(frame: pl.DataFrame) -> list[float]:
    return frame["close"].to_list()


def test_what_was_appended_is_read_back_equal(catalog: Catalog) -> None:
    frame = pl.concat([_frame(), _frame(instrument=OTHER)])
    assert catalog.append(SYSTEM, frame, "b1") == 200
    assert catalog.read(SYSTEM, "s", None, "1d").equals(frame)
    assert catalog.read(SYSTEM, "s", [OTHER], "1d").equals(_frame(instrument=OTHER))
    assert catalog.read(SYSTEM, "another", None, "1d").height == 0
    assert catalog.read(SYSTEM, "s", None, "1h").height == 0


def test_a_batch_is_stored_once(catalog: Catalog) -> None:
    assert catalog.append(SYSTEM, _frame(), "b1") == 100
    assert catalog.append(SYSTEM, _frame(price=500.0), "b1") == 0
    assert _closes(catalog.read(SYSTEM, "s", None, "1d"))[0] == 100.0
    assert catalog.append(Owner("org_a"), _frame(), "b1") == 100, "batch ids are per owner"


def test_bounds_are_inclusive_and_cross_months(catalog: Catalog) -> None:
    catalog.append(SYSTEM, _frame(), "b1")
    part = catalog.read(SYSTEM, "s", [COIN], "1d", START + 20 * DAY_US, START + 70 * DAY_US)
    assert _closes(part) == [120.0 + d for d in range(51)]


def test_revisions_are_kept_and_each_moment_sees_its_own(catalog: Catalog) -> None:
    catalog.append(SYSTEM, _frame(10), "b1")
    later = _frame(3, price=200.0, seen=SEEN + DAY_US).with_columns(known_at=pl.lit(SEEN))
    catalog.append(SYSTEM, later, "b2")
    assert _closes(catalog.read(SYSTEM, "s", None, "1d"))[:4] == [200.0, 201.0, 202.0, 103.0]
    before = catalog.read(SYSTEM, "s", None, "1d", recorded_before_us=SEEN + DAY_US)
    assert _closes(before)[:3] == [100.0, 101.0, 102.0]
    as_known = catalog.read(SYSTEM, "s", None, "1d", as_of_us=SEEN - 1)
    assert _closes(as_known)[:3] == [100.0, 101.0, 102.0]
    assert _closes(catalog.revisions(SYSTEM, "s", COIN, "1d", START)) == [100.0, 200.0]
    assert catalog.read(SYSTEM, "s", None, "1d", recorded_before_us=SEEN).height == 0


def test_as_of_hides_what_could_not_be_known_yet(catalog: Catalog) -> None:
    catalog.append(SYSTEM, _frame(10), "b1")
    lag = 3_600_000_000
    assert catalog.read(SYSTEM, "s", None, "1d", as_of_us=START + 4 * DAY_US + lag - 1).height == 4
    assert catalog.read(SYSTEM, "s", None, "1d", as_of_us=START + 4 * DAY_US + lag).height == 5


def test_an_owner_reads_own_rows_and_those_of_everyone_and_nobody_elses(catalog: Catalog) -> None:
    alice, bob = Owner("org_alice"), Owner("org_bob")
    catalog.append(SYSTEM, pl.concat([_frame(5), _frame(5, OTHER)]), "b1")
    catalog.append(alice, _frame(3, price=900.0), "b2")
    mine = catalog.read(alice, "s", None, "1d")
    assert _closes(mine.filter(pl.col("instrument") == COIN)) == [900.0, 901.0, 902.0], "own rows are never spliced"
    assert mine.filter(pl.col("instrument") == OTHER).height == 5
    assert _closes(catalog.read(bob, "s", [COIN], "1d")) == [100.0 + d for d in range(5)]


def test_rows_without_a_time_of_arrival_are_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidInput, match="observed_at"):
        catalog.append(SYSTEM, _frame().with_columns(observed_at=pl.lit(None, pl.Int64)), "b1")


def test_compaction_merges_files_and_changes_no_answer(catalog: Catalog) -> None:
    for number in range(5):
        catalog.append(SYSTEM, _frame(40, price=float(number)), f"b{number}")
    before = catalog.read(SYSTEM, "s", None, "1d")
    files = set(catalog.folder.rglob("*.parquet"))
    assert catalog.compact("1d") > 0
    assert files < set(catalog.folder.rglob("*.parquet")), "a reader of the version before finds its files"
    assert catalog.read(SYSTEM, "s", None, "1d").equals(before)
    assert catalog.append(SYSTEM, _frame(40), "b0") == 0, "batches stay known"
    assert catalog.compact(Interval.HOUR) == 0


# --- the tail ---------------------------------------------------------------------------------------------------------


def _tail(catalog: Catalog, owner: Owner, frame: pl.DataFrame) -> None:
    def write(tx: Tx) -> None:
        catalog.tail_append(tx, owner, frame.to_dicts())

    catalog.database.write(write)


def test_live_bars_are_read_at_once_and_after_the_flush_as_before(catalog: Catalog) -> None:
    frame = _frame(20)
    catalog.append(SYSTEM, frame[:10], "b1")
    _tail(catalog, SYSTEM, frame[10:])
    assert catalog.read(SYSTEM, "s", None, "1d").equals(frame)
    bounds = (START + 5 * DAY_US, START + 15 * DAY_US, SEEN, SEEN + 1)
    assert catalog.read(SYSTEM, "s", [COIN], "1d", *bounds).height == 11
    assert catalog.flush() == 10
    assert catalog.read(SYSTEM, "s", None, "1d").equals(frame)
    assert catalog.database.read(tail.batches, None) == []
    assert catalog.flush() == 0


def test_a_live_bar_is_part_of_the_callers_transaction(catalog: Catalog) -> None:
    def fail(tx: Tx) -> None:
        catalog.tail_append(tx, SYSTEM, _frame(1).to_dicts())
        raise KeyError("something else failed")

    with pytest.raises(KeyError):
        catalog.database.write(fail)
    assert catalog.read(SYSTEM, "s", None, "1d").height == 0


def test_a_flush_of_one_owner_leaves_the_others(catalog: Catalog) -> None:
    _tail(catalog, Owner("org_a"), _frame(3))
    _tail(catalog, Owner("org_b"), _frame(4))
    assert catalog.flush(Owner("org_a")) == 3
    assert catalog.database.read(tail.groups, None) == [("org_b", "1d")]


@pytest.mark.parametrize("stopped_after", ["mark", "append"])
def test_a_flush_that_was_stopped_loses_and_doubles_nothing(catalog: Catalog, stopped_after: str) -> None:
    frame = _frame(20)
    _tail(catalog, SYSTEM, frame)
    catalog.database.write(tail.mark, SYSTEM, "1d", "bat_stopped", 1_000)
    if stopped_after == "append":
        rows = catalog.database.read(tail.batch_rows, "bat_stopped")
        catalog.append(SYSTEM, pl.DataFrame(rows, schema=SCHEMA), "bat_stopped")
    assert catalog.read(SYSTEM, "s", None, "1d").equals(frame), "in between, too"
    assert Catalog(catalog.folder, catalog.database).flush() == 20
    assert catalog.read(SYSTEM, "s", None, "1d").equals(frame)
    assert catalog.revisions(SYSTEM, "s", COIN, "1d", START).height == 1
    assert catalog.database.read(tail.batches, None) == []


def test_rows_that_arrive_during_a_flush_stay_for_the_next(catalog: Catalog) -> None:
    frame = _frame(20)
    _tail(catalog, SYSTEM, frame[:10])
    catalog.database.write(tail.mark, SYSTEM, "1d", "bat_first", 1_000)
    _tail(catalog, SYSTEM, frame[10:])
    assert catalog.flush() == 20
    assert catalog.read(SYSTEM, "s", None, "1d").equals(frame)


def test_two_writers_at_once_lose_nothing(tmp_path: Path, database: Database) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            mine = Catalog(tmp_path / "catalog", database)
            for batch in range(3):
                mine.append(Owner(f"org_{number}"), _frame(10), f"b{batch}")
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    catalog = Catalog(tmp_path / "catalog", database)
    for number in range(3):
        assert catalog.revisions(Owner(f"org_{number}"), "s", COIN, "1d", START).height == 3


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_clearly_and_harms_nothing(small_disk: Path, database: Database) -> None:
    catalog = Catalog(small_disk / "catalog", database)
    catalog.append(SYSTEM, _frame(), "b1")
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"x" * (free - 20_000))
    before = sorted(path for path in small_disk.rglob("*") if path.is_file())
    for _ in range(3):
        with pytest.raises(StorageFailed, match="free some space") as failed:
            catalog.append(SYSTEM, _frame(days=2_000, price=500.0), "b2")
        assert failed.value.full
    assert sorted(path for path in small_disk.rglob("*") if path.is_file()) == before, "nothing half-written stays"
    assert catalog.read(SYSTEM, "s", None, "1d").equals(_frame())
    filler.unlink()
    assert catalog.append(SYSTEM, _frame(days=2_000, price=500.0, seen=SEEN + 1), "b2") == 2_000
    assert _closes(catalog.read(SYSTEM, "s", None, "1d"))[0] == 500.0


def test_a_flush_on_a_full_disk_keeps_the_tail(small_disk: Path, database: Database) -> None:
    catalog = Catalog(small_disk / "catalog", database)
    catalog.append(SYSTEM, _frame(1), "b1")
    _tail(catalog, SYSTEM, _frame(500))
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"x" * (free - 8_000))
    with pytest.raises(StorageFailed):
        catalog.flush()
    assert catalog.read(SYSTEM, "s", None, "1d").equals(_frame(500))
    filler.unlink()
    assert catalog.flush() == 500
    assert catalog.read(SYSTEM, "s", None, "1d").equals(_frame(500))


# --- panels -----------------------------------------------------------------------------------------------------------


def test_a_panel_of_unknown_things_names_the_closest(catalog: Catalog) -> None:
    with pytest.raises(UnknownName, match="data set"):
        catalog.panel("us-stokcs")
    with pytest.raises(UnknownName, match="crypto:BTC-USDX"):
        catalog.panel(instruments=["crypto:BTC-USDX"])
    with pytest.raises(InvalidInput, match="one of the two"):
        catalog.panel()


def _register(catalog: Catalog, source: str, instrument: str) -> None:
    row = {
        "owner": SYSTEM, "source": source, "instrument": instrument, "interval": "1d", "pre_adjusted": False,
        "close_only": True, "revised": False, "lag_us": 0, "rows": 1, "first_time": START, "last_time": START,
        "verdict": "clean", "findings": [], "data_version": "", "checked_at": START, "created_at": START,
    }  # fmt: skip
    coin = {
        "id": instrument, "name": "", "currency": "USD", "calendar": "24/7", "tick": None, "lot": None,
        "minimum_notional": None, "multiplier": Decimal(1), "listed": None, "delisted": None, "created_at": START,
    }  # fmt: skip
    catalog.database.write(store.save_series, row)
    catalog.database.write(store.add_instruments, [coin])


def test_a_panel_aligns_what_is_missing_and_ends_where_told(catalog: Catalog) -> None:
    catalog.append(SYSTEM, pl.concat([_frame(5), _frame(5, OTHER)[2:]]), "b1")
    _register(catalog, "s", COIN)
    _register(catalog, "s", OTHER)
    panel = catalog.panel(instruments=[OTHER, COIN])
    assert panel.ids == (OTHER, COIN)
    assert panel.present[:, 0].tolist() == [False, False, True, True, True]
    assert panel.close[:, 1].tolist() == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert len(catalog.panel(instruments=[COIN], end_us=START + DAY_US)) == 2
    assert panel.data_version != catalog.panel(instruments=[COIN]).data_version
    with pytest.raises(TooFewRows):
        catalog.panel(instruments=[COIN], end_us=START - 1)


def test_two_sources_of_one_instrument_are_never_spliced(catalog: Catalog) -> None:
    catalog.append(SYSTEM, _frame(5), "b1")
    _register(catalog, "s", COIN)
    _register(catalog, "t", COIN)
    with pytest.raises(InvalidInput, match="choose one with source="):
        catalog.panel(instruments=[COIN])
    assert catalog.panel(instruments=[COIN], source="s").sources == ("s",)


# --- bars that were lost ----------------------------------------------------------------------------------------------


def test_bars_that_the_database_knows_and_the_folder_lost_are_told_as_damage(catalog: Catalog) -> None:
    catalog.append(SYSTEM, _frame(5), "b1")
    _register(catalog, "s", COIN)
    shutil.rmtree(catalog.folder / "bars")
    again = Catalog(catalog.folder, catalog.database)
    _tail(again, Owner("org_a"), _frame(1, OTHER))
    uses = (
        lambda: again.read(SYSTEM, "s", [COIN], "1d"),
        lambda: again.panel(instruments=[COIN]),
        lambda: again.append(SYSTEM, _frame(5), "b2"),
        lambda: again.flush(),
        lambda: again.compact("1d"),
    )
    for use in uses:
        with pytest.raises(StorageFailed, match=r"damaged: the 1 bars of crypto:BTC-USD from s are missing; restore"):
            use()
    assert again.read(SYSTEM, "s", [OTHER], "1d").height == 0, "nothing was ever stored of it"


def test_a_period_without_bars_is_no_damage(catalog: Catalog) -> None:
    catalog.append(SYSTEM, _frame(5), "b1")
    _register(catalog, "s", COIN)
    assert catalog.read(SYSTEM, "s", [COIN], "1d", end_us=START - 1).height == 0
    assert catalog.read(SYSTEM, "s", [COIN], "1d", as_of_us=START - 1).height == 0
    assert catalog.read(SYSTEM, "s", [COIN], "1d", recorded_before_us=START).height == 0
