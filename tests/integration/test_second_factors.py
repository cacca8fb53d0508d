"""Codes, recovery codes and passkeys: each counts once, and changing them needs a proof."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pyotp
import pytest

from asgi import Client, Person
from logging_in import actions, login, token_of
from seeds_people import PASSWORD, session_of
from software_key import PRESENT, SoftwareKey
from tradewright.accounts import people
from tradewright.errors import NotFound
from tradewright.storage import factors
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx
from tradewright.storage.tables import audit_log, authenticators, passkeys, recovery_codes


def asked_again(served: Any, user: str = "usr_trader") -> Person:
    """A person with a session who was just asked again."""
    return Person(served.database.write(session_of, user, served.clock.now_us(), stepped_up=True))


async def enrolled(served: Any, client: Client, person: Person) -> tuple[pyotp.TOTP, list[str]]:
    """Turn codes on; return the app, and the recovery codes."""
    answer = await client.post("/v1/auth/totp", None, person=person)
    assert answer.status == 200, answer.body
    app = pyotp.TOTP(answer.json["secret"])
    assert answer.json["uri"].startswith("otpauth://totp/Tradewright:")
    answer = await client.post("/v1/auth/totp/confirm", {"code": code_of(served, app)}, person=person)
    assert answer.status == 200, answer.body
    served.clock.advance(30)
    return app, answer.json["recovery_codes"]


def code_of(served: Any, app: pyotp.TOTP, later_s: int = 0) -> str:
    return app.at(served.clock.now_us() // 1_000_000 + later_s)


# --- codes ------------------------------------------------------------------------------------------------------------


def test_with_codes_on_a_password_does_not_suffice(served: Any) -> None:
    async def work(client: Client) -> None:
        app, _ = await enrolled(served, client, asked_again(served))
        without = await login(client)
        assert (without.status, without.json["code"]) == (401, "second_factor_required")
        assert "recovery code" in without.json["detail"]
        assert "set-cookie" not in without.headers
        assert (await login(client, code="000000")).json["code"] == "wrong_credentials"
        wrong = await login(client, password="not the right one", code=code_of(served, app))
        assert wrong.json["code"] == "wrong_credentials"
        assert (await login(client, code=code_of(served, app))).status == 200

    served.run(work)
    assert {"totp.enrol", "totp.confirm", "login.failed", "login"} <= set(actions(served, "usr_trader"))


def test_a_code_counts_once_also_in_parallel(served: Any) -> None:
    async def work(client: Client) -> None:
        app, _ = await enrolled(served, client, asked_again(served))
        code = code_of(served, app)
        answers = await asyncio.gather(*(login(client, code=code) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 7
        earlier = code_of(served, app, -30)  # of a step before the one that was used
        assert (await login(client, code=earlier)).status == 401

    served.run(work)


def test_a_phone_may_be_one_step_wrong(served: Any) -> None:
    async def work(client: Client) -> None:
        app, _ = await enrolled(served, client, asked_again(served))
        for shift, status in ((-60, 401), (-30, 200), (0, 200), (30, 200), (60, 401)):
            served.clock.advance(600)
            assert (await login(client, code=code_of(served, app, shift))).status == status, shift

    served.run(work)


def test_guessing_codes_is_counted(served: Any) -> None:
    async def work(client: Client) -> None:
        await enrolled(served, client, asked_again(served))
        clients = [replace(client, address=f"198.51.100.{n}") for n in range(30)]
        answers = await asyncio.gather(*(login(one, code=f"{n:06}") for n, one in enumerate(clients)))
        assert sum(answer.status == 429 for answer in answers) == 20
        person = asked_again(served)
        bodies = [{"password": PASSWORD, "code": f"{n:06}"} for n in range(30)]
        answers = await asyncio.gather(*(client.post("/v1/auth/step-up", body, person=person) for body in bodies))
        assert sum(answer.status == 429 for answer in answers) == 20

    served.run(work)


def test_confirming_is_counted_and_needs_the_right_code(served: Any) -> None:
    async def work(client: Client) -> None:
        person = asked_again(served)
        secret = (await client.post("/v1/auth/totp", None, person=person)).json["secret"]
        statuses = []
        for number in range(12):
            body = {"code": f"{number:06}"}
            statuses.append((await client.post("/v1/auth/totp/confirm", body, person=person)).status)
        assert statuses == [422] * 10 + [429] * 2
        assert (await login(client)).status == 200  # not confirmed: not asked for
        served.clock.advance(31)
        body = {"code": code_of(served, pyotp.TOTP(secret))}
        assert (await client.post("/v1/auth/totp/confirm", body, person=person)).status == 200
        assert (await client.post("/v1/auth/totp/confirm", body, person=person)).status == 404

    served.run(work)


def test_factors_change_only_after_a_proof_the_first_one_too(served: Any) -> None:
    async def work(client: Client) -> None:
        plain = Person(served.made["session trader"])
        first = await client.post("/v1/auth/totp", None, person=plain)  # a stolen session must lock nobody out
        assert (first.status, first.json["code"]) == (403, "step_up_required")
        app, _ = await enrolled(served, client, asked_again(served))
        for method, target in (
            ("POST", "/v1/auth/totp"),
            ("DELETE", "/v1/auth/totp"),
            ("POST", "/v1/auth/recovery-codes"),
            ("POST", "/v1/auth/passkeys/options"),
            ("DELETE", "/v1/auth/passkeys/psk_none"),
        ):
            refused = await client.send(method, target, person=plain)
            assert (refused.status, refused.json["code"]) == (403, "step_up_required"), target
        assert (await client.post("/v1/auth/totp", None, person=asked_again(served))).status == 409
        without = await client.post("/v1/auth/step-up", {"password": PASSWORD}, person=plain)
        assert without.json["code"] == "second_factor_required"
        body = {"password": PASSWORD, "code": code_of(served, app)}
        again = Person(token_of(await client.post("/v1/auth/step-up", body, person=plain)))
        assert (await client.send("DELETE", "/v1/auth/totp", person=again)).status == 204
        assert (await login(client)).status == 200

    served.run(work)
    left = recovery_codes.select().where(recovery_codes.c.user == "usr_trader")
    assert served.database.read(lambda tx: tx.execute(left).all()) == []


def test_the_secret_of_the_app_is_sealed_and_shown_once(served: Any) -> None:
    async def work(client: Client) -> str:
        person = asked_again(served)
        headers = {"Idempotency-Key": "enrol-1"}
        first = await client.post("/v1/auth/totp", None, person=person, headers=headers)
        again = await client.post("/v1/auth/totp", None, person=person, headers=headers)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json == {"secret": None, "uri": None}
        return str(first.json["secret"])

    secret = served.run(work)
    rows = served.database.read(lambda tx: tx.execute(authenticators.select()).all())
    assert secret not in str(rows)
    assert secret.encode() not in b"".join(bytes(row.secret) for row in rows)


# --- recovery codes ---------------------------------------------------------------------------------------------------


def test_a_recovery_code_counts_once_also_in_parallel(served: Any) -> None:
    async def work(client: Client) -> None:
        _, codes = await enrolled(served, client, asked_again(served))
        assert len(set(codes)) == 10
        answers = await asyncio.gather(*(login(client, code=codes[0]) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 7
        assert (await login(client, code=codes[1].upper().replace("-", " "))).status == 200
        me = (await client.get("/v1/me", person=Person(served.made["session trader"]))).json
        assert (me["second_factors"], me["recovery_codes_left"]) == (["code"], 8)
        fresh = (await client.post("/v1/auth/recovery-codes", None, person=asked_again(served))).json["recovery_codes"]
        assert (await login(client, code=codes[2])).status == 401
        assert (await login(client, code=fresh[0])).status == 200

    served.run(work)
    assert "recovery_code.use" in actions(served, "usr_trader")


# --- passkeys ---------------------------------------------------------------------------------------------------------


async def registered(served: Any, client: Client, key: SoftwareKey) -> Any:
    """Register a passkey of the trader; return the answer."""
    person = asked_again(served)
    asked = await client.post("/v1/auth/passkeys/options", None, person=person)
    assert asked.status == 200
    return await client.post("/v1/auth/passkeys", {"credential": key.create(asked.json["options"])}, person=person)


async def by_passkey(client: Client, key: SoftwareKey) -> Any:
    """Log in with a passkey; return the answer."""
    options = (await client.post("/v1/auth/passkeys/login-options", None, key=None)).json["options"]
    return await client.post("/v1/auth/passkeys/login", {"credential": key.get(options)}, key=None)


def test_a_passkey_lets_in_and_a_password_alone_no_longer_does(served: Any) -> None:
    async def work(client: Client) -> None:
        key = SoftwareKey()
        made = await registered(served, client, key)
        assert made.status == 201, made.body
        assert len(made.json["recovery_codes"]) == 10
        refused = await login(client)
        assert (refused.status, refused.json["code"]) == (401, "second_factor_required")
        assert "passkey" in refused.json["detail"]
        answer = await by_passkey(client, key)
        assert answer.status == 200, answer.body
        person = Person(token_of(answer))
        listed = (await client.get("/v1/auth/passkeys", person=person)).json["data"]
        assert [row["last_used_at"] is not None for row in listed] == [True]
        assert (await login(client, code=made.json["recovery_codes"][0])).status == 200
        target = f"/v1/auth/passkeys/{listed[0]['id']}"
        assert (await client.send("DELETE", target, person=asked_again(served, "usr_admin"))).status == 404
        assert (await client.send("DELETE", target, person=asked_again(served))).status == 204
        assert (await by_passkey(client, key)).status == 401
        assert (await login(client)).status == 200

    served.run(work)


def test_an_answer_of_a_passkey_counts_once_also_in_parallel(served: Any) -> None:
    async def work(client: Client) -> None:
        key = SoftwareKey()
        await registered(served, client, key)
        options = (await client.post("/v1/auth/passkeys/login-options", None, key=None)).json["options"]
        body = {"credential": key.get(options)}
        answers = await asyncio.gather(*(client.post("/v1/auth/passkeys/login", body, key=None) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 5
        late = (await client.post("/v1/auth/passkeys/login-options", None, key=None)).json["options"]
        served.clock.advance(301)
        assert (await client.post("/v1/auth/passkeys/login", {"credential": key.get(late)}, key=None)).status == 401

    served.run(work)


def test_a_passkey_of_elsewhere_without_check_copied_or_forged_is_refused(served: Any) -> None:
    changes: list[dict[str, Any]] = [
        {"origin": "https://evil.example"},
        {"site": "evil.example"},
        {"flags": PRESENT},
        {"count": 0},
        {"user": b"usr_owner"},
        {"key": SoftwareKey().key},
    ]

    async def work(client: Client) -> None:
        key = SoftwareKey()
        await registered(served, client, key)
        for change in changes:
            assert (await by_passkey(client, key)).status == 200
            assert (await by_passkey(client, key)).status == 200
            answer = await by_passkey(client, replace(key, **change))
            assert (answer.status, answer.json["code"]) == (401, "wrong_credentials"), change

    served.run(work)
    assert actions(served, "usr_trader").count("login.failed") == len(changes)


def test_a_passkey_that_does_not_count_works_for_ever(served: Any) -> None:
    async def work(client: Client) -> None:
        key = SoftwareKey(counts=False)
        await registered(served, client, key)
        assert [(await by_passkey(client, key)).status for _ in range(3)] == [200] * 3

    served.run(work)


def test_a_challenge_of_another_person_or_purpose_counts_for_nothing(served: Any) -> None:
    async def work(client: Client) -> None:
        trader, admin = asked_again(served), asked_again(served, "usr_admin")
        asked = (await client.post("/v1/auth/passkeys/options", None, person=admin)).json["options"]
        body = {"credential": SoftwareKey().create(asked)}
        assert (await client.post("/v1/auth/passkeys", body, person=trader)).status == 401
        public = (await client.post("/v1/auth/passkeys/login-options", None, key=None)).json["options"]
        body = {"credential": SoftwareKey().create({**public, "user": asked["user"]})}
        assert (await client.post("/v1/auth/passkeys", body, person=trader)).status == 401
        for nonsense in ({}, {"id": "x"}, {"id": 1, "response": {"clientDataJSON": "e30"}}, {"response": "x"}):
            answer = await client.post("/v1/auth/passkeys", {"credential": nonsense}, person=trader)
            assert answer.status == 422
            answer = await client.post("/v1/auth/passkeys/login", {"credential": nonsense}, key=None)
            assert answer.status == 422

    served.run(work)


def test_a_passkey_steps_up_its_own_person_only(served: Any) -> None:
    async def work(client: Client) -> None:
        key = SoftwareKey()
        await registered(served, client, key)
        for name, status in (("session admin", 401), ("session trader", 200)):
            options = (await client.post("/v1/auth/passkeys/login-options", None, key=None)).json["options"]
            body = {"credential": key.get(options)}
            answer = await client.post("/v1/auth/step-up", body, person=Person(served.made[name]))
            assert answer.status == status
        again = Person(token_of(answer))
        assert (await client.send("DELETE", "/v1/auth/passkeys/psk_none", person=again)).status == 404

    served.run(work)


# --- lost -------------------------------------------------------------------------------------------------------------


def test_an_operator_takes_lost_factors_away_with_every_session_and_on_the_record(served: Any) -> None:
    person = asked_again(served)
    row = {"id": "psk_trader", "user": "usr_trader", "name": "p", "credential": b"c", "public_key": b"k"}
    served.database.write(factors.add_passkey, {**row, "sign_count": 0, "created_at": served.clock.now_us()})

    def remove(email: str = "Trader@Example.com") -> dict[str, Any]:
        operator = Actor("system", "command line")
        done: dict[str, Any] = served.database.write(people.remove_factors, email, operator, served.clock.now_us())
        return done

    async def work(client: Client) -> None:
        await enrolled(served, client, person)
        token = token_of(await login(client, code=(await enrolled_codes(client, person))[0]))
        assert (await login(client)).json["code"] == "second_factor_required"
        done = await asyncio.to_thread(remove)
        assert (done["id"], done["codes"], done["passkeys"]) == ("usr_trader", True, 1)
        assert done["sessions_ended"] >= 2
        for ended in (person, Person(token)):
            assert (await client.get("/v1/me", person=ended)).status == 401
        assert (await login(client)).status == 200

    async def enrolled_codes(client: Client, person: Person) -> list[str]:
        answer = await client.post("/v1/auth/recovery-codes", None, person=person)
        codes: list[str] = answer.json["recovery_codes"]
        return codes

    served.run(work)

    def left(tx: Tx) -> dict[str, set[str]]:
        tables = (authenticators, passkeys, recovery_codes)
        return {
            table.name: set(tx.execute(table.select().with_only_columns(table.c.user)).scalars()) for table in tables
        }

    there = served.database.read(left)
    assert all("usr_trader" not in users for users in there.values())
    assert "usr_owner" in there["passkeys"] & there["recovery_codes"]
    query = audit_log.select().where(audit_log.c.action == "factors.remove")
    (entry,) = served.database.read(lambda tx: tx.execute(query).mappings().all())
    assert (entry["actor"], entry["object"], entry["detail"]) == (
        "system",
        "usr_trader",
        {"codes": True, "passkeys": 1},
    )
    for email in ("trader@example.com", "nobody@example.com"):
        with pytest.raises(NotFound):
            remove(email)
