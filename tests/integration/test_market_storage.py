"""The storage functions of market data page, filter and keep owners apart."""

from __future__ import annotations

from typing import Any

from tradewright.ids import SYSTEM, Owner
from tradewright.market.instruments import Instrument
from tradewright.market.records import instrument_from_row, instrument_to_row
from tradewright.storage import series as store
from tradewright.storage.database import Database


def _series(owner: str, instrument: str, source: str = "s", interval: str = "1d") -> dict[str, Any]:
    return {
        "owner": owner, "source": source, "instrument": instrument, "interval": interval, "pre_adjusted": False,
        "close_only": False, "revised": True, "lag_us": 5, "rows": 1, "first_time": 1, "last_time": 2,
        "verdict": "clean", "findings": [{"code": "x"}], "data_version": "v", "checked_at": 3, "created_at": 4,
    }  # fmt: skip


def test_instruments_are_paged_in_both_directions_and_keep_their_birthday(database: Database) -> None:
    made = [Instrument(f"crypto:C{n}-USD", name=f"coin {n}") for n in range(5)]
    database.write(store.upsert_instruments, [instrument_to_row(i, 100) for i in made])
    database.write(store.upsert_instruments, [instrument_to_row(Instrument("crypto:C0-USD", name="new"), 200)])
    database.write(store.add_instruments, [instrument_to_row(Instrument("crypto:C1-USD", name="ignored"), 200)])
    page = database.read(store.list_instruments, None, 2)
    assert [row["id"] for row in page] == ["crypto:C0-USD", "crypto:C1-USD"]
    assert [row["name"] for row in page] == ["new", "coin 1"]
    assert [row["created_at"] for row in page] == [100, 100]
    rest = database.read(store.list_instruments, page[-1]["id"], 10)
    assert [row["id"] for row in rest] == ["crypto:C2-USD", "crypto:C3-USD", "crypto:C4-USD"]
    back = database.read(store.list_instruments, "crypto:C2-USD", 10, True)
    assert [row["id"] for row in back] == ["crypto:C1-USD", "crypto:C0-USD"]
    found = database.read(store.get_instrument, "crypto:C3-USD")
    assert found is not None
    assert instrument_from_row(found) == made[3]
    assert database.read(store.get_instrument, "crypto:NO-USD") is None


def test_series_belong_to_owners_and_everyone_sees_those_of_system(database: Database) -> None:
    for row in (_series("system", "equity:A"), _series("org_a", "equity:A"), _series("org_b", "equity:B")):
        database.write(store.save_series, row)
    database.write(store.save_series, {**_series("system", "equity:A"), "rows": 9, "created_at": 99})
    seen = database.read(store.list_series, Owner("org_a"))
    assert [(row["instrument"], row["owner"]) for row in seen] == [("equity:A", "org_a"), ("equity:A", "system")]
    assert seen[1]["rows"] == 9
    assert seen[1]["created_at"] == 4
    assert seen[1]["findings"] == [{"code": "x"}]
    after = database.read(store.list_series, Owner("org_a"), after=("equity:A", "1d", "s", "org_a"))
    assert [row["owner"] for row in after] == ["system"]
    assert database.read(store.get_series, Owner("org_a"), "s", "equity:B", "1d") is None
    assert database.read(store.list_series, SYSTEM, interval="1h") == []


def test_a_data_set_gets_a_new_version_only_when_it_changes(database: Database) -> None:
    members = [{"source": "s", "instrument": "equity:A", "interval": "1d"}]
    assert database.write(store.save_data_set, SYSTEM, "mine", members, "n", 1) == 1
    assert database.write(store.save_data_set, SYSTEM, "mine", members, "n", 2) == 1
    assert database.write(store.save_data_set, SYSTEM, "mine", members * 2, "n", 3) == 2
    found = database.read(store.get_data_set, Owner("org_a"), "mine")
    assert found is not None
    assert (found["version"], len(found["series"])) == (2, 2)
    database.write(store.save_data_set, Owner("org_a"), "mine", members, "own", 4)
    own = database.read(store.get_data_set, Owner("org_a"), "mine")
    assert own is not None
    assert own["note"] == "own"
    assert [row["version"] for row in database.read(store.list_data_sets, Owner("org_b"))] == [1, 2]


def test_rejected_rows_are_kept_once_and_seen_by_their_owner_only(database: Database) -> None:
    row = {
        "id": "qua_1", "owner": "org_a", "source": "s", "instrument": "equity:A", "interval": "1d", "time": None,
        "code": "c", "detail": "d", "row": {"close": None}, "ingestion": "i", "status": "held", "created_at": 1,
    }  # fmt: skip
    database.write(store.quarantine_rows, [row, {**row, "id": "qua_2", "code": "e"}])
    database.write(store.quarantine_rows, [{**row, "detail": "again"}])
    held = database.read(store.list_quarantine, Owner("org_a"), source="s", instrument="equity:A", status="held")
    assert [(r["id"], r["detail"], r["row"]) for r in held] == [
        ("qua_1", "d", {"close": None}), ("qua_2", "d", {"close": None}),
    ]  # fmt: skip
    assert [r["id"] for r in database.read(store.list_quarantine, Owner("org_a"), after_id="qua_1")] == ["qua_2"]
    assert database.read(store.list_quarantine, SYSTEM) == []
    assert database.read(store.count_quarantine, Owner("org_a"), "s", "equity:A", "1d") == {"c": 1, "e": 1}


def test_an_alias_holds_for_its_time(database: Database) -> None:
    rows = [
        {"source": "s", "symbol": "FB", "valid_from": 0, "valid_to": 100, "instrument": "equity:META"},
        {"source": "s", "symbol": "FB", "valid_from": 200, "valid_to": None, "instrument": "equity:FBX"},
    ]
    database.write(store.add_aliases, rows)
    database.write(store.add_aliases, rows)
    seen = [database.read(store.resolve_alias, "s", "FB", at) for at in (0, 99, 100, 200, 999)]
    assert seen == ["equity:META", "equity:META", None, "equity:FBX", "equity:FBX"]
