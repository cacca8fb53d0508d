"""What sources list is added to the instruments that can be named, dated, without touching what others said."""

from __future__ import annotations

from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from asgi import Client
from json_server import json_server
from tradewright.app import house
from tradewright.app.ingestion_task import run_ingestion
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument
from tradewright.market.records import instrument_to_row
from tradewright.settings import Settings
from tradewright.sources import binance, symbols
from tradewright.sources.listings import Kept, Listing, keep_listing
from tradewright.sources.source import Listed
from tradewright.storage import accounts, ingestions, listings, series
from tradewright.storage.database import Database

DAY = 86_400_000_000


def listed(*names: str, tick: str | None = "0.01", active: bool = True) -> list[Listed]:
    made = (symbols.pair(*name.split("-"), tick=tick, lot="0.001") for name in names)
    return [Listed(each.symbol.replace("-", ""), each, active) for each in made]


def keep(database: Database, source: str, rows: list[Listed], now_us: int) -> Kept:
    return keep_listing(database, source, Listing(tuple(rows), 0), now_us)


def names(database: Database, instrument: str) -> list[tuple[Any, ...]]:
    rows = database.read(listings.names_of, instrument, 50)
    return [(row["source"], row["symbol"], row["valid_from"], row["valid_to"], row["tick"]) for row in rows]


def test_what_is_listed_can_be_named_and_what_it_is_called_is_dated(database: Database) -> None:
    first = listed("AAA-USD", "BBB-USD") + listed("OLD-USD", active=False)
    assert keep(database, "one", first, DAY) == Kept(2, 2, 0, 0)
    assert keep(database, "one", first, 2 * DAY) == Kept(2, 0, 0, 0)
    assert database.read(series.get_instrument, "crypto:OLD-USD") is None
    found = database.read(series.get_instrument, "crypto:AAA-USD")
    assert found is not None
    assert (found["tick"], found["lot"]) == (Decimal("0.01"), Decimal("0.001"))
    changed = listed("AAA-USD", tick="0.05") + listed("CCC-USD")
    assert keep(database, "one", changed, 3 * DAY) == Kept(2, 1, 1, 1)
    assert names(database, "crypto:AAA-USD") == [
        ("one", "AAAUSD", 3 * DAY, None, Decimal("0.05")), ("one", "AAAUSD", DAY, 3 * DAY, Decimal("0.01")),
    ]  # fmt: skip
    assert names(database, "crypto:BBB-USD") == [("one", "BBBUSD", DAY, 3 * DAY, Decimal("0.01"))]
    for moment, known in ((DAY - 1, None), (DAY, "crypto:BBB-USD"), (3 * DAY, None)):
        assert database.read(series.resolve_alias, "one", "BBBUSD", moment) == known
    assert database.read(series.get_instrument, "crypto:BBB-USD") is not None, "an id is for ever"
    again = database.read(series.get_instrument, "crypto:AAA-USD")
    assert again == found, "an instrument stays as it is"


def test_what_others_said_stays(database: Database) -> None:
    mine = Instrument("crypto:AAA-USD", name="by hand", tick=Decimal("0.5"))
    database.write(series.add_instruments, [instrument_to_row(mine, 1)])
    keep(database, "one", listed("AAA-USD", "BBB-USD"), DAY)
    before = names(database, "crypto:AAA-USD")
    assert keep(database, "two", listed("AAA-USD", tick=None), 2 * DAY) == Kept(1, 0, 0, 0)
    assert keep(database, "two", listed("BBB-USD", "AAA-USD", tick="0.2"), 3 * DAY) == Kept(2, 0, 1, 0)
    row = database.read(series.get_instrument, "crypto:AAA-USD")
    assert row is not None
    assert (row["name"], row["tick"], row["lot"]) == ("by hand", Decimal("0.5"), None)
    assert [name for name in names(database, "crypto:AAA-USD") if name[0] == "one"] == before


def test_a_symbol_that_means_another_instrument_now_does_so_from_now_on(database: Database) -> None:
    keep(database, "one", [Listed("X", symbols.pair("OLD", "USD"))], DAY)
    assert keep(database, "one", [Listed("X", symbols.pair("NEW", "USD"))], 2 * DAY) == Kept(1, 1, 1, 0)
    for moment, known in ((DAY, "crypto:OLD-USD"), (2 * DAY, "crypto:NEW-USD")):
        assert database.read(series.resolve_alias, "one", "X", moment) == known


def test_a_listing_that_lost_more_than_half_changes_nothing(database: Database) -> None:
    everything = listed(*(f"A{n}-USD" for n in range(10)))
    keep(database, "one", everything, DAY)
    for fewer in (everything[:4], listed("NEW-USD"), []):
        with pytest.raises(SourceFailed, match="nothing was changed"):
            keep(database, "one", fewer, 2 * DAY)
    assert len(database.read(listings.current_names, "one")) == 10
    assert database.read(series.get_instrument, "crypto:NEW-USD") is None
    assert keep(database, "one", everything[:5], 2 * DAY) == Kept(5, 0, 0, 5)


def test_thousands_come_in_at_once(database: Database) -> None:
    assert keep(database, "one", listed(*(f"A{n}-USD" for n in range(2_500))), DAY) == Kept(2_500, 2_500, 0, 0)
    moved = listed(*(f"A{n}-USD" for n in range(2_500)), tick="0.5")
    assert keep(database, "one", moved, 2 * DAY) == Kept(2_500, 0, 2_500, 0)


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_a_listing_is_asked_for_as_an_ingestion(served: Any) -> None:
    async def work(client: Client) -> None:
        made = await client.post("/v1/ingestions", {"source": "binance", "kind": "instruments"})
        assert made.status == 202, made.body
        asked = made.json["request"]
        assert (asked["kind"], asked["instruments"], asked["start"], made.json["owner"]) == (
            "instruments", [], None, "system",
        )  # fmt: skip
        assert (await client.get(f"/v1/ingestions/{made.json['id']}")).json == made.json

        async def refused(**body: Any) -> dict[str, str]:
            answer = await client.post("/v1/ingestions", body)
            assert answer.status == 422, answer.body
            return {each["pointer"]: each["detail"] for each in answer.json["errors"]}

        wrong = await refused(
            source="binance", kind="instruments", instruments=["BTCUSDT"], start="2024-01-01T00:00:00Z"
        )
        assert set(wrong) == {"/instruments", "/start"}
        assert "has no listing; it has bars" in (await refused(source="cboe", kind="instruments"))["/source"]
        assert "instruments are everybody's" in (await refused(source="polygon", kind="instruments"))["/source"]
        assert "no listing" in (await refused(source="ccxt_bitmart", kind="instruments"))["/source"]
        assert "did you mean" in (await refused(source="binanze", kind="instruments"))["/source"]
        assert set(await refused(source="binance")) == {"/instruments"}
        assert set(await refused(source="binance", kind="everything")) == {"/kind"}

    served.run(work)


def test_what_sources_call_an_instrument_is_shown(served: Any) -> None:
    keep(served.database, "one", listed("AAA-USD"), DAY)
    keep(served.database, "one", listed("AAA-USD", tick=None), 2 * DAY)

    async def work(client: Client) -> None:
        shown = await client.get("/v1/instruments/crypto:AAA-USD/names")
        now, before = shown.json["data"]
        assert (now["source"], now["symbol"], now["tick"], now["until"]) == ("one", "AAAUSD", None, None)
        assert (before["since"], before["until"], before["tick"]) == (
            "1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z", "0.01",
        )  # fmt: skip
        assert (await client.get("/v1/instruments/crypto:BBB-USD/names")).json == {"data": []}
        assert (await client.get("/v1/instruments/crypto:NO-USD/names")).status == 404

    served.run(work)


# --- the job ----------------------------------------------------------------------------------------------------------


def listing_like_binance(pairs: list[tuple[str, str]]) -> AbstractContextManager[str]:
    """A server that lists these pairs."""
    entries = [
        {"symbol": base + quote, "baseAsset": base, "quoteAsset": quote, "status": "TRADING", "filters": []}
        for base, quote in pairs
    ]
    return json_server(lambda _: (200, {"symbols": [*entries, {"symbol": "what is this"}]}))


def test_the_job_adds_what_is_listed_and_reports_it(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)
    request = {"kind": "instruments", "instruments": [], "interval": "1d", "start": None, "end": None}
    told: list[str] = []
    with listing_like_binance([("AAA", "USDT"), ("BBB", "USDT")]) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_BINANCE_URL", address)
        database.write(accounts.add_organization, "org_a", "a", 1)
        key = database.write(ingestions.order, "org_a", "paper", "system", "binance", request, 1)
        whose = {"organization": "org_a", "environment": "paper", "ingestion": key}
        payload = {"settings": house.settings_to(settings), **whose}
        report = run_ingestion(payload, lambda fraction, message: told.append(message))
        counts = {"listed": 2, "added": 2, "changed": 0, "ended": 0, "skipped": 1, "stored": 2}
        assert report == {**counts, "elsewhere": address.removeprefix("http://")}
        row = database.read(ingestions.get, "org_a", "paper", key)
        assert row is not None
        assert row["report"] == report
        assert binance.instrument_of("AAAUSDT").id in {each["id"] for each in database.read(series.list_instruments)}
    assert told == ["Binance spot: 2 instruments"]
