"""Facts, and bars adjusted by dated actions, over HTTP, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from asgi import Client
from tradewright.clock import DAY_US, format_us
from tradewright.ids import SYSTEM, Owner
from tradewright.market.dated import ACTIONS, FACTS, actions_of, facts_of
from tradewright.market.fact_intake import ingest_facts, judge_facts
from tradewright.market.instruments import Instrument
from tradewright.storage import runs, series

START = 1_600_041_600_000_000
QUARTER = 90 * DAY_US
BARS = "/v1/bars?instruments=crypto:AAA-USD"


def add_facts(served: Any, owner: str, *rows: tuple[Any, ...]) -> None:
    facts = facts_of(served.services.market_data._catalog.folder)
    frame = pl.DataFrame(rows, schema=FACTS, orient="row")
    facts.append(Owner(owner), "sec_edgar", frame, START + 900 * DAY_US, f"{owner}/{len(rows)}/{rows[0]}")


def revenue(quarter: int, value: float, known_days: int = 30, instrument: str = "equity:AAA") -> tuple[Any, ...]:
    end = START - (8 - quarter) * QUARTER
    return (instrument, "us-gaap:Revenues", "USD", end - QUARTER, end, end + known_days * DAY_US, value)


async def everything(client: Client, target: str, limit: int) -> list[Any]:
    found, cursor = [], ""
    while True:
        answer = await client.get(f"{target}&limit={limit}{cursor}")
        assert answer.status == 200, answer.body
        found += answer.json["data"]
        if not answer.json["has_more"]:
            return found
        cursor = f"&cursor={answer.json['next_cursor']}"


def test_facts_are_paged_in_their_latest_vintage_or_as_they_were_known(served: Any) -> None:
    rows = [revenue(quarter, 100.0 + quarter) for quarter in range(5)]
    revised = revenue(2, 999.0, 60)
    moment = ("equity:AAA", "us-gaap:Assets", "USD", None, START - 8 * QUARTER, START - 7 * QUARTER, 5.0)
    add_facts(served, SYSTEM, *rows, revised, moment)
    target = "/v1/facts?instruments=equity:AAA,equity:BBB"

    async def work(client: Client) -> None:
        whole = (await client.get(target)).json
        assert [row["value"] for row in whole["data"]] == [5.0, 100.0, 101.0, 999.0, 103.0, 104.0]
        assert whole["data"][0]["period_start"] is None
        for limit in (1, 2, 5):
            assert await everything(client, target, limit) == whole["data"]
        before = format_us(revised[5] - 1)
        assert (await client.get(f"{target}&as_of={before}&names=us-gaap:Revenues")).json["data"][-1]["value"] == 102.0
        span = f"&start={format_us(rows[1][4])}&end={format_us(rows[3][4])}"
        found = (await client.get(target + span)).json["data"]
        assert [row["value"] for row in found] == [101.0, 999.0]
        assert (await client.get(f"{target}&source=fred")).json["data"] == []
        assert (await client.get(f"{target}&start={before}&end={before}")).status == 422
        many = ",".join(f"equity:A{n}" for n in range(21))
        assert (await client.get(f"/v1/facts?instruments={many}")).status == 422

    served.run(work)


def test_facts_of_an_organization_are_seen_by_no_other_and_a_replay_shows_none_of_later(served: Any) -> None:
    add_facts(served, "org_a", revenue(1, 1.0))
    add_facts(served, "org_b", revenue(1, 2.0))
    market_time = START + 20 * DAY_US
    later = ("macro:LATER", "", "", None, market_time - DAY_US, market_time + 1, 3.0)
    add_facts(served, SYSTEM, later)

    async def work(client: Client) -> None:
        target = "/v1/facts?instruments=equity:AAA,macro:LATER"
        assert [row["value"] for row in (await client.get(target)).json["data"]] == [1.0]
        other = await client.get(target, key=served.keys["other organization"])
        assert [row["value"] for row in other.json["data"]] == [2.0, 3.0]
        change = {"market_time": market_time + 1}
        await served.database.write_async(runs.update_feed_session, "org_a", "paper", "fds_1", change)
        assert [row["value"] for row in (await client.get(target)).json["data"]] == [1.0, 3.0]

    served.run(work)


def add_actions(served: Any, owner: str, *rows: tuple[Any, ...]) -> None:
    actions = actions_of(served.services.market_data._catalog.folder)
    frame = pl.DataFrame(rows, schema=ACTIONS, orient="row")
    actions.append(Owner(owner), "binance", frame, START, f"{owner}/{rows}")


def test_adjusted_bars_are_raw_ones_times_what_came_after_them(served: Any) -> None:
    split, dividend, future = START + 10 * DAY_US, START + 15 * DAY_US, START + 25 * DAY_US
    name = "crypto:AAA-USD"
    add_actions(served, SYSTEM, (name, split, split, 4.0, 0.0), (name, dividend, dividend, 1.0, 2.0))
    add_actions(served, SYSTEM, (name, future, START, 10.0, 0.0))
    add_actions(served, "org_b", (name, START + 5 * DAY_US, START, 100.0, 0.0))

    async def work(client: Client) -> None:
        raw = (await client.get(BARS)).json["data"]
        adjusted = {
            kind: await everything(client, f"{BARS}&adjustment={kind}", limit)
            for kind, limit in (("split", 7), ("all", 500))
        }
        paid = 1.0 - 2.0 / raw[14]["close"]
        for n, row in enumerate(raw):
            for kind, price in (("split", 0.25 if n < 10 else 1.0), ("all", (0.25 if n < 10 else 1.0))):
                factor = price * (paid if kind == "all" and n < 15 else 1.0)
                seen = adjusted[kind][n]
                for column in ("open", "high", "low", "close"):
                    assert seen[column] == pytest.approx(row[column] * factor, rel=1e-12), (kind, n)
                assert seen["volume"] == pytest.approx(row["volume"] * (4.0 if n < 10 else 1.0), rel=1e-12)
        early = format_us(START + 12 * DAY_US)
        known = (await client.get(f"{BARS}&adjustment=all&as_of={early}")).json
        assert known["adjustment"] == "all"
        assert [row["close"] for row in known["data"]] == [row["close"] for row in adjusted["split"][:13]]
        answer = await client.get(f"{BARS}&adjustment=split", headers={"Accept": "text/csv"})
        assert pl.read_csv(answer.body)["close"].to_list() == [row["close"] for row in adjusted["split"]]
        assert (await client.get(BARS)).json["data"] == raw
        later = (await client.get(f"{BARS}&adjustment=split&end=2031-01-01T00:00:00Z")).json["data"]
        assert later[0]["close"] == pytest.approx(raw[0]["close"] / 40, rel=1e-12)

    served.run(work)


def test_what_cannot_be_adjusted_is_refused_with_the_reason(served: Any) -> None:
    async def refusal(client: Client, kind: str) -> str:
        refused = await client.get(f"{BARS}&adjustment={kind}")
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "query:adjustment"), refused.body
        return str(refused.json["detail"])

    async def work(client: Client) -> None:
        time = START + 10 * DAY_US
        add_actions(served, SYSTEM, ("crypto:AAA-USD", time, time, 1.0, 1e6))
        assert (await client.get(f"{BARS}&adjustment=split")).status == 200
        assert "unit of the dividend" in await refusal(client, "all")
        row = served.database.read(series.get_series, SYSTEM, "binance", "crypto:AAA-USD", "1d")
        await served.database.write_async(series.save_series, row | {"pre_adjusted": True})
        assert "adjusted by their source" in await refusal(client, "split")
        assert (await client.get(BARS)).status == 200

    served.run(work)


def test_facts_have_a_verdict_among_those_of_bars(served: Any) -> None:
    bad = (*revenue(4, 0.0)[:6], float("inf"))
    frame = pl.DataFrame([revenue(quarter, 100.0) for quarter in range(4)] + [bad], schema=FACTS, orient="row")
    now_us, company = START + 900 * DAY_US, Instrument("equity:AAA")
    store, database = facts_of(served.services.market_data._catalog.folder), served.services.database
    ingest_facts(database, store, SYSTEM, "sec_edgar", frame, now_us, "ing_facts")
    report = judge_facts(database, store, SYSTEM, "sec_edgar", company, now_us, now_us)
    assert {finding.code: finding.count for finding in report.verdict.findings} == {"missing_value": 1}

    async def work(client: Client) -> None:
        (found,) = (await client.get("/v1/verdicts?interval=fact")).json["data"]
        assert (found["instrument"], found["source"], found["rows"]) == ("equity:AAA", "sec_edgar", 4)
        assert (found["verdict"], found["findings"][0]["code"]) == ("suspect", "missing_value")
        assert found["findings"][0]["detail"] == "1 of 5 rows rejected: the value is missing or not finite"
        assert found["last_time"] == format_us(revenue(3, 0.0)[4])
        (kept,) = (await client.get("/v1/quarantine?interval=fact")).json["data"]
        assert kept["code"] == "missing_value"
        assert (await client.get("/v1/bars?instruments=equity:AAA&interval=fact")).status == 422

    served.run(work)


@pytest.mark.parametrize("path", ["signals", "verdicts", "quarantine"])
def test_a_filter_that_can_be_no_instrument_is_refused_with_an_example(served: Any, path: str) -> None:
    async def work(client: Client) -> None:
        for text in ("AAPL", "equity:aapl", "equity:"):
            refused = await client.get(f"/v1/{path}?instrument={text}")
            assert refused.status == 422, text
            assert refused.json["errors"] == [
                {
                    "pointer": "query:instrument",
                    "detail": f'must be the id of an instrument, a class and a symbol, like equity:AAPL; got "{text}"',
                }
            ]
        assert (await client.get(f"/v1/{path}?instrument=equity:AAPL")).status == 200

    served.run(work)
