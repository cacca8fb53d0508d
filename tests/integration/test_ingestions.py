"""Ingestions over HTTP, and what their job does, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import polars as pl
import pytest

from asgi import Client
from json_server import json_server
from tradewright.app import house
from tradewright.app.ingestion_task import run_ingestion
from tradewright.app.source_commands import begun
from tradewright.app.texts import ingest_text
from tradewright.clock import DAY_US, format_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.ids import SYSTEM, Owner
from tradewright.market.dated import facts_of
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument
from tradewright.settings import Settings
from tradewright.sources.asking import MAX_UNFINISHED
from tradewright.storage import accounts, ingestions, jobs, outbox, people, series, third_parties
from tradewright.storage.database import Database, Tx

START = 1_600_041_600_000_000
BITCOIN = {"source": "binance", "instruments": ["BTCUSDT", "crypto:ETH-USDT"], "interval": "1h"}


def keep(served: Any, organization: str, source: str, **fields: str) -> None:
    sealed = served.services.vault.seal(msgspec.json.encode(fields), f"source_credentials/scr_{source}")
    keeping = (third_parties.keep_credentials, organization, source, f"scr_{source}", sealed, 1)
    served.database.write(*keeping)


def test_an_ingestion_is_a_job_that_can_be_followed_and_cancelled(served: Any) -> None:
    async def work(client: Client) -> None:
        made = await client.post("/v1/ingestions", BITCOIN, headers={"Idempotency-Key": "once"})
        assert made.status == 202, made.body
        assert (await client.post("/v1/ingestions", BITCOIN, headers={"Idempotency-Key": "once"})).body == made.body
        shown = made.json
        assert (shown["status"], shown["owner"], shown["marks"], shown["report"]) == ("queued", "system", {}, None)
        now_us = served.clock.now_us()
        assert shown["request"] == {
            "kind": "data",
            "instruments": ["crypto:BTC-USDT", "crypto:ETH-USDT"],
            "interval": "1h",
            "start": format_us(now_us - 500 * DAY_US),
            "end": format_us(now_us),
            "begins": dict.fromkeys(("crypto:BTC-USDT", "crypto:ETH-USDT"), format_us(now_us - 500 * DAY_US)),
        }
        target = f"/v1/ingestions/{shown['id']}"
        await served.database.write_async(ingestions.mark, shown["id"], "crypto:BTC-USDT", now_us)
        read = await client.get(target)
        assert read.json["marks"] == {"crypto:BTC-USDT": format_us(now_us)}
        assert (await client.get(target, headers={"If-None-Match": read.headers["etag"]})).status == 304
        assert read.json in (await client.get("/v1/ingestions")).json["data"]
        stopped = await client.post(f"{target}/cancel", None)
        assert (stopped.status, stopped.json["status"]) == (202, "cancelled")
        assert (await client.post(f"{target}/cancel", None)).status == 409

    served.run(work)


def test_everything_that_is_wrong_with_a_request_is_told_at_once(served: Any) -> None:
    wrong = {
        "source": "coinbase",
        "instruments": ["crypto:BTC-USD", "equity:AAPL", "BTC-USD"],
        "interval": "1d",
        "start": "2024-01-02T00:00:00Z",
        "end": "2024-01-01T00:00:00Z",
    }

    async def refused(client: Client, **change: Any) -> tuple[int, str, dict[str, str]]:
        answer = await client.post("/v1/ingestions", wrong | change)
        return answer.status, answer.json["code"], {e["pointer"]: e["detail"] for e in answer.json["errors"]}

    async def work(client: Client) -> None:
        status, code, told = await refused(client)
        assert (status, code, list(told)) == (422, "invalid_input", ["/instruments/1", "/instruments/2", "/start"])
        assert "before" in told["/instruments/2"]
        status, _, told = await refused(client, source="coinbas")
        assert (status, list(told)) == (422, ["/source", "/start"])
        assert "did you mean coinbase" in told["/source"]
        long_ago = {"start": "1900-01-01T00:00:00Z", "interval": "1m", "instruments": ["crypto:BTC-USD"]}
        assert list((await refused(client, **long_ago))[2]) == ["/start"]
        first_day = {"source": "binance", "start": None, "end": "0001-01-02T00:00:00Z", "instruments": ["BTCUSDT"]}
        made = await client.post("/v1/ingestions", wrong | first_day)
        assert (made.status, made.json["request"]["start"]) == (202, "0001-01-01T00:00:00Z")
        off = await refused(client, source="yahoo", instruments=["AAPL"], start=None)
        assert list(off[2]) == ["/source"]
        assert "off here" in off[2]["/source"]

    served.run(work)


def test_without_a_start_each_instrument_goes_on_where_its_series_ends(served: Any) -> None:
    # the seeded series of everybody ends 30 days after START
    body = {"source": "binance", "instruments": ["crypto:AAA-USD", "crypto:NEW-USD"]}

    async def begins(client: Client, **change: Any) -> tuple[int, dict[str, str]]:
        made = await client.post("/v1/ingestions", body | change)
        assert made.status == 202, made.body
        asked = made.json["request"]
        assert asked["start"] == min(asked["begins"].values(), default=change.get("start"))
        return made.json["id"], asked["begins"]

    async def work(client: Client) -> None:
        now_us, last_us = served.clock.now_us(), START + 29 * DAY_US
        _, plain = await begins(client)
        assert plain == {
            "crypto:AAA-USD": format_us(last_us - 5 * DAY_US),
            "crypto:NEW-USD": format_us(now_us - 500 * DAY_US),
        }
        _, earlier = await begins(client, end=format_us(last_us - 1))
        assert set(earlier.values()) == {format_us(last_us - 1 - 500 * DAY_US)}
        _, hours = await begins(client, interval="1h")
        assert set(hours.values()) == {format_us(now_us - 500 * DAY_US)}
        _, named = await begins(client, start="2020-01-01T00:00:00Z")
        assert named == {}
        keep(served, "org_a", "binance", key="ours")
        _, own = await begins(client)
        assert set(own.values()) == {format_us(now_us - 500 * DAY_US)}, "a series of others was gone on with"

    served.run(work)


def test_facts_are_asked_for_again_as_far_back_as_they_may_be_revised(served: Any) -> None:
    body = {"source": "fred", "instruments": ["GDP", "UNRATE"]}

    async def work(client: Client) -> None:
        now_us, old_us = served.clock.now_us(), served.clock.now_us() - 700 * DAY_US
        keep(served, "org_a", "fred", api_key="ours")
        for last_us in (now_us - DAY_US, old_us):
            row = served.database.read(series.get_series, SYSTEM, "binance", "crypto:AAA-USD", "1d")
            fact = {"owner": "org_a", "source": "fred", "instrument": "macro:GDP", "interval": "fact"}
            served.database.write(series.save_series, row | fact | {"last_time": last_us})
            made = await client.post("/v1/ingestions", body)
            usual = format_us(now_us - 500 * DAY_US)
            expected = {"macro:GDP": min(usual, format_us(last_us)), "macro:UNRATE": usual}
            assert made.json["request"]["begins"] == expected, made.body

    served.run(work)


def test_what_a_source_no_longer_has_is_not_asked_for(served: Any) -> None:
    async def work(client: Client) -> None:
        made = await client.post("/v1/ingestions", {"source": "kraken", "instruments": ["BTC-USD"], "interval": "1m"})
        assert made.json["request"]["start"] == format_us(served.clock.now_us() - 684 * 60_000_000)

    served.run(work)


def test_an_interval_that_a_source_has_not_is_named(served: Any) -> None:
    async def work(client: Client) -> None:
        body = {"source": "coingecko", "instruments": ["crypto:BTC-USD"], "interval": "1m"}
        answer = await client.post("/v1/ingestions", body)
        assert "/interval" in [error["pointer"] for error in answer.json["errors"]], answer.body

    served.run(work)


def test_what_is_asked_with_credentials_belongs_to_who_keeps_them(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWRIGHT_FRED_API_KEY", "of the operator")
    body = {"source": "fred", "instruments": ["GDP"]}

    async def work(client: Client) -> None:
        refused = await client.post("/v1/ingestions", body)
        assert (refused.status, refused.json["code"]) == (409, "source_refused")
        assert "PUT /v1/sources/fred/credentials" in refused.json["detail"]
        keep(served, "org_a", "fred", api_key="ours")
        made = await client.post("/v1/ingestions", body)
        assert (made.status, made.json["owner"]) == (202, "org_a")
        assert (await client.post("/v1/ingestions", body, key=served.keys["other organization"])).status == 409

    served.run(work)


def test_a_venue_of_ccxt_is_taken_by_its_name_alone(served: Any) -> None:
    async def work(client: Client) -> None:
        body = {"source": "ccxt_bitmart", "instruments": ["BTC-USDT"]}
        made = await client.post("/v1/ingestions", body)
        assert (made.status, made.json["request"]["instruments"]) == (202, ["crypto:BTC-USDT"])
        assert (await client.post("/v1/ingestions", body | {"source": "ccxt_nowhere"})).status == 422

    served.run(work)


def test_an_organization_has_so_many_unfinished_ones_and_no_more(served: Any) -> None:
    async def work(client: Client) -> None:
        made = []
        while (answer := await client.post("/v1/ingestions", BITCOIN)).status == 202:
            made.append(answer.json["id"])
        assert (answer.status, answer.json["code"]) == (409, "conflict")
        assert len(made) == MAX_UNFINISHED - 2  # two are seeded
        other = await client.post("/v1/ingestions", BITCOIN, key=served.keys["other organization"])
        assert other.status == 202
        assert (await client.post(f"/v1/ingestions/{made[0]}/cancel", None)).status == 202
        assert (await client.post("/v1/ingestions", BITCOIN)).status == 202

    served.run(work)


# --- of the command line ----------------------------------------------------------------------------------------------


def asked_until(end_us: int, start: str | None = None, end: str | None = None) -> dict[str, Any]:
    words = {"instruments": ["crypto:BTC-USDT"], "interval": "1d", "start": start, "end": end}
    return {**words, "start_us": START, "end_us": end_us, "begins": {"crypto:BTC-USDT": START}}


def test_an_unfinished_ingestion_is_gone_on_with_until_now_by_whoever_owns_it(database: Database) -> None:
    def one(owner: str, request: dict[str, Any], fail: bool = False) -> tuple[str, int]:
        with suppress(SourceFailed), begun(database, "org_a", "paper", owner, "binance", request) as ingestion:
            if fail:
                database.write(jobs.report, ingestion, 0.5, "waiting 3 s for Binance", START)
                raise SourceFailed("it did not answer")
        row = database.read(ingestions.get, "org_a", "paper", ingestion)
        assert row is not None
        assert (row["status"], row["message"]) == ("failed" if fail else "succeeded", "")
        return ingestion, row["request"]["end_us"]

    first, _ = one(SYSTEM, asked_until(START + 10), fail=True)
    assert one("org_a", asked_until(START + 20))[0] != first
    assert one(SYSTEM, asked_until(START + 20, end="2024-01-01"))[0] != first
    assert one(SYSTEM, asked_until(START + 30), fail=True) == (first, START + 30)
    assert one(SYSTEM, asked_until(START + 40)) == (first, START + 40)
    assert one(SYSTEM, asked_until(START + 50))[0] != first
    named, _ = one(SYSTEM, asked_until(START + 10, end="2024-01-01"), fail=True)
    assert one(SYSTEM, asked_until(START + 20, end="2024-01-01")) == (named, START + 10)


# --- the job ----------------------------------------------------------------------------------------------------------


SPAN = {"start_us": 1_700_000_000_000_000, "end_us": 1_720_000_000_000_000}
Answer = Callable[[dict[str, list[str]]], tuple[int, Any]]


def serving(answer: Answer) -> AbstractContextManager[str]:
    """A server that answers every query with the status and JSON of `answer`."""
    return json_server(lambda target: answer(parse_qs(urlsplit(target).query)))


def ordered(tx: Tx, key: str = "ing_a", organization: str = "org_a", **asked: Any) -> str:
    """Ask for an ingestion as the API does, of the gross domestic product unless `asked` says otherwise."""
    source, owner = asked.pop("source", "fred"), asked.pop("owner", organization)
    request = {"instruments": ["macro:GDP"], "interval": "1d", **SPAN, **asked}
    job = jobs.enqueue(tx, organization, "paper", "ingestion", {"ingestion": key}, 1)
    row = {"id": key, "organization": organization, "environment": "paper", "owner": owner, "job": job}
    if people.get_organization(tx, organization) is None:
        accounts.add_organization(tx, organization, organization, 1)
    ingestions.add(tx, {**row, "source": source, "request": request, "created_at": 1})
    return key


def fred(asked: list[str]) -> Answer:
    """Answers like FRED, notes the keys that it was asked with and refuses a wrong one."""
    row = {"realtime_start": "2024-04-25", "realtime_end": "9999-12-31", "date": "2024-01-01", "value": "2.5"}
    whole = {"count": 1, "offset": 0, "limit": 100_000, "observations": [row]}

    def answer(query: dict[str, list[str]]) -> tuple[int, Any]:
        asked.append(query["api_key"][0])
        if asked[-1] == "wrong":
            return 400, {
                "error_code": 400,
                "error_message": "Bad Request. The value for variable api_key is not registered.",
            }
        return 200, whole | {"seriess": [{"id": "GDP", "frequency_short": "Q"}]}

    return answer


def bitcoin_alone(query: dict[str, list[str]]) -> tuple[int, Any]:
    """Answers like Binance if it had one pair."""
    if query["symbol"] != ["BTCUSDT"]:
        return 400, {"code": -1121, "msg": "Invalid symbol."}
    return 200, [[1_699_999_200_000, "1", "2", "0.5", "1.5", "3", 0, "0", 1, "0", "0", "0"]]


def test_the_job_uses_what_its_organization_keeps_and_never_the_operators(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)
    asked: list[str] = []

    def run(database: Database, organization: str) -> dict[str, Any]:
        whose = {"organization": organization, "environment": "paper"}
        payload = {
            "settings": house.settings_to(settings),
            **whose,
            "ingestion": database.write(ordered, f"ing_{organization}", organization),
        }
        return run_ingestion(payload, lambda fraction, message: None)

    with serving(fred(asked)) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_FRED_URL", address)
        monkeypatch.setenv("TRADEWRIGHT_FRED_API_KEY", "of the operator")
        with pytest.raises(SourceRefused):
            run(database, "org_without")
        assert asked == []
        sealed = house.open_vault(settings).seal(b'{"api_key":"of the organization"}', "source_credentials/scr_1")
        database.write(third_parties.keep_credentials, "org_with", "fred", "scr_1", sealed, 1)
        assert run(database, "org_with")["stored"] == 1
        assert set(asked) == {"of the organization"}
    facts = facts_of(settings.data_folder)
    assert facts.read(Owner("org_with")).height == 1
    assert facts.read(Owner("org_without")).height == facts.read(SYSTEM).height == 0


def test_the_job_of_an_unknown_symbol_fails_by_its_name_and_brings_in_the_others(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)
    names = ["crypto:GONE-USDT", "crypto:BTC-USDT", "crypto:AWAY-USDT"]

    payload = {"settings": house.settings_to(settings), "organization": "org_a", "environment": "paper"}
    with serving(bitcoin_alone) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_BINANCE_URL", address)
        hours = {"start_us": 1_699_990_000_000_000, "end_us": 1_700_010_000_000_000}
        database.write(ordered, source="binance", owner=SYSTEM, instruments=names, interval="1h", **hours)
        with pytest.raises(UnknownName) as told:
            run_ingestion(payload | {"ingestion": "ing_a"}, lambda fraction, message: None)
        assert told.value.message.startswith(
            "2 of 3 instruments are unknown to Binance spot: crypto:GONE-USDT, crypto:A"
        )
        report = database.read(ingestions.get, "org_a", "paper", "ing_a")["report"]  # type: ignore[index] # there
        assert (report["stored"], set(report["unknown"])) == (1, {names[0], names[2]})
        assert database.read(third_parties.health, SYSTEM)["binance"]["status"] == "answers"


def test_a_refusal_of_a_key_is_written_down_as_what_the_source_said(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)

    payload = {"settings": house.settings_to(settings), "organization": "org_a", "environment": "paper"}
    with serving(fred([])) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_FRED_URL", address)
        database.write(ordered)
        with pytest.raises(SourceRefused):
            run_ingestion(payload | {"ingestion": "ing_a"}, lambda fraction, message: None)
        assert database.read(third_parties.health, Owner("org_a")) == {}, "nobody asked it anything"
        sealed = house.open_vault(settings).seal(b'{"api_key":"wrong"}', "source_credentials/scr_1")
        database.write(third_parties.keep_credentials, "org_a", "fred", "scr_1", sealed, 1)
        with pytest.raises(SourceRefused):
            run_ingestion(payload | {"ingestion": "ing_a"}, lambda fraction, message: None)
        known = database.read(third_parties.health, Owner("org_a"))["fred"]
        assert (known["status"], "does not accept the key" in known["said"]) == ("degraded", True)
        assert "fred" not in database.read(third_parties.health, SYSTEM), "it is the key of this organization"


def test_the_requests_of_a_day_are_counted_from_one_ingestion_to_the_next(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)
    asked: list[str] = []

    with serving(fred(asked)) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_FRED_URL", address)

        def run(key: str, credential: str, limits: str) -> None:
            monkeypatch.setenv("TRADEWRIGHT_FRED_LIMITS", limits)
            text = msgspec.json.encode({"api_key": credential})
            sealed = house.open_vault(settings).seal(text, "source_credentials/scr_1")
            database.write(third_parties.keep_credentials, "org_a", "fred", "scr_1", sealed, 1)
            database.write(ordered, key)
            whose = {"organization": "org_a", "environment": "paper", "ingestion": key}
            run_ingestion({"settings": house.settings_to(settings), **whose}, lambda fraction, message: None)

        run("ing_1", "mine", "1000/86400,1000/60")
        used = len(asked)
        with pytest.raises(SourceLimited, match="its limits are used up"):
            run("ing_2", "mine", f"{used}/86400")
        assert len(asked) == used
        run("ing_3", "another", f"{used}/86400")
        assert len(asked) == 2 * used
        assert not any("mine" in path.name for path in (settings.data_folder / "quotas").iterdir())


def test_facts_of_another_time_than_was_asked_for_are_told(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)

    with serving(fred([])) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_FRED_URL", address)
        sealed = house.open_vault(settings).seal(b'{"api_key":"ours"}', "source_credentials/scr_1")
        database.write(third_parties.keep_credentials, "org_a", "fred", "scr_1", sealed, 1)
        database.write(ordered, start_us=900_000_000_000_000, end_us=910_000_000_000_000)
        whose = {"organization": "org_a", "environment": "paper", "ingestion": "ing_a"}
        report = run_ingestion({"settings": house.settings_to(settings), **whose}, lambda fraction, message: None)
    assert (report["rows_read"], report["outside"]["rows"]) == (0, 1)
    assert report["outside"]["first"] == report["outside"]["last"] == "2024-04-01T00:00:00Z"


DAYS = 40


def coin_days(factor: float = 1.0) -> Answer:
    """Answers like Binance with days of one pair, whose closes are `factor` times those of `closes_of_days`."""

    def answer(query: dict[str, list[str]]) -> tuple[int, Any]:
        begin, end = int(query["startTime"][0]), int(query["endTime"][0])
        wanted = [(at, close * factor) for at, close in closes_of_days() if begin <= at <= end]
        return 200, [[at, *[f"{close:.4f}"] * 4, "3", 0, "0", 1, "0", "0", "0"] for at, close in wanted]

    return answer


def closes_of_days() -> list[tuple[int, float]]:
    begin = START // 1_000
    return [(begin + n * DAY_US // 1_000, 100.0 + n % 7 + (n % 5) / 10) for n in range(DAYS)]


def stored_days(settings: Settings, database: Database, source: str, wrong: dict[int, float]) -> None:
    closes = [(at * 1_000 + DAY_US, close * wrong.get(n, 1.0)) for n, (at, close) in enumerate(closes_of_days())]
    rows = [{"time": at, **dict.fromkeys(("open", "high", "low", "close"), close)} for at, close in closes]
    frame = pl.DataFrame(rows).with_columns(volume=pl.lit(3.0), instrument=pl.lit("crypto:BTC-USDT"))
    names = [Instrument("crypto:BTC-USDT")]
    ingest_frame(
        house.open_catalog(settings, database), database, SYSTEM, frame, names, interval="1d", source=source,
        now_us=START + 100 * DAY_US, ingestion_id=f"ing_{source}",
    )  # fmt: skip


def test_the_verdict_of_an_ingestion_is_that_after_its_sources_were_compared(
    tmp_path: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=migrated_url)
    payload = {"settings": house.settings_to(settings), "organization": "org_a", "environment": "paper"}
    span = {"interval": "1d", "start_us": START, "end_us": START + DAYS * DAY_US}

    def run(key: str, database: Database) -> dict[str, Any]:
        asked = {"source": "binance", "owner": SYSTEM, "instruments": ["crypto:BTC-USDT"], **span}
        database.write(ordered, key, **asked)
        return run_ingestion(payload | {"ingestion": key}, lambda fraction, message: None)

    def of_the_series(database: Database) -> tuple[str, list[str]]:
        row = database.read(series.get_series, SYSTEM, "binance", "crypto:BTC-USDT", "1d")
        assert row is not None
        return row["verdict"], [each["code"] for each in row["findings"]]

    with serving(coin_days()) as address, house.open_database(settings) as database:
        monkeypatch.setenv("TRADEWRIGHT_BINANCE_URL", address)
        alone = run("ing_1", database)
        assert "sources_disagree" not in [each["code"] for each in alone["findings"]]
        assert alone["compared"] == []
        stored_days(settings, database, "kraken", dict.fromkeys(range(5, 30, 6), 1.1))
        report = run("ing_2", database)
        assert (report["verdict"], [each["code"] for each in report["findings"]]) == of_the_series(database)
        assert report["verdict"] == "suspect"
        (compared,) = report["compared"]
        assert (compared["instrument"], compared["sources"]) == ("crypto:BTC-USDT", ["binance", "kraken"])
        told = {(each["source"], each["code"], each["severity"], each["count"]) for each in compared["findings"]}
        assert told == {(name, "sources_disagree", "suspect", 5) for name in ("binance", "kraken")}
        row = database.read(ingestions.get, "org_a", "paper", "ing_2")
        assert row is not None
        assert row["report"] == report
        _, _, _, event = database.read(ingestions.finished, {"id": row["job"]}, "succeeded")
        assert event["verdict"] == "suspect"
        stored_days(settings, database, "kraken", {})
        again = run("ing_3", database)
        assert (again["verdict"], [each["code"] for each in again["findings"]]) == of_the_series(database)
        assert "sources_disagree" not in [each["code"] for each in again["findings"]]
        assert [each["findings"] for each in again["compared"]] == [[]]


def test_what_was_compared_is_told_at_the_command_line() -> None:
    detail = "5 of 40 rows: the prices of 2 sources differ"
    finding = {"code": "sources_disagree", "severity": "suspect", "count": 5, "detail": detail}
    names = ("rows_read", "accepted", "stored", "revised", "rejected", "duplicates")
    report = dict.fromkeys(names, 1) | {"verdict": "suspect", "findings": []}
    compared = {"instrument": "crypto:BTC-USDT", "sources": ["binance", "kraken"], "findings": []}
    said = "crypto:BTC-USDT compared between binance, kraken:"
    assert ingest_text(report | {"compared": []}).splitlines()[-1] == "verdict: suspect"
    assert ingest_text(report | {"compared": [compared]}).splitlines()[-1] == f"{said} no finding"
    text = ingest_text(report | {"compared": [compared | {"findings": [finding | {"source": "kraken"}]}]})
    assert text.splitlines()[-2:] == [said, f"  suspect  kraken           sources_disagree: {detail}"]


def test_an_ingestion_of_the_command_line_is_told_as_an_event(database: Database) -> None:
    for fails in (False, True):
        with suppress(SourceFailed), begun(database, "org_a", "paper", SYSTEM, "binance", asked_until(START)) as key:
            database.write(ingestions.save_report, key, {"stored": 7, "revised": 2, "verdict": "usable"})
            if fails:
                raise SourceFailed("it did not answer")
        database.write(outbox.sequence)
        rows = database.read(outbox.list_events, "org_a", "paper")
        told = [each["data"] for each in rows if (each["type"], each["subject"]) == ("ingestion.finished", key)]
        expected = {
            "ingestion": key, "source": "binance", "status": "failed" if fails else "succeeded", "rows": 7,
            "revised": 2, "verdict": "usable", "schedule": None,
        }  # fmt: skip
        assert told == [expected]
