"""Ways in that no other test tries: what is tossed in, raced, repeated, said too loudly or left lying about."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyotp
import pytest

from asgi import Client, Person
from logging_in import LOGIN, login, token_of
from seeds_people import PASSWORD, session_of
from software_key import SoftwareKey
from tradewright.accounts import keys, people
from tradewright.accounts.limits import MemoryLimiter, Policy
from tradewright.accounts.sessions import COOKIE
from tradewright.api import layers
from tradewright.api.app import build
from tradewright.api.operations import Operation
from tradewright.api.rules import Rules, of_settings
from tradewright.app import house
from tradewright.settings import Settings
from tradewright.storage import people as storage_people
from tradewright.storage.audit import Actor
from tradewright.storage.tables import metadata, recovery_codes

NEW = "another sentence, never said"


def asked_again(served: Any, user: str = "usr_trader") -> Person:
    return Person(served.database.write(session_of, user, served.clock.now_us(), stepped_up=True))


def under(served: Any, **rules: Any) -> Client:
    """A client of the same installation under other rules."""
    services = replace(served.services, rules=Rules(**rules), limiter=MemoryLimiter())
    return Client(build(services), served.keys["whole"])


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_with_another_secret_is_no_key(served: Any) -> None:
    parts = keys.parse(served.keys["whole"])
    assert parts is not None
    text = f"tw_{parts.environment}_{parts.public_id}{'x' * 43}"
    forged = text + keys._checksum(text)
    assert keys.parse(forged) is not None
    assert served.run(lambda client: client.get("/v1/instruments", key=forged)).status == 401


def test_a_key_cannot_say_that_it_is_of_another_environment(served: Any) -> None:
    text = served.keys["whole"].replace("tw_paper_", "tw_live_")[:-6]
    forged = text + keys._checksum(text)
    assert keys.parse(forged) is not None
    assert served.run(lambda client: client.get("/v1/instruments", key=forged)).status == 401


def test_secrets_are_long_and_never_the_same(served: Any) -> None:
    def many(tx: Any) -> list[str]:
        return [keys.create(tx, "org_a", "paper", "k", [], 0)[1] for _ in range(300)]

    parts = [keys.parse(text) for text in served.database.write(many)]
    secrets = {part.secret for part in parts if part is not None}
    assert len(secrets) == 300
    for place in range(2, 43):  # every one of its characters varies
        assert len({secret[place] for secret in secrets}) > 20, place


# --- what is refused says nothing it should not -----------------------------------------------------------------------


def test_a_refused_secret_is_not_repeated(served: Any) -> None:
    planted = "planted-secret-0123456789"
    long = planted * 30
    person = asked_again(served)
    refused: list[tuple[str, Any, dict[str, Any]]] = [
        (LOGIN, {"email": "a@example.com", "password": long}, {"key": None}),
        (LOGIN, {"email": "a@example.com", "password": {"x": planted}}, {"key": None}),
        (LOGIN, {"email": "a@example.com", "password": "x", "code": long}, {"key": None}),
        ("/v1/auth/register", {"email": "a@example.com", "password": long, "name": "a"}, {"key": None}),
        ("/v1/auth/reset", {"token": long, "new_password": NEW}, {"key": None}),
        ("/v1/auth/reset", {"token": "t" * 43, "new_password": long}, {"key": None}),
        ("/v1/auth/step-up", {"password": long}, {"person": person}),
        ("/v1/auth/step-up", {"password": PASSWORD, "code": long}, {"person": person}),
        ("/v1/auth/step-up", {"credential": planted}, {"person": person}),
        ("/v1/auth/totp/confirm", {"code": long}, {"person": person}),
        ("/v1/auth/password", {"current_password": long, "new_password": NEW}, {"person": person}),
        ("/v1/auth/password", {"current_password": PASSWORD, "new_password": [planted]}, {"person": person}),
        ("/v1/invitations/accept", {"token": long}, {"person": person}),
        ("/v1/broker-accounts", {"broker": "paper", "name": "n", "credentials": {"api_key": planted, "b": 1}}, {}),
        ("/v1/broker-accounts", {"broker": "paper", "name": "n", "credentials": planted}, {}),
        ("/v1/auth/passkeys/login", {"credential": planted}, {"key": None}),
    ]

    async def work(client: Client) -> None:
        for target, body, caller in refused:
            answer = await client.post(target, body, **caller)
            assert answer.status == 422, (target, answer.body)
            assert planted not in answer.body.decode(), (target, answer.body)

    served.run(work)


def test_a_statement_that_fails_is_logged_without_what_it_held(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    served.database.write(lambda tx: tx.exec_driver_sql("CREATE UNIQUE INDEX planted ON users (name)"))
    body = {"email": "planted.person@example.com", "password": NEW, "name": "Trader"}

    async def work() -> None:
        answer = await under(served, open_registration=True).post("/v1/auth/register", body, key=None)
        assert (answer.status, answer.json["code"]) == (500, "internal_error")

    with caplog.at_level(logging.DEBUG):
        asyncio.run(work())
    assert "failed: 'POST' '/v1/auth/register'" in caplog.text
    assert "INSERT INTO users" in caplog.text
    for planted in ("planted.person", "argon2", NEW):
        assert planted not in caplog.text, planted


def test_a_path_cannot_forge_a_line_of_the_log(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("planted")

    client = Client(layers.Outermost(broken), None)
    assert asyncio.run(client.get("/v1/x\r\nERROR everything is lost")).status == 500
    assert "planted" in caplog.text
    assert "\nERROR everything" not in caplog.text


def test_no_secret_stands_in_the_database(served: Any) -> None:
    secrets: list[str] = [PASSWORD]

    async def work(client: Client) -> None:
        answer = await login(client)
        secrets.append(token_of(answer))
        person = asked_again(served)
        secrets.append(person.token)
        enrolled = await client.post("/v1/auth/totp", None, person=person, headers={"Idempotency-Key": "e"})
        secrets.append(enrolled.json["secret"])
        code = pyotp.TOTP(enrolled.json["secret"]).at(served.clock.now_us() // 1_000_000)
        confirmed = await client.post(
            "/v1/auth/totp/confirm", {"code": code}, person=person, headers={"Idempotency-Key": "c"}
        )
        secrets.extend(confirmed.json["recovery_codes"])
        wanted = {"name": "k", "scopes": ["market:read"], "signing": {"algorithm": "hmac-sha256"}}
        made = await client.post("/v1/api-keys", wanted, headers={"Idempotency-Key": "k"})
        secrets.extend((made.json["key"], made.json["key"][-49:-6], made.json["signing_secret"]))
        invited = await client.post(
            "/v1/organizations/org_a/invitations", {"email": "x@example.com", "role": "viewer"},
            person=asked_again(served, "usr_owner"), headers={"Idempotency-Key": "i"},
        )  # fmt: skip
        secrets.append(invited.json["token"])
        body = {"broker": "paper", "name": "n", "credentials": {"api_key": "planted-broker-secret"}}
        assert (await client.post("/v1/broker-accounts", body, headers={"Idempotency-Key": "b"})).status == 201
        secrets.append("planted-broker-secret")

    served.run(work)
    now_us = served.clock.now_us()
    who = Actor("system", "command line")
    secrets.append(served.database.write(people.begin_reset, "trader@example.com", who, now_us)[1])

    def read(tx: Any) -> bytes:
        whole = b""
        for table in metadata.sorted_tables:
            for row in tx.execute(table.select()):
                whole += b"\n".join(bytes(v) if isinstance(v, bytes | memoryview) else repr(v).encode() for v in row)
        return whole

    whole = served.database.read(read)
    assert len(secrets) >= 20
    for secret in secrets:
        assert secret.encode() not in whole, secret


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_cookie_that_was_tossed_in_is_refused(served: Any) -> None:
    mine, other = served.made["session trader"], served.made["session stranger"]

    async def work(client: Client) -> None:
        for header in (f"{COOKIE}={other}; {COOKIE}={mine}", f"a=b; {COOKIE}={mine};{COOKIE}="):
            answer = await client.get("/v1/me", key=None, headers={"Cookie": header})
            assert (answer.status, answer.json["code"]) == (400, "malformed_header")
            assert mine not in answer.body.decode()
        lower = await client.get("/v1/me", key=None, headers={"Cookie": f"{COOKIE.lower()}={mine}"})
        assert lower.status == 401
        assert (await client.get("/v1/me", key=None, headers={"Cookie": f"a=b; {COOKIE}={mine}"})).status == 200

    served.run(work)


def test_the_token_of_another_session_is_none(served: Any) -> None:
    async def work(client: Client) -> None:
        mine, other = Person(token_of(await login(client))), Person(token_of(await login(client)))
        headers = {"Tradewright-CSRF": other.headers["tradewright-csrf"]}
        refused = await client.post("/v1/auth/logout", None, person=mine, headers=headers)
        assert (refused.status, refused.json["code"]) == (403, "csrf_refused")
        assert (await client.post("/v1/auth/logout", None, person=mine)).status == 204

    served.run(work)


def test_a_password_does_not_grow_old(served: Any) -> None:
    served.clock.advance(3 * 365 * 86_400)
    assert served.run(login).status == 200


def test_an_archive_is_read_by_nobody_else(served: Any) -> None:
    from tradewright.storage import exports

    now_us = served.clock.now_us()
    export = served.made["export"]
    assert served.database.read(exports.content, "usr_owner", export, now_us) is not None
    assert served.database.read(exports.content, "usr_partner", export, now_us) is None


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_keys_of_an_organization_share_its_limit(served: Any) -> None:
    client = under(served, organization=Policy("organization", 4, 60))
    other = served.database.write(keys.create, "org_a", "paper", "other", ["market:read"], served.clock.now_us())[1]

    async def ask() -> None:
        asked = [client.key, other] * 3
        statuses = [(await client.get("/v1/instruments", key=key)).status for key in asked]
        assert statuses == [200] * 4 + [429] * 2
        assert (await client.get("/v1/instruments", key=served.keys["other organization"])).status == 200

    asyncio.run(ask())


def test_the_addresses_of_one_subscriber_share_a_limit(served: Any) -> None:
    client = under(served, address=Policy("address", 5, 60))

    async def ask(address: str) -> int:
        return int((await replace(client, address=address).get("/docs", key=None)).status)

    async def work() -> None:
        statuses = [await ask(f"2001:db8:0:1::{n:x}") for n in range(1, 8)]
        assert statuses == [200] * 5 + [429] * 2
        assert await ask("2001:db8:0:2::1") == 200

    asyncio.run(work())


def test_what_costs_more_takes_more(served: Any) -> None:
    client = under(served, key=Policy("key", 100, 60))

    async def ask() -> None:
        before = await client.get("/v1/limits")
        verified = await client.get("/v1/audit-log/verification")
        assert verified.status == 200
        left = [answer.headers["ratelimit"].split(", ")[1] for answer in (before, verified)]
        assert [text.split(";")[1] for text in left] == ["r=100", "r=80"]

    asyncio.run(ask())


def test_a_page_has_a_greatest_size(served: Any) -> None:
    async def work(client: Client) -> None:
        for target in ("/v1/signals", "/v1/orders", "/v1/api-keys", "/v1/audit-log", "/v1/events", "/v1/backtests"):
            assert (await client.get(f"{target}?limit=500")).status == 200, target
            assert (await client.get(f"{target}?limit=501")).status == 422, target
        assert (await client.get("/v1/bars?instruments=crypto:AAA-USD&limit=10001")).status == 422

    served.run(work)


async def streamed(app: Any, key: str, parts: list[bytes | None], apart_s: float = 0.0) -> int:
    """The status of a request whose body comes in parts, without a Content-Length. None: nothing more comes."""
    sent: list[Any] = []
    given = iter(parts)

    async def receive() -> Any:
        await asyncio.sleep(apart_s)
        part = next(given, b"")
        if part is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": part, "more_body": part != b""}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/backtests", "raw_path": b"/v1/backtests",
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])


def test_a_body_that_says_nothing_of_its_length_is_counted(served: Any) -> None:
    parts: list[bytes | None] = [b" " * 65_536] * 17
    assert asyncio.run(streamed(served.app, served.keys["whole"], parts)) == 413


@pytest.mark.parametrize("parts", [[None], [b"{", None], [b" "] * 50], ids=["never begins", "stops", "drips"])
def test_a_body_has_its_time_as_a_whole(
    served: Any, monkeypatch: pytest.MonkeyPatch, parts: list[bytes | None]
) -> None:
    monkeypatch.setattr(layers, "BODY_S", 0.1)
    assert asyncio.run(streamed(served.app, served.keys["whole"], parts, apart_s=0.02)) == 408


# --- at the same moment -----------------------------------------------------------------------------------------------


def test_of_recovery_codes_made_at_once_ten_are_good(served: Any) -> None:
    async def work(client: Client) -> None:
        first = asked_again(served)
        secret = (await client.post("/v1/auth/totp", None, person=first)).json["secret"]
        code = pyotp.TOTP(secret).at(served.clock.now_us() // 1_000_000)
        assert (await client.post("/v1/auth/totp/confirm", {"code": code}, person=first)).status == 200
        persons = [asked_again(served) for _ in range(6)]
        for _ in range(8):
            answers = await asyncio.gather(
                *(client.post("/v1/auth/recovery-codes", None, person=person) for person in persons)
            )
            assert {answer.status for answer in answers} == {200}
            assert len(served.database.read(lambda tx: tx.execute(mine).all())) == 10

    mine = recovery_codes.select().where(recovery_codes.c.user == "usr_trader")
    served.run(work, processes=6)


def test_codes_begun_at_once_are_all_answered(served: Any) -> None:
    async def work(client: Client) -> None:
        persons = [asked_again(served) for _ in range(6)]
        answers = await asyncio.gather(*(client.post("/v1/auth/totp", None, person=person) for person in persons))
        assert {answer.status for answer in answers} == {200}, [answer.body for answer in answers]

    served.run(work, processes=6)


def test_passkeys_at_once_keep_their_bound_and_one_set_of_codes(served: Any) -> None:
    mine = recovery_codes.select().where(recovery_codes.c.user == "usr_trader")

    async def work(client: Client) -> None:
        person, bodies = asked_again(served), []
        for _ in range(26):
            asked = (await client.post("/v1/auth/passkeys/options", None, person=person)).json["options"]
            bodies.append({"credential": SoftwareKey().create(asked)})
        answers = await asyncio.gather(*(client.post("/v1/auth/passkeys", body, person=person) for body in bodies))
        assert sorted(answer.status for answer in answers) == [201] * 20 + [409] * 6
        made = [answer.json for answer in answers if answer.status == 201]
        (codes,) = [one["recovery_codes"] for one in made if one["recovery_codes"]]
        assert len(served.database.read(lambda tx: tx.execute(mine).all())) == len(codes) == 10
        targets = [f"/v1/auth/passkeys/{one['passkey']['id']}" for one in made]
        answers = await asyncio.gather(*(client.send("DELETE", target, person=person) for target in targets))
        assert {answer.status for answer in answers} == {204}
        assert served.database.read(lambda tx: tx.execute(mine).all()) == []

    served.run(work, processes=6)


def test_exports_asked_for_at_once_keep_their_bound(served: Any) -> None:
    async def work(client: Client) -> None:
        bodies = [{"kind": kind} for kind in ("person", "organization")] * 8
        person = asked_again(served, "usr_admin")
        answers = await asyncio.gather(*(client.post("/v1/exports", body, person=person) for body in bodies))
        assert sorted(answer.status for answer in answers) == [202] * 2 + [409] * 14

    served.run(work, processes=6)


def test_organizations_made_at_once_keep_their_bound(served: Any) -> None:
    def belong(tx: Any) -> None:
        for number in range(47):
            storage_people.add_member(tx, f"org_more_{number}", "usr_trader", "viewer", 0)

    async def work(client: Client) -> None:
        person = asked_again(served)
        answers = await asyncio.gather(
            *(client.post("/v1/organizations", {"name": "x"}, person=person) for _ in range(12))
        )
        assert sorted(answer.status for answer in answers) == [201] * 2 + [409] * 10

    served.database.write(belong)
    served.run(work, processes=6)


def test_a_key_is_rolled_once_also_in_parallel(served: Any) -> None:
    async def work(client: Client) -> None:
        target = f"/v1/api-keys/{served.made['key to roll']}/roll"
        answers = await asyncio.gather(*(client.post(target, {}) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [201] + [409] * 5

    served.run(work, processes=6)


def test_an_answer_without_a_count_is_taken_once(served: Any) -> None:
    async def work(client: Client) -> None:
        key = SoftwareKey(counts=False)
        person = asked_again(served)
        asked = (await client.post("/v1/auth/passkeys/options", None, person=person)).json["options"]
        body = {"credential": key.create(asked)}
        assert (await client.post("/v1/auth/passkeys", body, person=person)).status == 201
        options = (await client.post("/v1/auth/passkeys/login-options", None, key=None)).json["options"]
        body = {"credential": key.get(options)}
        answers = await asyncio.gather(*(client.post("/v1/auth/passkeys/login", body, key=None) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 5

    served.run(work)


def test_a_demotion_at_the_same_moment_leaves_no_key_of_more(served: Any) -> None:
    owner, admin = asked_again(served, "usr_owner"), asked_again(served, "usr_admin")
    wanted = {"name": "late", "scopes": ["organization:admin", "orders:write"]}

    async def work(client: Client) -> None:
        demote = client.send("PATCH", "/v1/organizations/org_a/members/usr_admin", {"role": "viewer"}, person=owner)
        made, done = await asyncio.gather(client.post("/v1/api-keys", wanted, person=admin), demote)
        assert done.status == 200
        if made.status == 201:
            assert (await client.get("/v1/api-keys", key=made.json["key"])).status == 403
        assert (await client.post("/v1/api-keys", wanted, person=admin)).status == 403

    served.run(work)


# --- spellings --------------------------------------------------------------------------------------------------------


def test_no_other_spelling_of_a_path_or_method_is_served(served: Any) -> None:
    targets = ["/V1/instruments", "//v1/instruments", "/v1//instruments", "/v1/instruments/", "/v1/./instruments"]
    targets += ["/v1/x/../instruments", "/v1/instruments;a=b", "/v1/instruments\x00", "/v1\\instruments"]

    async def work(client: Client) -> None:
        for target in targets:
            assert (await client.get(target)).status == 404, target
        for method in ("get", "head", "TRACE", "TRACK", "CONNECT", "PROPFIND"):
            assert (await client.send(method, "/v1/instruments")).status == 405, method
        for header in ("X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"):
            answer = await client.get("/v1/instruments", headers={header: "DELETE"})
            assert answer.status == 200, header

    served.run(work)


def test_what_is_not_public_is_not_served_to_anybody(served: Any) -> None:
    async def work(client: Client) -> None:
        for target in ("/metrics", "/debug", "/admin", "/.env", "/.git/config", "/server-status", "/asyncapi.json"):
            assert (await client.get(target, key=None)).status == 404, target
        document = (await client.get("/openapi.json", key=None)).body.decode()
        assert served.keys["whole"] not in document

    served.run(work)


def test_an_operation_without_a_scope_does_not_exist() -> None:
    async def nothing(call: Any) -> None: ...

    for scope in ("", "everybody", "market:reed"):
        with pytest.raises(ValueError, match="needs a scope"):
            Operation("GET", "/v1/x", "get_x", "X", "x", scope, nothing)


def test_a_new_data_folder_is_its_owners_only(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    house.open_database(settings).close()
    house.open_vault(settings)
    assert settings.data_folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (settings.data_folder / "main.key", settings.embedded_file))


@pytest.mark.parametrize(
    ("given", "is_open"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"site_url": "http://localhost:8000"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"site_url": "https://api.example.com"}, False),
        ({"trusted_proxies": "127.0.0.1"}, False),
        ({"registration": "open", "trusted_proxies": "127.0.0.1"}, True),
        ({"registration": "invitation"}, False),
    ],
)
def test_registration_is_open_by_itself_only_where_nobody_else_can_reach_it(
    given: dict[str, str], is_open: bool
) -> None:
    assert of_settings(Settings(**given)).open_registration is is_open
