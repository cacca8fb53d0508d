"""Registering, logging in, sessions, passwords: what is answered, what is counted, what ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from asgi import Client, Person
from logging_in import LOGIN, actions, count_of, login, opened, token_of
from seeds_people import PASSWORD, SYSTEM
from tradewright.accounts import people
from tradewright.storage.tables import audit_log, organizations, throttles, users

NEW = "another sentence, never said"


# --- nobody learns who is known ---------------------------------------------------------------------------------------


def test_a_login_says_the_same_for_unknown_wrong_and_erased(served: Any) -> None:
    def erase(tx: Any) -> None:
        tx.execute(users.update().where(users.c.id == "usr_viewer").values(email=None, password_hash=None, erased_at=1))

    served.database.write(erase)
    passwords = served.services.passwords

    async def work(client: Client) -> None:
        seen = []
        for email in ("trader@example.com", "nobody@example.com", "viewer@example.com"):
            runs, rows = passwords.runs, count_of(served, audit_log)
            answer = await login(client, email, "not the right one")
            body = {**answer.json, "request_id": ""}
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            headers = {name: value for name, value in headers.items() if not name.startswith("ratelimit")}
            seen.append((answer.status, body, headers, passwords.runs - runs, count_of(served, audit_log) - rows))
        assert seen[0][0] == 401
        assert seen[0][3:] == (1, 1)
        assert seen[0] == seen[1] == seen[2]

    served.run(work)


def test_a_registration_says_the_same_for_known_and_unknown(served: Any) -> None:
    passwords = served.services.passwords

    async def work(client: Client) -> None:
        client = opened(served, client)
        seen = []
        for email in ("fresh@example.com", "trader@example.com", "TRADER@example.com"):
            runs, rows = passwords.runs, count_of(served, users)
            body = {"email": email, "password": NEW, "name": "Fresh"}
            answer = await client.post("/v1/auth/register", body, key=None)
            headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            headers = {name: value for name, value in headers.items() if not name.startswith("ratelimit")}
            seen.append((answer.status, answer.body, headers, passwords.runs - runs))
            assert count_of(served, users) - rows == (1 if email.startswith("fresh") else 0)
        assert seen[0][0] == 202
        assert seen[0][3] == 1
        assert seen[0] == seen[1] == seen[2]
        assert (await login(client, "Fresh@Example.com", NEW)).status == 200
        assert (await login(client, "trader@example.com", NEW)).status == 401  # the known person kept the password

    served.run(work)


# --- counted tries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["trader@example.com", "nobody@example.com"])
def test_parallel_tries_of_one_account_do_not_slip_through(served: Any, email: str) -> None:
    passwords = served.services.passwords

    async def work(client: Client) -> None:
        clients = [replace(client, address=f"198.51.100.{n}") for n in range(50)]
        before = passwords.runs
        answers = await asyncio.gather(*(login(one, email, "not the right one") for one in clients))
        assert passwords.runs - before == 10
        assert sorted({answer.status for answer in answers}) == [401, 429]
        refused = next(answer for answer in answers if answer.status == 429)
        assert (refused.json["code"], refused.headers["retry-after"]) == ("rate_limited", "30")
        assert (await login(client, email)).status == 429  # the right password too
        served.clock.advance(31)
        assert (await login(client, email)).status == (200 if email.startswith("trader") else 401)

    served.run(work)


def test_a_success_lets_the_count_begin_anew(served: Any) -> None:
    async def work(client: Client) -> None:
        for _ in range(3):
            for _ in range(9):
                assert (await login(client, password="not the right one")).status == 401
            assert (await login(client)).status == 200

    served.run(work)


def test_right_and_wrong_tries_at_the_same_time_are_all_answered(served: Any) -> None:
    async def work(client: Client) -> None:
        clients = [replace(client, address=f"198.51.100.{n}") for n in range(24)]
        passwords = [PASSWORD if n % 2 else "not the right one" for n in range(24)]
        answers = await asyncio.gather(
            *(login(one, password=text) for one, text in zip(clients, passwords, strict=True))
        )
        assert {answer.status for answer in answers} <= {200, 401, 429}
        for answer, text in zip(answers, passwords, strict=True):
            assert (answer.status == 200) <= (text == PASSWORD)
        assert 200 in {answer.status for answer in answers}

    served.run(work)


def test_one_address_may_try_sixty_accounts_and_no_more(served: Any) -> None:
    async def work(client: Client) -> None:
        statuses = [(await login(client, f"nobody{n}@example.com")).status for n in range(65)]
        assert statuses == [401] * 60 + [429] * 5
        elsewhere = replace(client, address="198.51.100.7")
        assert (await login(elsewhere)).status == 200
        network = [replace(client, address=f"2001:db8::{n:x}") for n in range(1, 63)]
        statuses = [(await login(one, f"nobody{n}@example.com")).status for n, one in enumerate(network)]
        assert statuses.count(429) == 2  # addresses of one subscriber count together

    served.run(work)


def test_the_count_stands_in_the_database_and_names_nobody(served: Any) -> None:
    served.run(lambda client: login(client, password="not the right one"))
    rows = served.database.read(lambda tx: tx.execute(throttles.select()).all())
    assert len(rows) == 2
    assert "trader" not in str(rows)


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(served: Any) -> None:
    async def work(client: Client) -> None:
        answer = await login(client)
        assert answer.status == 200
        name, *attributes = answer.headers["set-cookie"].split("; ")
        assert name.startswith("__Host-")
        assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
        assert len(token_of(answer)) >= 43
        assert token_of(answer) not in answer.body.decode()
        assert answer.headers["cache-control"] == "no-store"
        again = await login(client)
        assert token_of(again) != token_of(answer)
        person = Person(token_of(again))
        assert answer.json["user"] == (await client.get("/v1/me", person=person)).json["id"] == "usr_trader"

    served.run(work)


def test_a_change_needs_the_token_of_the_page_and_an_origin_of_ours(served: Any) -> None:
    async def work(client: Client) -> None:
        answer = await login(client)
        person = Person(token_of(answer))
        assert person.headers["tradewright-csrf"] == answer.json["csrf_token"]
        for token, said in (("", "there was none"), ("0" * 64, "what was sent is not that")):
            refused = await client.post("/v1/auth/logout", None, person=person, headers={"Tradewright-CSRF": token})
            assert (refused.status, refused.json["code"]) == (403, "csrf_refused")
            assert said in refused.json["detail"]
            assert "csrf_token" in refused.json["detail"]
            assert answer.json["csrf_token"] not in refused.body.decode()
        foreign = {"Origin": "https://evil.example"}
        for target in ("/v1/auth/logout", LOGIN):
            refused = await client.post(target, None, person=person, headers=foreign)
            assert (refused.status, refused.json["code"]) == (403, "origin_refused")
        refused = await client.post(LOGIN, None, key=None, headers={"Sec-Fetch-Site": "cross-site"})
        assert refused.status == 403
        ours = {"Origin": "http://localhost:8000"}
        assert (await client.post("/v1/auth/logout", None, person=person, headers=ours)).status == 204

    served.run(work)


def test_a_session_is_dead_after_logout(served: Any) -> None:
    async def work(client: Client) -> None:
        person = Person(token_of(await login(client)))
        assert (await client.get("/v1/me", person=person)).status == 200
        answer = await client.post("/v1/auth/logout", None, person=person)
        assert answer.status == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert '"cookies"' in answer.headers["clear-site-data"]
        assert (await client.get("/v1/me", person=person)).status == 401

    served.run(work)


def test_sessions_end_without_use_and_at_last_whatever_the_use(served: Any) -> None:
    hour = 3600

    async def work(client: Client) -> None:
        unused, used = Person(token_of(await login(client))), Person(token_of(await login(client)))
        for _ in range(13):
            served.clock.advance(23 * hour)
            assert (await client.get("/v1/me", person=used)).status == 200
        assert (await client.get("/v1/me", person=unused)).status == 401
        served.clock.advance(23 * hour)
        assert (await client.get("/v1/me", person=used)).status == 200
        served.clock.advance(15 * hour)
        assert (await client.get("/v1/me", person=used)).status == 401

    served.run(work)


def test_other_sessions_are_listed_and_ended_and_nobody_elses(served: Any) -> None:
    async def work(client: Client) -> None:
        first, second = Person(token_of(await login(client))), Person(token_of(await login(client)))
        listed = (await client.get("/v1/auth/sessions", person=first)).json["data"]
        assert [row["current"] for row in listed].count(True) == 1
        mine = {row["id"] for row in listed}
        stranger = Person(served.made["session stranger"], organization="org_b")
        for session in mine:
            assert (await client.send("DELETE", f"/v1/auth/sessions/{session}", person=stranger)).status == 404
        ended = await client.post("/v1/auth/sessions/end-others", None, person=first)
        assert ended.json == {"ended": len(mine) - 1}
        assert (await client.get("/v1/me", person=second)).status == 401
        assert (await client.get("/v1/me", person=first)).status == 200

    served.run(work)


# --- proving again ----------------------------------------------------------------------------------------------------


def test_a_step_up_is_required_expires_and_gives_a_new_token(served: Any) -> None:
    async def work(client: Client) -> None:
        old = Person(token_of(await login(client)))
        ask = lambda person: client.send("DELETE", "/v1/auth/totp", person=person)  # noqa: E731
        assert (await ask(old)).json["code"] == "step_up_required"
        wrong = await client.post("/v1/auth/step-up", {"password": "not the right one"}, person=old)
        assert (wrong.status, wrong.json["code"]) == (401, "wrong_credentials")
        answer = await client.post("/v1/auth/step-up", {"password": PASSWORD}, person=old)
        assert answer.status == 200
        new = Person(token_of(answer))
        assert (await client.get("/v1/me", person=old)).status == 401
        assert (await ask(new)).status == 404  # it may; there is nothing to turn off
        served.clock.advance(599)
        assert (await ask(new)).status == 404
        served.clock.advance(2)
        assert (await ask(new)).json["code"] == "step_up_required"
        for body in ({}, {"password": PASSWORD, "credential": {}}):
            assert (await client.post("/v1/auth/step-up", body, person=new)).status == 422

    served.run(work)


def test_tries_of_a_step_up_are_counted_too(served: Any) -> None:
    async def work(client: Client) -> None:
        person = Person(served.made["session trader"])
        before = served.services.passwords.runs
        bodies = [{"password": f"not the right one {n}"} for n in range(30)]
        answers = await asyncio.gather(*(client.post("/v1/auth/step-up", body, person=person) for body in bodies))
        assert served.services.passwords.runs - before == 10
        assert sum(answer.status == 429 for answer in answers) == 20

    served.run(work)


def test_a_new_password_ends_every_other_session(served: Any) -> None:
    async def work(client: Client) -> None:
        here, there = Person(token_of(await login(client))), Person(token_of(await login(client)))
        change = lambda current, new: client.post(  # noqa: E731
            "/v1/auth/password", {"current_password": current, "new_password": new}, person=here
        )
        assert (await change("not the right one", NEW)).status == 401
        refused = await change(PASSWORD, "password1")
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/new_password")
        answer = await change(PASSWORD, NEW)
        assert answer.status == 200
        for person in (here, there, Person(served.made["session trader"])):
            assert (await client.get("/v1/me", person=person)).status == 401
        assert (await client.get("/v1/me", person=Person(token_of(answer)))).status == 200
        assert (await login(client)).status == 401
        assert (await login(client, password=NEW)).status == 200

    served.run(work)
    done = actions(served, "usr_trader")
    assert {"login", "login.failed", "password.change", "password.change_failed"} <= set(done)


def test_a_password_under_an_older_cost_is_hashed_anew_at_login(served: Any) -> None:
    from argon2 import PasswordHasher

    kept = PasswordHasher(2, 16, 1).hash(PASSWORD)
    served.database.write(
        lambda tx: tx.execute(users.update().where(users.c.id == "usr_trader").values(password_hash=kept))
    )

    async def work(client: Client) -> None:
        assert (await login(client)).status == 200
        assert (await login(client)).status == 200

    served.run(work)
    find = users.select().where(users.c.id == "usr_trader")
    row = served.database.read(lambda tx: tx.execute(find).mappings().one())
    assert "m=8,t=1,p=1" in row["password_hash"]


def test_a_token_of_an_operator_sets_a_password_once(served: Any) -> None:
    token = served.made["reset token"]

    async def work(client: Client) -> None:
        session = Person(token_of(await login(client, "forgetful@example.com")))
        body = {"token": token, "new_password": NEW}
        bad = await client.post("/v1/auth/reset", {**body, "token": "x" * 43}, key=None)
        assert (bad.status, bad.json["code"]) == (403, "forbidden")
        answers = await asyncio.gather(*(client.post("/v1/auth/reset", body, key=None) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [204] + [403] * 7
        assert (await client.get("/v1/me", person=session)).status == 401
        assert (await login(client, "forgetful@example.com", NEW)).status == 200
        begin = (people.begin_reset, "forgetful@example.com", SYSTEM, served.clock.now_us())
        used = (await served.database.write_async(*begin))[1]
        other = (await served.database.write_async(*begin))[1]
        body = {"token": used, "new_password": PASSWORD}
        assert (await client.post("/v1/auth/reset", body, key=None)).status == 204
        assert (await client.post("/v1/auth/reset", {**body, "token": other}, key=None)).status == 403
        late = (await served.database.write_async(*begin))[1]
        served.clock.advance(3601)
        body = {"token": late, "new_password": PASSWORD}
        assert (await client.post("/v1/auth/reset", body, key=None)).status == 403

    served.run(work)


@pytest.mark.parametrize("password", ["forgetful", "Forgetful@Example.com"])
def test_no_way_to_a_new_password_takes_the_own_address(served: Any, password: str) -> None:
    async def work(client: Client) -> None:
        token = token_of(await login(client, "forgetful@example.com"))
        person = Person(token, organization="", environment="")
        reset = {"token": served.made["reset token"], "new_password": password}
        change = {"current_password": PASSWORD, "new_password": password}
        register = {"email": "forgetful@example.com", "name": "F", "password": password}
        answers = [
            await client.post("/v1/auth/reset", reset, key=None),
            await client.post("/v1/auth/password", change, person=person),
            await client.post("/v1/auth/register", register, key=None),
        ]
        for answer in answers:
            assert (answer.status, answer.json["code"]) == (422, "invalid_input"), answer.body
            assert "before its @" in answer.json["detail"]
        assert (await client.post("/v1/auth/reset", {**reset, "new_password": NEW}, key=None)).status == 204
        foreign = {"token": "x" * 43, "new_password": password}
        assert (await client.post("/v1/auth/reset", foreign, key=None)).status == 403  # tells nobody whose it is not

    served.run(work)


# --- registering ------------------------------------------------------------------------------------------------------


def test_where_registration_is_closed_an_invitation_is_needed(served: Any) -> None:
    async def work(client: Client) -> None:
        body = {"email": "fresh@example.com", "password": NEW, "name": "Fresh"}
        refused = await client.post("/v1/auth/register", body, key=None)
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        assert "invitation" in refused.json["detail"]
        for other in ("x" * 43, served.made["invitation to accept"]):
            refused = await client.post("/v1/auth/register", {**body, "invitation": other}, key=None)
            assert refused.status == 403

    served.run(work)


def test_what_was_not_asked_for_is_refused(served: Any) -> None:
    cases: dict[str, dict[str, Any]] = {
        "/password": {"password": "short"},
        "/password ": {"password": "password"},
        "/email": {"email": "no address"},
        "/name": {"name": "  "},
        "/name ": {"name": "a\nb"},
        "/role": {"role": "owner"},
        "/id": {"id": "usr_owner"},
        "/erased_at": {"erased_at": None},
    }

    async def work(client: Client) -> None:
        client = opened(served, client)
        for pointer, change in cases.items():
            body = {"email": "fresh@example.com", "password": NEW, "name": "Fresh", **change}
            refused = await client.post("/v1/auth/register", body, key=None)
            assert refused.status == 422
            assert [error["pointer"] for error in refused.json["errors"]] == [pointer.strip()]

    before = count_of(served, users)
    served.run(work)
    assert count_of(served, users) == before


def test_an_invitation_and_a_name_of_an_own_organization_do_not_go_together(served: Any) -> None:
    body = {"email": "new@example.com", "password": NEW, "name": "New"}
    both = {**body, "invitation": served.made["invitation to register"], "organization_name": "Mine"}

    async def work(client: Client) -> None:
        refused = await client.post("/v1/auth/register", both, key=None)
        assert refused.status == 422, refused.body
        (fault,) = refused.json["errors"]
        assert fault["pointer"] == "/organization_name"
        assert "leave" in fault["detail"]
        del both["organization_name"]
        assert (await client.post("/v1/auth/register", both, key=None)).status == 202

    served.run(work)


def test_the_very_first_person_owns_what_is_there_and_only_one_does(served: Any) -> None:
    def empty(tx: Any) -> None:
        tx.execute(users.delete())
        tx.execute(organizations.delete().where(organizations.c.id == "org_b"))

    served.database.write(empty)

    async def work(client: Client) -> None:
        client = opened(served, client)
        bodies = [
            {"email": f"p{n}@example.com", "password": NEW, "name": f"P{n}", "organization_name": f"O{n}"}
            for n in range(6)
        ]
        answers = await asyncio.gather(*(client.post("/v1/auth/register", body, key=None) for body in bodies))
        assert {answer.status for answer in answers} == {202}
        owned = []
        for body in bodies:
            person = Person(token_of(await login(client, body["email"], NEW)), "", "")
            owned.append((await client.get("/v1/organizations", person=person)).json["data"])
        assert all(len(each) == 1 and each[0]["role"] == "owner" for each in owned)
        assert [each[0]["name"] for each in owned] == [f"O{n}" for n in range(6)]
        names = [each[0]["id"] for each in owned]
        assert names.count("org_a") == 1
        assert len(set(names)) == 6

    served.run(work)


def test_no_answer_to_a_person_holds_a_secret_of_another_call(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    secrets: list[str] = [PASSWORD]

    async def work(client: Client) -> None:
        answer = await login(client)
        secrets.append(token_of(answer))
        person = Person(secrets[-1])
        targets: list[Callable[[], Any]] = [
            lambda: client.get("/v1/auth/sessions", person=person),
            lambda: client.get("/v1/me", person=person),
            lambda: client.post(LOGIN, {"email": "x", "password": PASSWORD}, key=None),
        ]
        for ask in targets:
            text = (await ask()).body.decode()
            assert all(secret not in text for secret in secrets)
            assert "argon2" not in text

    served.run(work)
    assert all(secret not in caplog.text for secret in secrets)
