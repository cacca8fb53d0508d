"""Bars, quotes, signals, events, portfolios and broker accounts over HTTP, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import io
import threading
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from asgi import Client, Person
from tradewright.accounts import keys
from tradewright.clock import DAY_US, format_us
from tradewright.events.types import TYPES
from tradewright.ids import SYSTEM
from tradewright.storage import jobs, ledgers, outbox, runs, signals, tail, trading
from tradewright.storage import series as series_store
from tradewright.storage.database import Tx
from tradewright.storage.tables import (
    audit_log,
    balances,
    broker_accounts,
    feed_sessions,
    orders,
    outbox_heads,
    portfolios,
    positions,
    postings,
    scoreboard,
)
from tradewright.storage.tables import jobs as jobs_table
from tradewright.trading import ledger
from tradewright.trading.opening import MAX_BROKER_ACCOUNTS, MAX_PORTFOLIOS

START = 1_600_041_600_000_000
BARS = "/v1/bars?instruments=crypto:AAA-USD,crypto:BBB-USD"
ARROW = "application/vnd.apache.arrow.stream"


async def all_pages(client: Client, target: str, accept: str) -> list[Any]:
    pages: list[Any] = []
    while target:
        answer = await client.get(target, headers={"Accept": accept})
        assert answer.status == 200, answer.body
        pages.append(answer.body)
        assert len(pages) < 20, "the pages do not end"
        target = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    return pages


def test_csv_and_arrow_say_what_json_says_page_by_page(served: Any) -> None:
    async def work(client: Client) -> None:
        wanted = (await client.get(f"{BARS}&limit=100")).json["data"]
        assert len(wanted) == 42
        csv = pl.concat([pl.read_csv(page) for page in await all_pages(client, f"{BARS}&limit=10", "text/csv")])
        arrow = pl.concat(
            [pl.read_ipc_stream(io.BytesIO(page)) for page in await all_pages(client, f"{BARS}&limit=10", ARROW)]
        )
        assert csv.rows(named=True) == [{name: row[name] for name in csv.columns} for row in wanted]
        assert arrow["close"].to_list() == [row["close"] for row in wanted]
        assert [format_us(time) for time in arrow["time"].dt.timestamp("us")] == [row["time"] for row in wanted]

    served.run(work)


def test_the_last_page_of_csv_and_arrow_leads_nowhere(served: Any) -> None:
    async def work(client: Client) -> None:
        for accept in ("text/csv", ARROW):
            pages = await all_pages(client, f"{BARS}&limit=20", accept)
            rows = [pl.read_csv(p) if accept == "text/csv" else pl.read_ipc_stream(io.BytesIO(p)) for p in pages]
            assert [page.height for page in rows] == [20, 20, 2]

    served.run(work)


def test_bars_name_what_is_wrong_with_a_request(served: Any) -> None:
    async def work(client: Client) -> None:
        refused = await client.get(BARS, headers={"Accept": "text/html"})
        assert (refused.status, refused.json["code"]) == (406, "not_acceptable")
        assert (await client.get(f"{BARS}&adjustment=both")).status == 422
        moment = "2020-09-14T00:00:00Z"
        empty = await client.get(f"{BARS}&start={moment}&end={moment}")
        assert (empty.status, empty.json["errors"][0]["pointer"]) == (422, "query:start")
        assert "alone name a later end" in empty.json["detail"]
        many = ",".join(f"crypto:Z{n}-USD" for n in range(3))
        unknown = await client.get(f"/v1/quotes?instruments=crypto:AAA-USD,{many}")
        assert unknown.status == 404
        assert all(name in unknown.json["detail"] for name in many.split(","))
        assert "AAA" not in unknown.json["detail"]
        assert (await client.get(f"/v1/quotes?instruments={','.join(f'x:{n}' for n in range(501))}")).status == 422
        assert (await client.get("/v1/quotes?instruments=crypto:AAA-USD,,")).status == 422

    served.run(work)


@pytest.mark.parametrize("target", [BARS, "/v1/signals", "/v1/quotes?instruments=crypto:AAA-USD", "/v1/verdicts"])
def test_a_page_is_encoded_once_and_found_by_its_etag(served: Any, target: str) -> None:
    async def work(client: Client) -> None:
        first = await client.get(target)
        etag = first.headers["etag"]
        served.clock.advance(1.0)  # the feed is older now, and says the same
        second = await client.get(target)
        assert second.headers["etag"] == etag
        assert second.headers["cache-control"] == "private, no-cache"
        told = await client.get(target, headers={"If-None-Match": f'"other", {etag}'})
        assert (told.status, told.body, told.headers["etag"]) == (304, b"", etag)
        if "feed" in first.json:
            assert second.json["feed"]["age_s"] == first.json["feed"]["age_s"] + 1.0
            for _ in range(200):  # whether others changed anything is asked for beside the answers
                if served.services.pages.hits >= 2:
                    break
                assert (await client.get(target)).headers["etag"] == etag
            assert served.services.pages.hits >= 2

    served.run(work)


def test_bars_that_come_in_are_seen_at_once(served: Any) -> None:
    target = f"{BARS}&end=2031-01-01T00:00:00Z&limit=500"

    async def work(client: Client) -> None:
        before = await client.get(target)
        assert (await client.get(target)).json["data"] == before.json["data"]
        bar = dict.fromkeys(("open", "high", "low", "close"), 5.0) | {"volume": 1.0}
        time = START + 50 * DAY_US
        row = {"source": "binance", "instrument": "crypto:AAA-USD", "interval": "1d", "time": time, "known_at": time}
        await served.database.write_async(tail.insert, SYSTEM, [{**row, "observed_at": time, **bar}])
        after = await client.get(target)
        assert len(after.json["data"]) == len(before.json["data"]) + 1
        assert after.headers["etag"] != before.headers["etag"]

    served.run(work)


def test_a_full_page_of_bars_is_kept_while_the_feed_goes_on_and_not_when_it_begins_again(served: Any) -> None:
    async def shown(client: Client, day: int) -> tuple[list[str], int]:
        change = {"market_time": START + day * DAY_US}
        await served.database.write_async(runs.update_feed_session, "org_a", "paper", "fds_1", change)
        made = served.services.pages.misses
        answer = (await client.get(f"{BARS}&limit=10")).json
        assert answer["feed"]["time"] == format_us(START + day * DAY_US)
        return [row["time"] for row in answer["data"]], served.services.pages.misses - made

    async def work(client: Client) -> None:
        first = await shown(client, 20)
        assert (len(first[0]), first[1]) == (10, 1)
        assert await shown(client, 21) == (first[0], 0)
        assert await shown(client, 5) == (first[0], 0)  # the eleventh row is one of day 5
        times, made = await shown(client, 4)
        assert (times, made) == (first[0], 1)
        times, made = await shown(client, 3)
        assert (times, made) == (first[0][:8], 1)

    served.run(work)


def judged(served: Any, instrument: str, **said: Any) -> None:
    row = served.database.read(series_store.get_series, SYSTEM, "binance", instrument, "1d")
    served.database.write(series_store.save_series, row | said)


def test_bars_say_how_far_they_can_be_trusted_and_who_adjusted_them(served: Any) -> None:
    async def told(client: Client) -> tuple[Any, ...]:
        answer = await client.get(BARS)
        body, csv = answer.json, await client.get(BARS, headers={"Accept": "text/csv"})
        arrow = await client.get(BARS, headers={"Accept": ARROW})
        assert arrow.headers["data-verdict"] == csv.headers["data-verdict"]
        assert [row["instrument"] for row in body["series"]] == ["crypto:AAA-USD", "crypto:BBB-USD"]
        assert {row["source"] for row in body["series"]} == {"binance"}
        marks = [(row["verdict"], row["pre_adjusted"]) for row in body["series"]]
        return marks, body["adjustment"], csv.headers["data-verdict"], (answer.headers["etag"], csv.headers["etag"])

    async def work(client: Client) -> None:
        for instrument in ("crypto:AAA-USD", "crypto:BBB-USD"):
            await asyncio.to_thread(judged, served, instrument, verdict="clean")
        *first, etags = await told(client)
        assert first == [[("clean", False)] * 2, "raw", 'clean=("crypto:AAA-USD" "crypto:BBB-USD")']
        await asyncio.to_thread(judged, served, "crypto:BBB-USD", verdict="rejected")
        *second, later = await told(client)
        marks = [("clean", False), ("rejected", False)]
        assert second == [marks, "raw", 'clean=("crypto:AAA-USD"), rejected=("crypto:BBB-USD")']
        assert all(before != after for before, after in zip(etags, later, strict=True))
        await asyncio.to_thread(judged, served, "crypto:AAA-USD", verdict="usable", pre_adjusted=True)
        *third, _ = await told(client)
        marks = [("usable", True), ("rejected", False)]
        header = 'usable=("crypto:AAA-USD";pre_adjusted), rejected=("crypto:BBB-USD")'
        assert third == [marks, "pre_adjusted", header]

    served.run(work)


def test_signals_that_are_issued_are_seen_at_once(served: Any) -> None:
    async def work(client: Client) -> None:
        assert len((await client.get("/v1/signals?limit=500")).json["data"]) == 45
        row = (await client.get("/v1/signals/sig_00")).json
        more = {
            "id": "sig_new", "organization": "org_a", "environment": "paper", "feed_session": "fds_1", "model": "mdl_2",
            "instrument": row["instrument"], "bar_time": START + 60 * DAY_US, "horizon": 5, "feed": "replay",
            "status": "candidate", "evidence": "none", "direction": "up", "probability": 0.5, "expected_return": 0.0,
            "decision_price": 1.0, "valid_until": START + 70 * DAY_US, "created_at": 1,
        }  # fmt: skip
        await served.database.write_async(signals.add, [more])
        assert len((await client.get("/v1/signals?limit=500")).json["data"]) == 46
        assert [r["model"] for r in (await client.get("/v1/signals/scoreboard")).json["data"]] == ["mdl_1", "mdl_2"]

    served.run(work)


def test_quotes_are_the_last_closes_that_the_feed_has_shown(served: Any) -> None:
    async def work(client: Client) -> None:
        answer = (await client.get("/v1/quotes?instruments=crypto:BBB-USD,crypto:AAA-USD")).json
        assert [quote["instrument"] for quote in answer["data"]] == ["crypto:BBB-USD", "crypto:AAA-USD"]
        assert answer["feed"]["time"] == format_us(START + 20 * DAY_US)
        for quote in answer["data"]:
            bars = (await client.get(f"/v1/bars?instruments={quote['instrument']}")).json["data"]
            assert (quote["time"], quote["price"]) == (bars[-1]["time"], bars[-1]["close"])
            assert quote["time"] <= answer["feed"]["time"]
        change = {"market_time": START + 21 * DAY_US}
        await served.database.write_async(runs.update_feed_session, "org_a", "paper", "fds_1", change)
        moved = (await client.get("/v1/quotes?instruments=crypto:AAA-USD")).json
        assert moved["data"][0]["time"] == format_us(START + 21 * DAY_US)

    served.run(work)


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_events_of_both_numberings_come_once_in_order(served: Any, order: str) -> None:
    async def work(client: Client) -> None:
        seen: list[Any] = []
        cursor = ""
        while True:
            page = (await client.get(f"/v1/events?limit=2&order={order}{cursor}")).json
            seen += page["data"]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len({event["id"] for event in seen}) == len(seen) >= 8
        for mine in (True, False):
            numbers = [e["sequence"] for e in seen if (e["organization"] is not None) == mine]
            assert numbers == sorted(numbers, reverse=order == "desc")
        assert sum(event["organization"] is None for event in seen) == 1
        assert "of b" not in {event["subject"] for event in seen}
        if order == "asc":
            cursor = f"&cursor={page['next_cursor']}"
            assert (await client.get(f"/v1/events?limit=2&order=asc{cursor}")).json["data"] == []
            told = [("signal.issued", "later", None, {})]
            await served.database.write_async(outbox.append, "org_a", "paper", told, served.clock.now_us())
            await served.database.write_async(outbox.append, None, None, told, served.clock.now_us())
            await served.database.write_async(outbox.sequence)
            later = (await client.get(f"/v1/events?limit=9&order=asc{cursor}")).json["data"]
            assert [event["subject"] for event in later] == ["later", "later"]

    served.run(work)


def test_events_are_shown_only_to_who_holds_the_scope_of_their_type(served: Any) -> None:
    now = served.clock.now_us()
    scopes = ["events:read", "signals:read"]
    _, key = served.database.write(keys.create, "org_a", "paper", "signals only", scopes, now)

    async def work(client: Client) -> None:
        everything = (await client.get("/v1/events")).json["data"]
        shown = (await client.get("/v1/events", key=key)).json["data"]
        assert {event["type"] for event in shown} == {"signal.issued"}
        assert [e for e in everything if e["type"] == "signal.issued"] == shown
        hidden = next(event["id"] for event in everything if event["type"] == "order.filled")
        assert (await client.get(f"/v1/events/{hidden}")).status == 200
        assert (await client.get(f"/v1/events/{hidden}", key=key)).status == 404
        assert (await client.get("/v1/events?type=order.filled", key=key)).json["data"] == []
        assert (await client.get("/v1/events?type=order.fild")).status == 422

    served.run(work)


def test_events_are_filtered_by_type_subject_and_time(served: Any) -> None:
    async def work(client: Client) -> None:
        everything = (await client.get("/v1/events?limit=100")).json["data"]
        for target, wanted in (
            ("type=order.filled", lambda event: event["type"] == "order.filled"),
            ("subject=thing_2", lambda event: event["subject"] == "thing_2"),
            (
                f"start={everything[3]['timestamp']}&end={everything[0]['timestamp']}",
                lambda event: everything[3]["timestamp"] <= event["timestamp"] < everything[0]["timestamp"],
            ),
        ):
            found = (await client.get(f"/v1/events?limit=100&{target}")).json["data"]
            assert found == [event for event in everything if wanted(event)]
            assert 0 < len(found) < len(everything)

    served.run(work)


def test_every_event_type_of_the_table_is_told(served: Any) -> None:
    async def work(client: Client) -> None:
        told = (await client.get("/v1/event-types")).json["data"]
        assert [each["type"] for each in told] == list(TYPES)
        assert all(each["summary"] and each["scope"] and each["example"] for each in told)

    served.run(work)


# --- portfolios and broker accounts -----------------------------------------------------------------------------------


def test_a_portfolio_is_opened_with_its_deposit_and_written_down(served: Any) -> None:
    body = {"name": "growth", "broker_account": "bra_free", "currency": "USD", "initial_cash": "1234.5"}

    async def work(client: Client) -> None:
        made = await client.post("/v1/portfolios", body, headers={"Idempotency-Key": "once"})
        assert made.status == 201, made.body
        again = await client.post("/v1/portfolios", body, headers={"Idempotency-Key": "once"})
        assert again.body == made.body
        key = made.json["id"]
        assert (made.json["cash"], made.json["equity"]) == ("1234.5", "1234.5")
        lines = (await client.get(f"/v1/portfolios/{key}/ledger")).json["data"]
        assert sorted(line["amount"] for line in lines) == ["-1234.5", "1234.5"]
        assert {line["time"] for line in lines} == {format_us(START + 20 * DAY_US)}  # market time, not wall time
        allocation = (await client.get(f"/v1/portfolios/{key}/allocation")).json["data"]
        assert allocation == [{"instrument": None, "value": "1234.5", "weight": 1.0}]
        kept = await client.send("DELETE", "/v1/broker-accounts/bra_free")
        assert kept.status == 409
        assert key in kept.json["detail"]
        for change, pointer in (
            ({"broker_account": "bra_none"}, "/broker_account"),
            ({"initial_cash": "-1"}, "/initial_cash"),
        ):
            refused = await client.post("/v1/portfolios", body | change)
            assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer)
        stranger = await client.post("/v1/portfolios", body, key=served.keys["other organization"])
        assert stranger.status == 422

    served.run(work)
    query = sa.select(sa.func.count()).where(audit_log.c.action == "portfolio.create")
    assert served.database.read(lambda tx: tx.execute(query).scalar_one()) == 1


def test_a_portfolio_that_holds_only_cash_is_closed_and_keeps_its_books(served: Any) -> None:
    key, body = served.made["opened portfolio"], {"broker": "paper", "name": "other"}

    async def work(client: Client) -> None:
        before = (await client.get(f"/v1/portfolios/{key}")).json
        assert (before["status"], before["closed_at"]) == ("open", None)
        account = (await client.post("/v1/broker-accounts", body)).json["id"]
        asked = {"name": "short-lived", "broker_account": account, "currency": "USD", "initial_cash": "7"}
        second = (await client.post("/v1/portfolios", asked)).json["id"]
        for each in (key, second):
            assert (await client.send("DELETE", f"/v1/portfolios/{each}")).status == 204
            again = await client.send("DELETE", f"/v1/portfolios/{each}")
            assert (again.status, again.json["code"]) == (409, "conflict")
            assert "is closed since" in again.json["detail"]
        shown = (await client.get(f"/v1/portfolios/{key}")).json
        assert shown == before | {"status": "closed", "closed_at": format_us(served.clock.now_us())}
        assert len((await client.get(f"/v1/portfolios/{key}/ledger")).json["data"]) == 2
        listed = [one["id"] for one in (await client.get("/v1/portfolios")).json["data"]]
        closed = [one["id"] for one in (await client.get("/v1/portfolios?status=closed")).json["data"]]
        assert (listed, closed) == (["prt_1"], [second, key])
        assert (await client.send("DELETE", f"/v1/broker-accounts/{account}")).status == 204
        assert (await client.send("DELETE", "/v1/portfolios/prt_none")).status == 404
        entries = (await client.get("/v1/audit-log")).json["data"]
        assert [entry["object"] for entry in entries if entry["action"] == "portfolio.close"] == [second, key]

    served.run(work)


def test_a_portfolio_to_which_something_can_still_happen_stays_open(served: Any) -> None:
    async def refused(client: Client, why: str) -> None:
        answer = await client.send("DELETE", "/v1/portfolios/prt_1")
        assert (answer.status, answer.json["code"]) == (409, "conflict")
        assert why in answer.json["detail"]
        assert (await client.get("/v1/portfolios/prt_1")).json["status"] == "open"

    def write(statement: Any) -> None:
        served.database.write(lambda tx: tx.execute(statement).rowcount)

    async def work(client: Client) -> None:
        await refused(client, "holds crypto:AAA-USD")
        write(positions.update().values(units=Decimal(0)))
        write(orders.update().values(status="accepted"))
        await refused(client, "1 order(s) of the portfolio have not ended, ord_1")
        write(orders.update().values(status="filled"))
        await refused(client, "the run run_1 trades the portfolio")
        write(feed_sessions.update().values(status="ended"))
        assert (await client.send("DELETE", "/v1/portfolios/prt_1")).status == 204

    served.run(work)


@pytest.mark.parametrize("target", ["/v1/portfolios/prt_1", "/v1/broker-accounts/bra_1"])
def test_a_change_needs_the_state_it_was_made_for(served: Any, target: str) -> None:
    async def work(client: Client) -> None:
        etag = (await client.get(target)).headers["etag"]
        changed = await client.send("PATCH", target, {"name": "second"}, headers={"If-Match": etag})
        assert (changed.status, changed.json["name"]) == (200, "second")
        stale = await client.send("PATCH", target, {"name": "third"}, headers={"If-Match": etag})
        assert (stale.status, stale.json["code"]) == (412, "precondition_failed")
        for text in ("rubbish", etag.strip('"'), "", '"', f"{etag} {etag}", f"{etag},", "**", "w/" + etag):
            refused = await client.send("PATCH", target, {"name": "third"}, headers={"If-Match": text})
            assert (refused.status, refused.json["code"]) == (400, "malformed_header"), text
            assert "If-Match" in refused.json["detail"]
            assert "changed" not in refused.json["detail"]
        assert (await client.get(target)).json["name"] == "second"
        now = (await client.get(target)).headers["etag"]
        for text in (now, f'{etag}, W/"x" ,{now}', "W/" + now, " * "):
            assert (await client.send("PATCH", target, {}, headers={"If-Match": text})).status == 200, text
        unchanged = await client.send("PATCH", target, {})
        assert (unchanged.status, unchanged.json["name"]) == (200, "second")
        for body in ({"name": None}, {"name": " "}, {"initial_cash": "5"}):
            assert (await client.send("PATCH", target, body)).status == 422

    served.run(work)


def test_two_changes_of_one_state_cannot_both_succeed(served: Any) -> None:
    async def work(client: Client) -> None:
        etag = (await client.get("/v1/portfolios/prt_1")).headers["etag"]
        answers = await asyncio.gather(
            *(
                client.send("PATCH", "/v1/portfolios/prt_1", {"name": f"n{n}"}, headers={"If-Match": etag})
                for n in range(8)
            )
        )
        assert sorted(answer.status for answer in answers) == [200] + [412] * 7

    served.run(work)


def test_credentials_are_sealed_and_in_no_answer(served: Any) -> None:
    async def work(client: Client) -> None:
        body = {"broker": "paper", "name": "mine", "credentials": {"api_key": "planted-secret"}}
        made = await client.post("/v1/broker-accounts", body)
        assert (made.status, made.json["has_credentials"]) == (201, True)
        shown = await client.get(f"/v1/broker-accounts/{made.json['id']}")
        listed = await client.get("/v1/broker-accounts")
        assert all(b"planted" not in answer.body for answer in (made, shown, listed))
        query = sa.select(broker_accounts.c.credentials).where(broker_accounts.c.id == made.json["id"])
        sealed = served.database.read(lambda tx: tx.execute(query).scalar_one())
        assert b"planted" not in sealed
        assert b"planted-secret" in served.services.vault.open(sealed, f"broker_accounts/{made.json['id']}")

    served.run(work)


# --- sums kept beside their rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "most", "target"),
    [(portfolios, MAX_PORTFOLIOS, "/v1/portfolios"), (broker_accounts, MAX_BROKER_ACCOUNTS, "/v1/broker-accounts")],
    ids=["portfolios", "broker_accounts"],
)
def test_an_organization_has_so_many_portfolios_and_accounts_and_no_more(
    served: Any, table: sa.Table, most: int, target: str
) -> None:
    body: dict[str, Any] = {"broker": "paper", "name": "n"}
    if table is portfolios:
        body = {"name": "n", "broker_account": "bra_1", "currency": "USD", "initial_cash": "1000"}

    def fill(tx: Tx) -> None:
        mine = table.c.organization == "org_a"
        there = tx.execute(sa.select(sa.func.count()).select_from(table).where(mine)).scalar_one()
        row = dict(tx.execute(sa.select(table).where(mine).limit(1)).mappings().one())
        more = ({**row, "id": f"more_{n}", "environment": "sandbox"} for n in range(most - there - 2))
        tx.execute(table.insert(), list(more))

    served.database.write(fill)

    async def work(client: Client) -> None:
        answers = await asyncio.gather(*(client.post(target, body) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [201] * 2 + [409] * 4
        full = next(answer for answer in answers if answer.status == 409)
        assert full.json["code"] == "conflict"
        assert f"has {most} " in full.json["detail"]
        if table is portfolios:  # a closed one no longer counts
            made = next(answer for answer in answers if answer.status == 201)
            assert (await client.send("DELETE", f"{target}/{made.json['id']}")).status == 204
            assert sorted([(await client.post(target, body)).status for _ in range(2)]) == [201, 409]
        told = (await client.get("/v1/limits")).json["bounds"]
        assert told[f"{table.name}_per_organization"] == most

    served.run(work)


def posted(portfolio: str, n: int, amount: str = "0.1") -> list[dict[str, Any]]:
    lines = ledger.deposit("USD", Decimal(amount))
    return [
        {
            "id": f"{portfolio}-{n}-{line}", "organization": "org_a", "environment": "paper", "portfolio": portfolio,
            "transaction": f"{portfolio}-{n}", "line": line, "account": posting.account, "currency": posting.currency,
            "amount": posting.amount, "cause": "test", "time": n, "created_at": n,
        }
        for line, posting in enumerate(lines)
    ]  # fmt: skip


def test_the_balances_of_a_ledger_are_its_sum_whoever_writes_at_once(database: Any) -> None:
    def write(first: int) -> None:
        for n in range(first, first + 25):
            database.write(ledgers.add_postings, posted("prt_x", n, f"0.{n + 1:03}"))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = database.read(ledgers.balances_of, "org_a", "paper", "prt_x")
    lines = database.read(trading.list_postings, "org_a", "paper", "prt_x")
    assert len(lines) == 200
    sums: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        place = (line["account"], line["currency"])
        sums[place] = sums.get(place, Decimal(0)) + line["amount"]
    assert {(account, currency): amount for account, currency, amount in kept} == sums
    assert database.read(ledgers.balances_of, "org_b", "paper", "prt_x") == []


def test_a_refused_transaction_changes_no_balance(database: Any) -> None:
    database.write(ledgers.add_postings, posted("prt_x", 1))
    with pytest.raises(sa.exc.IntegrityError):
        database.write(ledgers.add_postings, posted("prt_x", 1))
    assert ("assets:cash", "USD", Decimal("0.1")) in database.read(ledgers.balances_of, "org_a", "paper", "prt_x")


def test_reading_a_portfolio_reads_no_posting(served: Any) -> None:
    targets = ("/v1/portfolios/prt_1", "/v1/portfolios", "/v1/portfolios/prt_1/allocation")

    async def work(client: Client) -> None:
        before = {target: await client.get(target) for target in targets}
        assert before[targets[0]].json["cash"] == "849.15"
        await served.database.write_async(lambda tx: tx.execute(postings.delete()) and None)
        for target in targets:
            assert (await client.get(target)).body == before[target].body

    served.run(work)


def test_the_scoreboard_is_what_its_signals_add_up_to(served: Any) -> None:
    kept = served.database.read(signals.scoreboard, "org_a", "paper")

    def summed_again(tx: Any) -> list[dict[str, Any]]:
        from tradewright.storage.migrations.sums import sum_up

        tx.execute(scoreboard.delete())
        tx.execute(balances.delete())
        sum_up(tx)
        return signals.scoreboard(tx, "org_a", "paper")

    before = served.database.read(ledgers.balances_of, "org_a", "paper", "prt_1")
    again = served.database.write(summed_again)
    assert [{k: pytest.approx(v) if isinstance(v, float) else v for k, v in row.items()} for row in kept] == again
    assert served.database.read(ledgers.balances_of, "org_a", "paper", "prt_1") == before


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_a_model_is_promoted_by_evidence_or_by_a_person_on_the_record(served: Any) -> None:
    owner, asked_again = (Person(served.made[f"session {name}"]) for name in ("owner", "stepped up"))
    override = {"override": True, "reason": "because I know"}

    async def work(client: Client) -> None:
        weak = await client.post("/v1/models/msc_1/promote", {}, person=owner)
        assert (weak.status, weak.json["code"]) == (409, "conflict")
        assert "'none'" in weak.json["detail"]
        refused = await client.post("/v1/models/msc_1/promote", override, person=owner)
        assert (refused.status, refused.json["code"]) == (403, "step_up_required")
        unexplained = await client.post("/v1/models/msc_1/promote", {"override": True}, person=asked_again)
        assert (unexplained.status, unexplained.json["errors"][0]["pointer"]) == (422, "/reason")
        overridden = await client.post("/v1/models/msc_1/promote", override, person=asked_again)
        assert overridden.status == 200, overridden.body
        assert (overridden.json["status"], overridden.json["promotion"]["reason"]) == ("promoted", "because I know")
        supported = await client.post("/v1/models/msc_2/promote", {}, person=owner)
        assert (supported.status, supported.json["promotion"]["override"]) == (200, False)
        assert (await client.post("/v1/models/msc_2/promote", {}, person=owner)).status == 409
        await served.database.write_async(outbox.sequence)
        told = (await client.get("/v1/events?type=model.promoted")).json["data"]
        assert {event["subject"] for event in told} == {"msc_1", "msc_2"}

    served.run(work)
    query = sa.select(sa.func.count()).where(audit_log.c.action == "model.promote")
    assert served.database.read(lambda tx: tx.execute(query).scalar_one()) == 2


def test_quarantine_and_sources_show_what_one_owns_and_what_all_share(served: Any) -> None:
    async def work(client: Client) -> None:
        rows = (await client.get("/v1/quarantine?source=binance")).json["data"]
        assert [(row["id"], row["owner"]) for row in rows] == [("qua_1", "system"), ("qua_0", "org_a")]
        first = (await client.get("/v1/quarantine?source=binance&order=asc&limit=1")).json
        assert [row["id"] for row in first["data"]] == ["qua_0"]
        rest = (await client.get(f"/v1/quarantine?source=binance&order=asc&limit=1&cursor={first['next_cursor']}")).json
        assert [row["id"] for row in rest["data"]] == ["qua_1"]
        assert (await client.get("/v1/quarantine?status=released")).json["data"] == []
        source = (await client.get("/v1/sources/binance")).json
        assert (source["series"], source["declared"]["title"]) == (2, "Binance spot")
        assert (await client.get("/v1/sources/nobody")).status == 404

    served.run(work)


def test_ids_that_no_thing_could_have_are_not_looked_up(served: Any) -> None:
    async def work(client: Client) -> None:
        for name in ("x" * 65, "a b", "a\0b", "ü", "a'b", 'a"b', "%00"):
            answer = await client.get(f"/v1/orders/{name}")
            assert (answer.status, answer.json["code"]) == (404, "no_such_path"), name
        assert (await client.get(f"/v1/orders/{'x' * 64}")).json["code"] == "not_found"

    served.run(work)


def test_a_backtest_that_cannot_run_is_refused_at_once(served: Any) -> None:
    async def work(client: Client) -> None:
        twice = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD", "crypto:BBB-USD", "crypto:AAA-USD"]}
        refused = await client.post("/v1/backtests", twice)
        assert [error["pointer"] for error in refused.json["errors"]] == ["/instruments/2"]
        for targets in ([], [[]]):
            body = {"strategy": "fixed_targets", "instruments": ["crypto:AAA-USD"], "params": {"targets": targets}}
            refused = await client.post("/v1/backtests", body)
            assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/params/targets")

    served.run(work)


def test_a_backtest_that_must_fail_on_its_data_is_refused_at_once(served: Any) -> None:
    fixed = {"strategy": "fixed_targets", "params": {"targets": [[1.0, 2.0]] * 3}}

    async def work(client: Client) -> None:
        bars = "/v1/bars?instruments=crypto:AAA-USD&limit=10000"
        times = [row["time"] for row in (await client.get(bars)).json["data"]]
        for given, pointer in (
            (fixed, "/params/targets"),
            ({"start": "2039-01-01T00:00:00Z"}, "/start"),
            ({"end": "1999-01-01T00:00:00Z"}, "/end"),
            ({"cash": "0.000000000000000001"}, "/cash"),
            ({"costs": {"fee_per_unit": 1e308}}, "/costs"),
            ({"costs": {"minimum_fee": 1e308}}, "/costs"),
        ):
            body = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"], **given}
            refused = await client.post("/v1/backtests", body)
            assert refused.status == 422, given
            assert [error["pointer"].startswith(pointer) for error in refused.json["errors"]] == [True], refused.json
        both = {"instruments": ["crypto:AAA-USD", "crypto:BBB-USD"]}
        within = {"strategy": "buy_and_hold", "start": times[0], "end": times[-1], "cash": "1", **both}
        for body in (fixed | both, within, {**within, "start": times[-2]}):
            assert (await client.post("/v1/backtests", body)).status == 202

    served.run(work)


def test_the_faults_of_a_long_list_of_instruments_are_told_up_to_a_hundred(served: Any) -> None:
    async def work(client: Client) -> None:
        for names in (["crypto:AAA-USD"] * 500, [f"crypto:NONE{n}-USD" for n in range(500)]):
            refused = await client.post("/v1/backtests", {"strategy": "buy_and_hold", "instruments": names})
            assert refused.status == 422
            assert len(refused.json["errors"]) == 101
            assert "more" in refused.json["errors"][-1]["detail"]
            assert len(refused.body) < 30_000

    served.run(work)


HUGE = 10**400


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        ("moving_average_cross", {"units": HUGE}),
        ("moving_average_cross", {"units": -HUGE}),
        ("moving_average_cross", {"units": 1e308}),
        ("moving_average_cross", {"units": 10**30}),
        ("moving_average_cross", {"fast": HUGE}),
        ("moving_average_cross", {"slow": HUGE}),
        ("moving_average_cross", {"slow": 10**4299}),
        ("buy_and_hold", {"weight": HUGE}),
        ("fixed_targets", {"targets": [[HUGE]]}),
        ("fixed_targets", {"targets": HUGE}),
        ("fixed_targets", {"targets": [["1"]]}),
        ("fixed_targets", {"targets": [["nan"]]}),
        ("fixed_targets", {"targets": [[1.0], [True]]}),
        ("fixed_targets", {"targets": [None, False]}),
        ("fixed_targets", {"targets": [[1e300]]}),
    ],
)
def test_parameters_that_no_strategy_can_work_with_are_refused(
    served: Any, strategy: str, params: dict[str, Any]
) -> None:
    async def work(client: Client) -> None:
        body = {"strategy": strategy, "instruments": ["crypto:AAA-USD"], "params": params}
        refused = await client.post("/v1/backtests", body)
        assert (refused.status, [error["pointer"] for error in refused.json["errors"]]) == (422, ["/params"])
        assert len(refused.body) < 1_000

    served.run(work)


def test_shared_events_have_a_numbering_of_their_own(served: Any) -> None:
    heads = served.database.read(lambda tx: list(tx.execute(sa.select(outbox_heads).order_by(outbox_heads.c.scope))))
    assert heads[0] == ("/", 1)
    assert ("org_b/paper", 1) in heads


def test_the_performance_of_a_portfolio_ends_at_the_market_time_and_at_its_worth(served: Any) -> None:
    async def work(client: Client) -> None:
        told = (await client.get("/v1/portfolios/prt_1/performance")).json
        now = (await client.get("/v1/portfolios/prt_1")).json
        assert told["start"] == format_us(START)
        assert told["end"] == format_us(START + 20 * DAY_US)
        assert told["equity"][0] == {"time": format_us(START), "equity": "1000"}
        assert float(told["equity"][-1]["equity"]) == pytest.approx(float(now["equity"]), abs=1e-8)
        assert told["total_return"] == pytest.approx(float(now["equity"]) / 1000 - 1)
        assert told["feed"]["mode"] == "replay"
        few = (await client.get("/v1/portfolios/prt_1/performance?points=2")).json
        assert few["equity"] == [told["equity"][0], told["equity"][-1]]
        assert (await client.get("/v1/portfolios/prt_1/performance?points=1")).status == 422
        assert (await client.get("/v1/portfolios/prt_none/performance")).status == 404

    served.run(work)


def test_the_performance_of_a_portfolio_is_told_on_the_feed_that_it_was_traded_on(served: Any) -> None:
    async def work(client: Client) -> None:
        before = (await client.get("/v1/portfolios/prt_1/performance")).json
        await served.database.write_async(runs.add_feed_session, live_session(served))
        after = (await client.get("/v1/portfolios/prt_1/performance")).json
        assert after["feed"] == before["feed"] | {"status": "ended"}
        assert {**after, "feed": None} == {**before, "feed": None}

    served.run(work)


def test_a_portfolio_is_worth_what_the_feed_session_that_it_was_traded_on_says(served: Any) -> None:
    async def work(client: Client) -> None:
        async def told() -> list[Any]:
            whole = [
                (await client.get(f"/v1/portfolios/prt_1{part}")).json for part in ("", "/positions", "/allocation")
            ]
            rows = (await client.get("/v1/portfolios")).json["data"]
            return [*whole, next(row for row in rows if row["id"] == "prt_1")]

        before = await told()
        # the newest session is a live one: its newest closes are of ten days after the replay came to its end
        await served.database.write_async(runs.add_feed_session, live_session(served, interval="1d", data_set="x"))
        after = await told()
        assert [answer["feed"]["status"] for answer in after] == ["ended"] * 4
        assert [{**a, "feed": None} for a in after] == [{**b, "feed": None} for b in before]
        assert (await client.get("/v1/quotes?instruments=crypto:AAA-USD")).json["feed"]["mode"] == "live"

    served.run(work)


def test_a_live_session_that_has_ended_is_worth_its_own_last_closes(served: Any) -> None:
    async def work(client: Client) -> None:
        change = {"mode": "live", "rows": None, "market_time": START + 20 * DAY_US}
        await served.database.write_async(runs.update_feed_session, "org_a", "paper", "fds_1", change)
        newest = (await client.get("/v1/portfolios/prt_1")).json["equity"]  # all that came
        await served.database.write_async(
            runs.update_feed_session,
            "org_a",
            "paper",
            "fds_1",
            {"market_time": START + 20 * DAY_US, "mode": "replay"},
        )
        then = (await client.get("/v1/portfolios/prt_1")).json["equity"]
        assert newest != then
        await served.database.write_async(runs.update_feed_session, "org_a", "paper", "fds_1", {"mode": "live"})
        await served.database.write_async(runs.add_feed_session, live_session(served))
        assert (await client.get("/v1/portfolios/prt_1")).json["equity"] == then

    served.run(work)


def test_a_portfolio_whose_feed_session_has_ended_is_closed_with_what_is_left(served: Any) -> None:
    async def work(client: Client) -> None:
        waits = orders.update().values(status="accepted")
        await served.database.write_async(lambda tx: tx.execute(waits).rowcount)
        assert (await client.send("DELETE", "/v1/portfolios/prt_1")).status == 409
        await served.database.write_async(runs.add_feed_session, live_session(served))
        before = (await client.get("/v1/portfolios/prt_1")).json
        lines = (await client.get("/v1/portfolios/prt_1/ledger")).json["data"]
        assert (await client.send("DELETE", "/v1/portfolios/prt_1")).status == 204
        after = (await client.get("/v1/portfolios/prt_1")).json
        assert after == before | {"status": "closed", "closed_at": format_us(served.clock.now_us())}
        assert float(after["equity"]) != float(after["cash"])
        assert (await client.get("/v1/portfolios/prt_1/ledger")).json["data"] == lines, "nothing was traded"
        (position,) = (await client.get("/v1/portfolios/prt_1/positions")).json["data"]
        assert position["value"] is not None
        order = (await client.get("/v1/orders/ord_1")).json
        assert (order["status"], order["reason"]) == ("cancelled", "the feed session has ended")
        (entry,) = [e for e in (await client.get("/v1/audit-log")).json["data"] if e["action"] == "portfolio.close"]
        assert entry["detail"] == {"held": ["crypto:AAA-USD"]}

    served.run(work)


def live_session(served: Any, **other: Any) -> dict[str, Any]:
    now_us = served.clock.now_us()
    return {
        "organization": "org_a", "environment": "paper", "created_at": now_us, "id": "fds_2", "mode": "live",
        "data_set": "live-coinbase-5m", "interval": "5m", "data_version": "v", "start_time": now_us, "start_row": 1,
        "rows": None, "next_row": 2, "market_time": now_us, "status": "running", "updated_at": now_us, **other,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "age_s", "said"), [("running", 660, "running"), ("running", 661, "stale"), ("degraded", 661, "degraded")]
)
def test_a_live_feed_without_a_row_for_long_is_stale(served: Any, status: str, age_s: int, said: str) -> None:
    async def work(client: Client) -> None:
        row = live_session(served, status=status, market_time=served.clock.now_us() - age_s * 1_000_000)
        await served.database.write_async(runs.add_feed_session, row)
        feed = (await client.get("/v1/status")).json["feed"]
        assert (feed["status"], feed["age_s"]) == (said, age_s)

    served.run(work)


def test_the_age_of_a_live_feed_is_that_of_its_data_and_of_a_replay_that_of_its_last_row(served: Any) -> None:
    async def work(client: Client) -> None:
        before = (await client.get("/v1/status")).json["feed"]["age_s"]
        served.clock.advance(3.0)
        assert (await client.get("/v1/status")).json["feed"]["age_s"] == before + 3.0
        hour_ago = served.clock.now_us() - 3_600_000_000
        row = live_session(served, market_time=hour_ago)  # a row that was missed, handled just now
        await served.database.write_async(runs.add_feed_session, row)
        feed = (await client.get("/v1/status")).json["feed"]
        assert (feed["age_s"], feed["status"], feed["time"]) == (3_600.0, "stale", format_us(hour_ago))

    served.run(work)


def test_the_status_says_when_nobody_works_on_the_jobs(served: Any) -> None:
    async def work(client: Client) -> None:
        async def told() -> tuple[Any, str]:
            status = (await client.get("/v1/status")).json
            return status["jobs"], status["message"]

        write, now = served.database.write_async, served.clock.now_us
        while await write(jobs.claim, "one", now(), 10**12, jobs.KINDS) is not None:
            pass  # what was seeded
        before, message = await told()
        assert (before["queued"], before["queued_since"], message) == (0, None, "")
        for row in await served.database.read_async(_running):
            await write(jobs.finish, row, "succeeded", now())
        since = format_us(now())
        await write(jobs.enqueue, "org_a", "paper", "backtest", {}, now())
        await write(jobs.enqueue, "org_a", "sandbox", "backtest", {}, now())
        await write(jobs.enqueue, "org_b", "paper", "backtest", {}, now())
        assert await told() == ({"queued": 1, "running": 0, "queued_since": since}, "")
        served.clock.advance(60)
        waiting, message = await told()
        assert waiting["queued_since"] == since
        assert message == f"jobs wait since {since} and none is running; see that `tradewright worker` runs"
        while await write(jobs.claim, "one", now(), 10**12, jobs.KINDS) is not None:
            pass
        assert await told() == ({"queued": 0, "running": 1, "queued_since": None}, "")

    served.run(work)


def _running(tx: Tx) -> list[str]:
    return list(tx.execute(sa.select(jobs_table.c.id).where(jobs_table.c.status == "running")).scalars())


def test_the_status_says_what_is_wrong_with_the_feed_and_since_when(served: Any) -> None:
    async def work(client: Client) -> None:
        async def told(**change: Any) -> tuple[Any, ...]:
            await served.database.write_async(runs.update_feed_session, "org_a", "paper", "fds_2", change)
            status = (await client.get("/v1/status")).json
            return status["feed"]["status"], status["feed"]["reason"], status["message"], status["ready"]

        await served.database.write_async(runs.add_feed_session, live_session(served))
        assert await told(late_bars=0) == ("running", None, "", True)
        why = "coinbase is degraded since 2024-01-01T00:00:00Z: connected, but no trade for 31 s"
        assert await told(status="degraded", reason=why) == ("degraded", why, why, True)
        assert await told(status="running", reason=None) == ("running", None, "", True)
        old = served.clock.now_us() - 3_600_000_000
        stale = f"no row has closed since {format_us(old)}; one is due every 5m while there is trade"
        assert await told(market_time=old) == ("stale", stale, stale, True)
        assert (await client.get("/v1/status")).json["feed"]["late_bars"] == 0
        await told(late_bars=7)
        assert (await client.get("/v1/status")).json["feed"]["late_bars"] == 7
        assert "reason" not in (await client.get("/v1/portfolios")).json["data"][0]["feed"]

    served.run(work)
