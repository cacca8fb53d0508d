"""The HTTP API keeps its conventions, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest

from asgi import Client
from tradewright.api.problems import CATALOGUE
from tradewright.api.routes import all_operations

OPERATIONS = all_operations()
AMOUNT = re.compile(r"^-?\d{1,20}(\.\d{1,18})?$")


def test_unrouted_paths_and_methods_are_problems_too(served: Any) -> None:
    async def work(client: Client) -> None:
        for method, target, status, code in [
            ("GET", "/v1/nothing", 404, "no_such_path"),
            ("GET", "/nothing", 404, "no_such_path"),
            ("PUT", "/v1/signals", 405, "method_not_allowed"),
            ("DELETE", "/livez", 405, "method_not_allowed"),
        ]:
            answer = await client.send(method, target)
            assert (answer.status, answer.json["code"]) == (status, code), target
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json["request_id"] == answer.headers["x-request-id"]
            if status == 405:
                assert "GET" in answer.headers["allow"]
        assert (await client.send("GET", "/v1/nothing", key=None)).status == 401

    served.run(work)


def test_the_root_says_what_this_is_and_its_links_lead_somewhere(served: Any) -> None:
    async def work(client: Client) -> None:
        answer = await client.get("/", key=None)
        assert answer.json == {
            "name": "Tradewright", "version": "0", "docs": "/docs", "openapi": "/openapi.json", "status": "/v1/status",
        }  # fmt: skip
        for name in ("docs", "openapi", "status"):
            assert (await client.get(answer.json[name])).status == 200

    served.run(work)


def test_every_fault_of_a_query_is_told_at_once(served: Any) -> None:
    async def work(client: Client) -> None:
        answer = await client.get("/v1/signals?limit=0&limit=5&ordre=asc&order=up&start=yesterday&status=candidate")
        assert answer.status == 422
        told = {error["pointer"] for error in answer.json["errors"]}
        assert told == {"query:limit", "query:ordre", "query:order", "query:start"}
        hint = next(e["detail"] for e in answer.json["errors"] if e["pointer"] == "query:ordre")
        assert "did you mean 'order'" in hint

    served.run(work)


@pytest.mark.parametrize(
    ("body", "headers", "status", "pointers"),
    [
        (b"{", {}, 400, set()),
        (b"[]", {}, 422, {""}),
        (b'{"strategy": "buy_and_hold"}', {"Content-Type": "text/plain"}, 415, set()),
        (b'{"strategy": "' + b"x" * 1_100_000 + b'"}', {}, 413, set()),
        ({}, {}, 422, {"/strategy"}),
        ({"strategy": "buy_and_hold"}, {}, 422, {"/data_set"}),
        (
            {"strategy": "byu_and_hold", "data_set": "nope", "cash": "-5", "extra": 1},
            {},
            422,
            {"/extra"},
        ),
        (
            {"strategy": "byu_and_hold", "data_set": "nope", "cash": "-5"},
            {},
            422,
            {"/strategy", "/data_set", "/cash"},
        ),
        ({"strategy": "buy_and_hold", "instruments": ["crypto:ZZZ-USD"]}, {}, 422, {"/instruments/0"}),
        ({"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"], "source": "x"}, {}, 422, {"/source"}),
        ({"strategy": "buy_and_hold", "data_set": "x", "source": "binance"}, {}, 422, {"/source"}),
        ({"strategy": "buy_and_hold", "data_set": "x", "cash": "1e3"}, {}, 422, {"/cash"}),
        ({"strategy": "buy_and_hold", "data_set": "x", "cash": 1000}, {}, 422, {"/cash"}),
        ({"strategy": "buy_and_hold", "data_set": "x", "costs": {"fee": 1}}, {}, 422, {"/costs"}),
    ],
)
def test_bad_bodies_are_refused_and_nothing_is_made(
    served: Any, body: Any, headers: dict[str, str], status: int, pointers: set[str]
) -> None:
    async def work(client: Client) -> None:
        before = len((await client.get("/v1/backtests")).json["data"])
        answer = await client.post("/v1/backtests", body, headers=headers)
        assert answer.status == status, answer.body
        assert {error["pointer"] for error in answer.json["errors"]} == pointers
        assert len((await client.get("/v1/backtests")).json["data"]) == before

    served.run(work)


def test_a_repeated_post_is_replayed_byte_for_byte(served: Any) -> None:
    body = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"]}

    async def work(client: Client) -> None:
        answers = await asyncio.gather(
            *(client.post("/v1/backtests", body, headers={"Idempotency-Key": '"one"'}) for _ in range(20))
        )
        assert {answer.status for answer in answers} == {202}
        assert len({answer.body for answer in answers}) == 1
        replayed = [answer for answer in answers if answer.headers.get("idempotency-replayed") == "true"]
        assert len(replayed) == 19
        other = await client.post("/v1/backtests", {**body, "cash": "5"}, headers={"Idempotency-Key": "one"})
        assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
        refused = await client.post("/v1/backtests", body, headers={"Idempotency-Key": "with space"})
        assert refused.status == 400
        listed = (await client.get("/v1/backtests")).json["data"]
        assert len(listed) == 3
        stranger = await client.post(
            "/v1/backtests", body, headers={"Idempotency-Key": "one"}, key=served.keys["other organization"]
        )
        assert stranger.json["id"] not in {row["id"] for row in listed}

    served.run(work)


def test_a_refusal_before_the_effect_is_not_stored(served: Any) -> None:
    async def work(client: Client) -> None:
        headers = {"Idempotency-Key": "two"}
        assert (await client.post("/v1/backtests", {"strategy": "nope"}, headers=headers)).status == 422
        body = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"]}
        assert (await client.post("/v1/backtests", body, headers=headers)).status == 202

    served.run(work)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_cover_a_list_once_and_in_order(served: Any, order: str) -> None:
    async def work(client: Client) -> None:
        seen: list[Any] = []
        target = f"/v1/signals?limit=7&order={order}"
        cursor = ""
        while True:
            page = (await client.get(target + cursor)).json
            seen += [(row["bar_time"], row["id"]) for row in page["data"]]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len(seen) == 45
        assert seen == sorted(seen, reverse=order == "desc")
        assert (page["next_cursor"] is not None) == (order == "asc")
        if order == "asc":
            polled = (await client.get(f"{target}&cursor={page['next_cursor']}")).json
            assert (polled["data"], polled["next_cursor"]) == ([], page["next_cursor"])

    served.run(work)


def test_a_cursor_of_other_filters_or_invented_is_refused(served: Any) -> None:
    async def work(client: Client) -> None:
        cursor = (await client.get("/v1/signals?limit=5")).json["next_cursor"]
        for target in (
            f"/v1/signals?order=asc&cursor={cursor}",
            "/v1/signals?cursor=abc",
            f"/v1/orders?cursor={cursor}",
        ):
            answer = await client.get(target)
            assert answer.status == 422, target
            assert answer.json["errors"][0]["pointer"] == "query:cursor"

    served.run(work)


def test_bars_of_several_instruments_page_in_order_and_stop_at_market_time(served: Any) -> None:
    async def work(client: Client) -> None:
        seen: list[Any] = []
        cursor = ""
        while True:
            target = f"/v1/bars?instruments=crypto:AAA-USD,crypto:BBB-USD&limit=8{cursor}"
            page = (await client.get(target)).json
            seen += [(bar["time"], bar["instrument"]) for bar in page["data"]]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len(seen) == len(set(seen)) == 42
        assert seen == sorted(seen)
        whole = (await client.get("/v1/bars?instruments=crypto:AAA-USD&end=2030-01-01T00:00:00Z")).json
        assert len(whole["data"]) == 30
        assert all(bar["low"] <= bar["close"] <= bar["high"] for bar in whole["data"])
        unknown = await client.get("/v1/bars?instruments=crypto:ZZZ-USD")
        assert (unknown.status, unknown.json["code"]) == (404, "not_found")

    served.run(work)


def test_amounts_are_decimal_strings_and_add_up(served: Any) -> None:
    async def work(client: Client) -> None:
        portfolio = (await client.get("/v1/portfolios/prt_1")).json
        position = (await client.get("/v1/portfolios/prt_1/positions")).json["data"][0]
        lines = (await client.get("/v1/portfolios/prt_1/ledger?order=asc")).json["data"]
        order = (await client.get("/v1/orders/ord_1")).json
        amounts = [portfolio["cash"], portfolio["equity"], position["units"], position["value"], order["units"]]
        amounts += [line["amount"] for line in lines]
        assert all(isinstance(amount, str) and AMOUNT.match(amount) for amount in amounts)
        assert portfolio["cash"] == "849.15"
        assert position["cost"] == "150.75"
        assert sum(float(line["amount"]) for line in lines if line["currency"] == "USD") == pytest.approx(0)

    served.run(work)


def test_the_scoreboard_counts_what_was_scored(served: Any) -> None:
    async def work(client: Client) -> None:
        row = (await client.get("/v1/signals/scoreboard")).json["data"][0]
        assert (row["issued"], row["scored"], row["base_rate"]) == (45, 30, 0.5)
        assert row["hit_rate"] == pytest.approx(0.5)
        assert row["brier"] == pytest.approx(0.2525)
        assert (await client.get("/v1/signals/sig_00")).json["score"]["return"] == 0.01
        assert (await client.get("/v1/signals/sig_40")).json["score"] is None

    served.run(work)


def test_a_revocation_acts_within_two_seconds(served: Any) -> None:
    from tradewright.storage import accounts

    async def work(client: Client) -> None:
        assert (await client.get("/v1/status")).status == 200
        revoke = (accounts.revoke_api_key, "org_a", served.key_ids["whole"], served.clock.now_us())
        await served.database.write_async(*revoke)
        served.clock.advance(2.1)
        assert (await client.get("/v1/status")).status == 401

    served.run(work)


def test_a_request_id_is_kept_when_it_is_sound(served: Any) -> None:
    async def work(client: Client) -> None:
        kept = await client.get("/livez", headers={"X-Request-Id": "abc-12345"})
        assert kept.headers["x-request-id"] == "abc-12345"
        made = await client.get("/livez", headers={"X-Request-Id": "a b\n"})
        assert made.headers["x-request-id"].startswith("req_")

    served.run(work)


def test_the_document_says_what_is_served(served: Any) -> None:
    async def work(client: Client) -> None:
        document = (await client.get("/openapi.json")).json
        documented = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
        assert documented == {(operation.method, operation.path) for operation in OPERATIONS}
        ids = [o["operationId"] for methods in document["paths"].values() for o in methods.values()]
        assert len(ids) == len(set(ids))
        used = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
        assert used <= set(document["components"]["schemas"])
        page = await client.get("/docs", key=None)
        assert all(f'id="{name}"' in page.body.decode() for name in ids)
        assert b"<script" not in page.body
        assert b"http://" not in page.body.replace(b"http://127.0.0.1:8000", b"")
        errors = (await client.get("/docs/errors", key=None)).body.decode()
        assert all(f'id="{code}"' in errors for code in CATALOGUE)

    served.run(work)


def test_every_error_class_has_an_answer() -> None:
    from tradewright import errors

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.TradewrightError)]
    assert len(kinds) > 10
    assert {kind.code for kind in kinds} <= set(CATALOGUE)


def test_the_key_is_shown_in_no_answer_and_no_log(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(client: Client) -> None:
        key = served.keys["whole"]
        answers = [await client.get(t) for t in ("/v1/signals?limit=x", "/v1/nothing", "/v1/portfolios/none")]
        assert all(key.encode() not in answer.body and key not in str(answer.headers) for answer in answers)

    served.run(work)
    assert served.keys["whole"] not in caplog.text


def test_each_place_has_one_spelling_and_each_header_one_value(served: Any) -> None:
    async def work(client: Client) -> None:
        assert (await client.get("/v1/signals/")).status == 404
        body = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"]}
        scope_app = served.app

        async def doubled(scope: Any, receive: Any, send: Any) -> None:
            extra = [(b"idempotency-key", b"one"), (b"idempotency-key", b"two")]
            await scope_app({**scope, "headers": [*scope["headers"], *extra]}, receive, send)

        answer = await Client(doubled, client.key).post("/v1/backtests", body)
        assert (answer.status, answer.json["code"]) == (400, "malformed_header")

        async def encoded(scope: Any, receive: Any, send: Any) -> None:
            await scope_app({**scope, "raw_path": b"/v1%2Fsignals"}, receive, send)

        assert (await Client(encoded, client.key).get("/v1/signals")).status == 404

    served.run(work)


@pytest.mark.parametrize("place", [2**63, -(2**63) - 1, 10**25])
def test_a_cursor_with_an_impossible_place_is_refused(served: Any, place: int) -> None:
    import base64

    async def work(client: Client) -> None:
        for target in ("/v1/signals", "/v1/orders", "/v1/fills", "/v1/bars?instruments=crypto:AAA-USD"):
            join = "&" if "?" in target else "?"
            real = (await client.get(f"{target}{join}limit=1")).json["next_cursor"]
            if real is None:
                continue
            mark = msgspec.json.decode(base64.urlsafe_b64decode(real))[0]
            forged = base64.urlsafe_b64encode(f'["{mark}",[{place},"x"]]'.encode()).decode()
            assert (await client.get(f"{target}{join}limit=1&cursor={forged}")).status == 422

    served.run(work)


def test_a_revoked_key_ends_also_when_the_clock_stepped_back(served: Any) -> None:
    from tradewright.storage import accounts

    async def work(client: Client) -> None:
        assert (await client.get("/v1/status")).status == 200
        served.clock.advance(-3600)
        now = served.clock.now_us()
        await served.database.write_async(accounts.revoke_api_key, "org_a", served.key_ids["whole"], now)
        served.clock.advance(1)
        assert (await client.get("/v1/status")).status == 401

    served.run(work)
