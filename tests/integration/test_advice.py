"""A refusal at the door says what helps there."""

from __future__ import annotations

from typing import Any

from asgi import Client, Person
from logging_in import login
from seeds_people import PASSWORD


def test_a_failed_login_is_not_told_to_send_a_key(served: Any) -> None:
    async def work(client: Client) -> None:
        for answer in (
            await login(client, password="not the right one"),
            await login(client, "nobody@example.com"),
            await login(client, "owner@example.com", code="000000"),
        ):
            assert (answer.status, answer.json["code"]) == (401, "wrong_credentials"), answer.json
            assert "Bearer" not in answer.json["detail"]
        answer = await client.get("/v1/me", person=Person("no such session"))
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), answer.json
        assert "Bearer" not in answer.json["detail"]
        assert "POST /v1/auth/login" in answer.json["detail"]

    served.run(work)


def test_a_key_that_ended_is_told_where_another_comes_from(served: Any) -> None:
    answer = served.run(lambda client: client.get("/v1/limits", key=served.keys["revoked"]))
    assert answer.status == 401
    assert "POST /v1/api-keys" in answer.json["detail"]
    assert "Bearer" not in answer.json["detail"]


def test_a_missing_environment_is_told_with_its_header(served: Any) -> None:
    person = Person(served.made["session owner"], environment="")
    answer = served.run(lambda client: client.get("/v1/portfolios", person=person))
    assert (answer.status, answer.json["code"]) == (400, "malformed_header")
    assert "Tradewright-Environment" in answer.json["detail"]
    wrong = Person(served.made["session owner"], environment="nowhere")
    assert served.run(lambda client: client.get("/v1/portfolios", person=wrong)).status == 422


def test_a_wrong_password_or_code_is_told_from_a_session_that_ended(served: Any) -> None:
    async def work(client: Client) -> None:
        owner, trader = Person(served.made["session owner"]), Person(served.made["session trader"])
        change = {"current_password": "not the right one", "new_password": "a long sentence of five words"}
        wrong = [
            await client.post("/v1/auth/password", change, person=trader),
            await client.post("/v1/auth/step-up", {"password": "not the right one"}, person=trader),
            await client.post("/v1/auth/step-up", {"password": PASSWORD, "code": "000000"}, person=owner),
        ]
        for answer in wrong:
            assert (answer.status, answer.json["code"]) == (401, "wrong_credentials"), answer.json
            assert answer.json["title"] == "A password, code or passkey is not right"
        missing = await client.post("/v1/auth/step-up", {"password": PASSWORD}, person=owner)
        assert missing.json["code"] == "second_factor_required"
        assert "login again" not in missing.json["detail"]
        for person in (owner, trader):
            assert (await client.get("/v1/me", person=person)).status == 200

    served.run(work)


def test_a_refusal_advises_nothing_that_does_not_help(served: Any) -> None:
    async def work(client: Client) -> None:
        owner, viewer = Person(served.made["session owner"]), Person(served.made["session viewer"])
        used = {"tradewright-timestamp": "1", "tradewright-nonce": "n" * 32, "tradewright-signature": "ed25519=AA=="}
        answers = [
            (await client.get("/v1/portfolios", headers=used), ("set your clock",), ("Bearer",)),
            (await client.get("/v1/portfolios", key=None), ("Bearer", "/v1/auth/login"), ()),
            (await client.get("/v1/portfolios/prt_none", person=owner), ("check the id",), ("of your key",)),
            (await client.get("/v1/portfolios/prt_none"), ("check the id",), ("of your key",)),
            (await client.get("/v1/api-keys", person=viewer), ("another role",), ("Use a key",)),
            (await client.get("/v1/portfolios", key=served.keys["nothing"]), ("use one that does",), ("role",)),
            (
                await client.post("/v1/invitations/accept", {"token": "x" * 43}, person=owner),
                ("ask for a new one",), ("Use a key", "role"),
            ),
        ]  # fmt: skip
        for answer, helps, misleads in answers:
            detail = answer.json["detail"]
            assert detail.endswith("."), detail
            assert all(text in detail for text in helps), answer.json
            assert not any(text in detail for text in misleads), answer.json

    served.run(work)


def test_a_refusal_says_what_was_seen(served: Any) -> None:
    async def work(client: Client) -> None:
        wanted = {"name": "mine", "broker": "paper"}
        place, long, owner = "/v1/broker-accounts", "/" + "a" * 9_000, Person(served.made["session stepped up"])
        rename = ("PATCH", "/v1/organizations/org_a", {"name": "new"})
        inside = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD", 7, "crypto:BBB-USD"]}
        etag = (await client.get("/v1/organizations/org_a", person=owner)).headers["etag"]
        answers = {
            "got 'é' in it": await client.post(place, wanted, headers={"Idempotency-Key": "caf\u00e9"}),
            "got 300": await client.post(place, wanted, headers={"Idempotency-Key": "k" * 300}),
            "after 14 bytes": await client.send("POST", place, b'{"name": "mine', {"Content-Type": "application/json"}),
            'names "elsewhere"': await client.send(*rename, {"If-Match": '"elsewhere"'}, person=owner),
            f"its ETag is {etag} now": await client.send(*rename, {"If-Match": '"elsewhere"'}, person=owner),
            "bytes: 9001": await client.get(long),
            "Content-Length says 2000000": await client.send("POST", place, b"{}", {"Content-Length": "2000000"}),
            "this path has GET, HEAD, OPTIONS, POST": await client.send("DELETE", place),
        }
        for seen, answer in answers.items():
            assert seen in answer.json["detail"], answer.body
        told = (await client.post("/v1/backtests", inside)).json["errors"]
        assert [(one["pointer"], one["detail"].rpartition("; ")[2]) for one in told] == [("/instruments/1", "got 7")]

    served.run(work)


def test_whoever_shows_a_whole_key_is_told_that_it_has_ended(served: Any) -> None:
    async def work(client: Client) -> None:
        for name in ("expired", "revoked"):
            answer = await client.get("/v1/me", key=served.keys[name])
            assert answer.status == 401
            assert "not valid any more: it was revoked, or expired, at 20" in answer.json["detail"], answer.json
        guessed = served.keys["expired"][:12] + "x" + served.keys["expired"][13:]
        assert "any more" not in (await client.get("/v1/me", key=guessed)).json["detail"]

    served.run(work)


def test_a_refusal_of_very_many_values_is_one_that_can_be_read(served: Any) -> None:
    async def work(client: Client) -> None:
        for answer in (
            await client.get("/v1/instruments?" + "&".join(f"p{n}=1" for n in range(600))),
            await client.post("/v1/portfolios", {f"p{n}": 1 for n in range(600)}),
        ):
            assert answer.status == 422
            assert len(answer.json["errors"]) < 110
            assert any("more" in each["detail"] for each in answer.json["errors"])
            assert len(answer.json["detail"]) < 400, answer.json["detail"]

    served.run(work)


def test_a_key_that_may_not_make_such_a_key_is_told_which_scope_it_is(served: Any) -> None:
    async def work(client: Client) -> None:
        answer = await client.post("/v1/api-keys", {"name": "k", "scopes": ["market:read", "organization:admin"]})
        assert answer.status == 403
        assert "a key that holds organization:admin in paper" in answer.json["detail"]

    served.run(work)
