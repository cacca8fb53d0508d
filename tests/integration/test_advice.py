"""A refusal at the door says what helps there."""

from __future__ import annotations

from typing import Any

from asgi import Client, Person
from logging_in import login


def test_a_failed_login_is_not_told_to_send_a_key(served: Any) -> None:
    async def work(client: Client) -> None:
        answers = [
            await login(client, password="not the right one"),
            await login(client, "owner@example.com", code="000000"),
            await client.get("/v1/me", person=Person("no such session")),
        ]
        for answer in answers:
            assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), answer.json
            assert "Bearer" not in answer.json["detail"]
        assert "POST /v1/auth/login" in answers[2].json["detail"]

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
