"""API keys over HTTP: what they grant, how they are shown, changed, rolled and revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from asgi import Client, Person
from tradewright.accounts import keys
from tradewright.accounts.authentication import Authenticator
from tradewright.accounts.keys import Terms
from tradewright.accounts.principal import ROLES, Principal, Signing
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import from_us
from tradewright.errors import Forbidden, Unauthenticated
from tradewright.storage import accounts, outbox
from tradewright.storage.changes import FRESH_S
from tradewright.storage.database import Database, Tx
from tradewright.storage.tables import api_keys, audit_log, members

WANTED = {"name": "dashboard", "scopes": ["market:read", "signals:read"]}
MINUTE_US = 60_000_000


def issue(served: Any, **terms: Any) -> keys.Issued:
    given = {"name": "k", "scopes": ("market:read", "organization:admin"), **terms}
    now_us = served.clock.now_us()
    issued: keys.Issued = served.database.write(
        keys.issue, served.services.vault, "org_a", "paper", Terms(**given), now_us
    )
    return issued


def actions(served: Any) -> list[str]:
    return served.database.read(  # type: ignore[no-any-return]
        lambda tx: [row.action for row in tx.execute(audit_log.select().order_by(audit_log.c.id))]
    )


def events(served: Any) -> list[tuple[str, str]]:
    served.database.write(outbox.sequence)
    rows = served.database.read(outbox.list_events, "org_a", "paper")
    return [(row["type"], row["subject"]) for row in rows if row["type"].startswith("api_key.")]


def test_a_new_key_is_shown_once_and_its_replay_has_no_secret(served: Any) -> None:
    async def work(client: Client) -> None:
        first = await client.post("/v1/api-keys", WANTED, headers={"Idempotency-Key": "one"})
        assert first.status == 201, first.body
        made = first.json
        assert made["key"].startswith(made["public_id"])
        assert made["status"] == "active"
        again = await client.post("/v1/api-keys", WANTED, headers={"Idempotency-Key": "one"})
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json == {**made, "key": None}
        read = await client.get(f"/v1/api-keys/{made['id']}")
        assert set(made) - set(read.json) == {"key", "signing_secret"}
        listed = await client.get("/v1/api-keys?limit=500")
        secret = made["key"].removeprefix(made["public_id"])
        assert secret not in read.body.decode() + listed.body.decode()
        assert (await client.get("/v1/instruments", key=made["key"])).status == 200
        assert (await client.get("/v1/backtests", key=made["key"])).status == 403
        assert events(served) == [("api_key.created", made["id"])]
        assert actions(served)[-1] == "api_key.create"

    served.run(work)


def test_a_key_cannot_grant_what_it_does_not_hold(served: Any) -> None:
    holder = issue(served)

    async def work(client: Client) -> None:
        refused = await client.post("/v1/api-keys", WANTED, key=holder.text)
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        assert "signals:read" in refused.json["detail"]
        assert "market:read" not in refused.json["detail"]
        allowed = await client.post("/v1/api-keys", {**WANTED, "scopes": ["market:read"]}, key=holder.text)
        assert allowed.status == 201
        elsewhere = {**WANTED, "scopes": ["market:read"], "environment": "sandbox"}
        assert (await client.post("/v1/api-keys", elsewhere, key=holder.text)).status == 403
        for scopes in (["organization:admin"], ["market:read", "organization:admin"]):
            refused = await client.post("/v1/api-keys", {**WANTED, "scopes": scopes}, key=holder.text)
            assert refused.status == 403
            assert "person" in refused.json["detail"]

    served.run(work)


def test_a_key_gives_no_other_key_a_longer_life_other_networks_or_less_signing(served: Any) -> None:
    now_us = served.clock.now_us()
    holder = issue(served, expires_at=now_us + 1_000_000_000, networks=("127.0.0.0/8",))
    plain = {"name": "k", "scopes": ["market:read"]}

    async def work(client: Client) -> None:
        made = await client.post("/v1/api-keys", plain, key=holder.text)
        assert made.json["addresses"] == ["127.0.0.0/8"]
        assert made.json["expires_at"] is not None
        later = from_us(now_us + 2_000_000_000).isoformat()
        other = await client.post("/v1/api-keys", {**plain, "expires_at": later}, key=holder.text)
        assert other.status == 403
        wider = await client.post("/v1/api-keys", {**plain, "addresses": ["0.0.0.0/0"]}, key=holder.text)
        assert wider.status == 403
        assert "0.0.0.0/0" in wider.json["detail"]
        narrower = await client.post("/v1/api-keys", {**plain, "addresses": ["127.0.0.1"]}, key=holder.text)
        assert narrower.json["addresses"] == ["127.0.0.1/32"]
        target = f"/v1/api-keys/{made.json['id']}"
        assert (await client.send("PATCH", target, {"expires_at": later}, key=holder.text)).status == 403
        assert (await client.send("PATCH", target, {"addresses": ["::/0"]}, key=holder.text)).status == 403
        freed = await client.send("PATCH", target, {"addresses": [], "expires_at": None}, key=holder.text)
        assert freed.json["addresses"] == ["127.0.0.0/8"]
        assert freed.json["expires_at"] == made.json["expires_at"]
        strong = issue(served, scopes=("signals:read",))
        assert (
            await client.send("PATCH", f"/v1/api-keys/{strong.id}", {"addresses": []}, key=holder.text)
        ).status == 403
        assert (await client.post(f"/v1/api-keys/{strong.id}/roll", {}, key=holder.text)).status == 403

    served.run(work)


def test_a_key_that_another_one_changes_ends_up_within_its_bounds_as_a_whole(served: Any) -> None:
    now_us = served.clock.now_us()
    holder = issue(served, expires_at=now_us + 1_000_000_000, networks=("127.0.0.0/8",))
    sooner = {"expires_at": from_us(now_us + 900_000_000).isoformat()}

    async def work(client: Client) -> None:
        free = issue(served, scopes=("market:read",), expires_at=now_us + 10_000_000)
        changed = await client.send("PATCH", f"/v1/api-keys/{free.id}", sooner, key=holder.text)
        assert (changed.status, changed.json["addresses"]) == (200, ["127.0.0.0/8"])
        elsewhere = issue(served, scopes=("market:read",), networks=("203.0.113.0/24",))
        changed = await client.send("PATCH", f"/v1/api-keys/{elsewhere.id}", sooner, key=holder.text)
        assert changed.status == 403
        assert "203.0.113.0/24" in changed.json["detail"]

    served.run(work)


def test_dangerous_keys_are_made_by_a_person_who_was_just_asked(served: Any) -> None:
    asked, plain = Person(served.made["session stepped up"]), Person(served.made["session owner"])
    wanted = {"name": "trades", "scopes": ["orders:write"], "environment": "live"}

    async def work(client: Client) -> None:
        refused = await client.post("/v1/api-keys", wanted, person=plain)
        assert (refused.status, refused.json["code"]) == (403, "step_up_required")
        harmless = await client.post("/v1/api-keys", {**wanted, "environment": "paper"}, person=plain)
        assert harmless.status == 201
        made = await client.post("/v1/api-keys", wanted, person=asked)
        assert (made.status, made.json["environment"]) == (201, "live")
        assert made.json["created_by"] == "usr_owner"
        assert made.json["key"].startswith("tw_live_")
        target = f"/v1/api-keys/{made.json['id']}"
        assert (await client.get(target, person=plain)).status == 404
        live_plain = Person(plain.token, environment="live")
        live_asked = Person(asked.token, environment="live")
        assert (await client.send("PATCH", target, {"name": "n"}, person=live_plain)).status == 200
        for body in ({"expires_at": None}, {"addresses": ["::/0"]}):
            assert (await client.send("PATCH", target, body, person=live_plain)).json["code"] == "step_up_required"
        assert (await client.post(f"{target}/roll", {}, person=live_plain)).json["code"] == "step_up_required"
        assert (await client.post(f"{target}/roll", {}, person=live_asked)).status == 201
        served.clock.advance(601)
        assert (await client.post("/v1/api-keys", wanted, person=asked)).json["code"] == "step_up_required"

    served.run(work)


def test_a_person_sees_the_audit_log_of_every_environment_a_key_only_its_own(served: Any) -> None:
    async def work(client: Client) -> None:
        person = Person(served.made["session owner"])
        environments = {
            row["environment"]
            for row in (await client.get("/v1/audit-log?action=seed.write", person=person)).json["data"]
        }
        assert environments == {"paper", "sandbox", ""}
        own = (await client.get("/v1/audit-log?action=seed.write")).json["data"]
        assert {row["environment"] for row in own} == {"paper", ""}

    served.run(work)


def test_every_wrong_value_is_named_at_once(served: Any) -> None:
    body = {
        "name": "k", "scopes": ["market:reed"], "addresses": ["203.0.113.1/24"], "expires_at": "2001-01-01T00:00:00Z",
        "signing": {"algorithm": "ed25519", "public_key": "AAAA"},
    }  # fmt: skip

    async def work(client: Client) -> None:
        refused = await client.post("/v1/api-keys", body)
        assert refused.status == 422
        assert [fault["pointer"] for fault in refused.json["errors"]] == [
            "/scopes/0", "/expires_at", "/addresses/0", "/signing/public_key"
        ]  # fmt: skip
        assert "did you mean market:read" in refused.json["errors"][0]["detail"]

    served.run(work)


def test_values_that_no_database_or_clock_holds_are_refused(served: Any) -> None:
    bodies: list[dict[str, Any]] = [
        {"name": "line\nbreak"}, {"name": "\x00"}, {"name": ""}, {"name": "n" * 81}, {"addresses": ["\x00"]},
        {"expires_at": "9999-12-31T23:59:59-23:59"}, {"expires_at": "0001-01-01T00:00:00+23:59"}, {"expires_at": 12},
        {"addresses": ["fe80::1%eth0/64"]}, {"addresses": ["10.0.0.0/8"] * 51},
    ]  # fmt: skip

    async def work(client: Client) -> None:
        for body in bodies:
            assert (await client.post("/v1/api-keys", {**WANTED, **body})).status == 422, body
            assert (await client.send("PATCH", f"/v1/api-keys/{served.made['key to change']}", body)).status == 422
        roll = f"/v1/api-keys/{served.made['key to roll']}/roll"
        for given in ({"overlap_s": -1}, {"overlap_s": 604_801}, {"overlap_s": 2**70}, {"overlap_s": 1.5}):
            assert (await client.post(roll, given)).status == 422, given
        for query in ("actor=%00", "object=%E2%82%AC", "start=yesterday", "cursor=x"):
            assert (await client.get(f"/v1/audit-log?{query}")).status == 422, query
        for query in ("start=0001-01-01T00:00:00%2B23:59", "end=9999-12-31T23:59:59-23:59"):
            assert (await client.get(f"/v1/audit-log?{query}")).status == 200, query

    served.run(work)


def test_a_change_needs_the_state_it_was_made_from(served: Any) -> None:
    key = issue(served, scopes=("market:read",)).id

    async def work(client: Client) -> None:
        target = f"/v1/api-keys/{key}"
        etag = (await client.get(target)).headers["etag"]
        done = await client.send("PATCH", target, {"name": "a"}, headers={"If-Match": etag})
        assert (done.status, done.json["name"]) == (200, "a")
        before = (await client.get(target)).headers["etag"]
        used = [(key, served.clock.now_us(), "192.0.2.1", "curl")]  # what changes by itself is no change
        assert served.database.write(accounts.note_uses, used, 60_000_000) == 1
        shown = await client.get(target)
        assert (shown.json["last_used_agent"], shown.headers["etag"]) == ("curl", before)
        late = await client.send("PATCH", target, {"name": "b"}, headers={"If-Match": etag})
        assert (late.status, late.json["code"]) == (412, "precondition_failed")
        assert (await client.send("PATCH", target, {"scopes": ["market:read"]})).status == 422
        assert (await client.send("PATCH", target, {"name": None})).status == 422

    served.run(work)


def test_a_rolled_key_works_beside_the_new_one_until_the_overlap_ends(served: Any) -> None:
    old = issue(served, scopes=("market:read",), networks=("127.0.0.1/32",))

    async def work(client: Client) -> None:
        rolled = await client.post(f"/v1/api-keys/{old.id}/roll", {"overlap_s": 60})
        assert rolled.status == 201
        assert rolled.json["addresses"] == ["127.0.0.1/32"]
        for text in (old.text, rolled.json["key"]):
            assert (await client.get("/v1/instruments", key=text)).status == 200
        seen = (await client.get(f"/v1/api-keys/{old.id}")).json
        assert (seen["status"], seen["replaced_by"]) == ("rolled", rolled.json["id"])
        assert (await client.post(f"/v1/api-keys/{old.id}/roll", {})).status == 409
        served.clock.advance(60)
        assert (await client.get("/v1/instruments", key=old.text)).status == 401
        assert (await client.get("/v1/instruments", key=rolled.json["key"])).status == 200

    served.run(work)


def test_a_revoked_key_is_refused_at_once_here_and_within_two_seconds_elsewhere(served: Any) -> None:
    key = issue(served, scopes=("market:read",))
    elsewhere = Authenticator(served.database, served.clock)

    async def work(client: Client) -> None:
        assert (await client.get("/v1/instruments", key=key.text)).status == 200
        assert (await elsewhere.principal(key.text)).key == key.id
        assert (await client.send("DELETE", f"/v1/api-keys/{key.id}")).status == 204
        assert (await client.get("/v1/instruments", key=key.text)).status == 401
        assert (await client.send("DELETE", f"/v1/api-keys/{key.id}")).status == 204
        served.clock.advance(2.001)
        with pytest.raises(Unauthenticated):
            await elsewhere.principal(key.text)
        assert events(served) == [("api_key.revoked", key.id)]
        assert actions(served).count("api_key.revoke") == 1
        assert (await client.get(f"/v1/api-keys/{key.id}")).json["revoked_reason"].startswith("revoked by key_")

    served.run(work)


def test_a_key_that_another_process_revokes_is_refused_within_two_seconds(served: Any) -> None:
    key = issue(served, scopes=("market:read",))
    authenticator = Authenticator(served.database, served.clock)

    async def use_and_revoke(of_another_process: Database) -> None:
        for turn in range(40):  # in use all the time, so that it is known what others do
            assert (await authenticator.principal(key.text)).key == key.id
            served.clock.advance(2.001)
            if turn == 20:
                of_another_process.write(accounts.revoke_api_key, "org_a", key.id, served.clock.now_us())
            await asyncio.sleep(FRESH_S / 10)

    async def work() -> None:
        with Database(served.database.url) as of_another_process:
            with pytest.raises(Unauthenticated):
                await use_and_revoke(of_another_process)
            (found,) = [row for row in of_another_process.read(accounts.list_api_keys, "org_a") if row["id"] == key.id]
            assert found["revoked_at"] is not None

    asyncio.run(work())


def test_a_key_that_was_revoked_elsewhere_makes_no_other_key(served: Any) -> None:
    holder = issue(served)

    async def work(client: Client) -> None:
        wanted = {**WANTED, "scopes": ["market:read"]}
        assert (await client.post("/v1/api-keys", wanted, key=holder.text)).status == 201
        served.database.write(accounts.revoke_api_key, "org_a", holder.id, served.clock.now_us())
        assert (await client.get("/v1/instruments", key=holder.text)).status == 200  # still remembered
        refused = await client.post("/v1/api-keys", wanted, key=holder.text)
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated")

    served.run(work)


def test_an_organization_has_at_most_a_hundred_valid_keys_however_they_are_asked_for(served: Any) -> None:
    async def work(client: Client) -> None:
        answers = await asyncio.gather(
            *(client.post("/v1/api-keys", {"name": str(n), "scopes": ["market:read"]}) for n in range(110))
        )
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {201, 409}
        now_us = served.clock.now_us()
        assert served.database.read(accounts.count_api_keys, "org_a", now_us) == 100
        full = next(answer for answer in answers if answer.status == 409)
        assert "100 valid keys" in full.json["detail"]

    served.run(work)


def ask(served: Any, work: Callable[[Authenticator], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work(Authenticator(served.database, served.clock)))


def test_a_key_is_used_from_its_networks_only(served: Any) -> None:
    key = issue(served, networks=("203.0.113.0/24", "2001:db8::/32"))

    async def work(authenticator: Authenticator) -> None:
        for address in ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1"):
            assert (await authenticator.principal(key.text, address)).key == key.id
        for address in ("203.0.114.1", "2001:db9::1", "", "unknown"):
            with pytest.raises(Forbidden, match=address or "unknown"):
                await authenticator.principal(key.text, address)

    ask(served, work)


def test_the_scopes_that_hold_now_are_shown(served: Any) -> None:
    everything = tuple(SCOPES)
    mine, plain = issue(served, scopes=everything, created_by="usr_maker"), issue(served, scopes=everything)

    def become(tx: Tx, role: str) -> None:
        tx.execute(members.delete().where(members.c.user == "usr_maker"))
        tx.execute(members.insert().values(organization="org_a", user="usr_maker", role=role, created_at=1))

    async def shown(client: Client, key: str) -> tuple[list[str], list[str]]:
        one = (await client.get(f"/v1/api-keys/{key}")).json
        [listed] = [row for row in (await client.get("/v1/api-keys?limit=100")).json["data"] if row["id"] == key]
        assert listed == one
        return one["scopes"], one["effective_scopes"]

    async def work(client: Client) -> None:
        for role in ("owner", "viewer"):
            await served.database.write_async(become, role)
            assert await shown(client, mine.id) == (list(SCOPES), [name for name in SCOPES if name in ROLES[role]])
            assert await shown(client, plain.id) == (list(SCOPES), list(SCOPES))
        assert (await client.send("DELETE", f"/v1/api-keys/{plain.id}")).status == 204
        assert await shown(client, plain.id) == (list(SCOPES), [])

    served.run(work)


def test_a_key_holds_only_what_the_role_of_its_maker_holds_now(served: Any) -> None:
    key = issue(served, scopes=SCOPES, created_by="usr_maker")

    def become(tx: Tx, role: str | None) -> None:
        tx.execute(members.delete().where(members.c.user == "usr_maker"))
        if role is not None:
            tx.execute(members.insert().values(organization="org_a", user="usr_maker", role=role, created_at=1))

    async def work(authenticator: Authenticator) -> None:
        for role in ("owner", "trader", "viewer"):
            served.database.write(become, role)
            authenticator.forget(key.id)
            principal: Principal = await authenticator.principal(key.text)
            assert (principal.scopes, principal.user) == (ROLES[role], "usr_maker")
        served.database.write(become, None)
        authenticator.forget(key.id)
        with pytest.raises(Unauthenticated):
            await authenticator.principal(key.text)

    ask(served, work)


def last_use(database: Database, key: str) -> tuple[int | None, str | None, str | None]:
    row = database.read(lambda tx: tx.execute(api_keys.select().where(api_keys.c.id == key)).one())
    return row.last_used_at, row.last_used_address, row.last_used_agent


def test_the_last_use_is_stored_at_most_once_a_minute(served: Any) -> None:
    key = issue(served)
    start = served.clock.now_us()

    async def work(authenticator: Authenticator) -> None:
        authenticator.note_use(await authenticator.principal(key.text), "127.0.0.1", "curl")
        uses = authenticator.take_uses()
        assert served.database.write(accounts.note_uses, uses, MINUTE_US) == 1
        assert last_use(served.database, key.id) == (start, "127.0.0.1", "curl")
        served.clock.advance(30)
        authenticator.note_use(await authenticator.principal(key.text), "127.0.0.2", "curl")
        assert authenticator.take_uses() == []
        late = [(key.id, served.clock.now_us(), "127.0.0.9", "of another process")]
        assert served.database.write(accounts.note_uses, late, MINUTE_US) == 0
        served.clock.advance(30)
        authenticator.note_use(await authenticator.principal(key.text), "127.0.0.3", "curl")
        served.database.write(accounts.note_uses, authenticator.take_uses(), MINUTE_US)
        assert last_use(served.database, key.id) == (start + MINUTE_US, "127.0.0.3", "curl")

    ask(served, work)


def test_an_hmac_key_gets_a_secret_of_its_own_that_stands_sealed(served: Any) -> None:
    async def work(client: Client) -> None:
        made = (await client.post("/v1/api-keys", {**WANTED, "signing": {"algorithm": "hmac-sha256"}})).json
        assert made["signing"] == {"algorithm": "hmac-sha256", "required": True, "public_key": None}
        assert made["signing_secret"].startswith("tws_")
        row = served.database.read(lambda tx: tx.execute(api_keys.select().where(api_keys.c.id == made["id"])).one())
        assert made["signing_secret"].encode() not in bytes(row.signing_secret)
        place = keys.place_of(made["id"])
        assert served.services.vault.open(row.signing_secret, place).decode() == made["signing_secret"]

    served.run(work)


def test_the_signing_of_a_principal_comes_from_its_key(served: Any) -> None:
    key = issue(served, signing=Signing("hmac-sha256", True))

    async def work(authenticator: Authenticator) -> None:
        signing = (await authenticator.principal(key.text)).signing
        assert signing is not None
        assert (signing.algorithm, signing.required, signing.public_key) == ("hmac-sha256", True, None)

    ask(served, work)
