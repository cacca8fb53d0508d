"""Whoever loses a right while a request is under way does nothing with it: the right is asked for again in the
transaction of the effect, and when a body comes late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from test_rights import OPERATIONS, allowed, sample_of, send

from asgi import Client, Person
from samples import Sample
from seeds_people import add_person, session_of
from tradewright.accounts import erasing
from tradewright.api import access
from tradewright.api.app import build
from tradewright.api.operations import PUBLIC, UNSCOPED, Operation
from tradewright.api.turns import Turns
from tradewright.errors import StillRunning
from tradewright.storage import idempotency, people
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database, Tx
from tradewright.storage.tables import api_keys, audit_log, members, organizations, sessions, users

ON_POSTGRESQL = pytest.mark.parametrize(  # the embedded database has one writer, whoever asks
    "migrated_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
CHANGING = [each for each in OPERATIONS if each.method != "GET" and each.scope != PUBLIC]


def lost(served: Any, loss: str) -> tuple[Any, Any, int]:
    """What takes the right away, what gives it back, and what is answered then."""
    now = served.clock.now_us()
    key = api_keys.update().where(api_keys.c.id == served.key_ids["whole"])
    session = sessions.update().where(sessions.c.user == "usr_owner")
    member = members.update().where(members.c.user == "usr_owner")
    return {
        "key revoked": (key.values(revoked_at=now), key.values(revoked_at=None), 401),
        "key expired": (key.values(expires_at=now), key.values(expires_at=None), 401),
        "key elsewhere": (key.values(addresses=["192.0.2.0/24"]), key.values(addresses=None), 403),
        "session ended": (session.values(ended_at=now), session.values(ended_at=None), 401),
        "step-up over": (session.values(stepped_up_until=now), session.values(stepped_up_until=now + 10**9), 403),
        "member demoted": (member.values(role="viewer"), member.values(role="owner"), 403),
        "member removed": (member.values(organization="org_x"), member.values(organization="org_a"), 404),
    }[loss]


def concerned(loss: str, operation: Operation, sample: Sample) -> bool:
    if loss.startswith("key"):
        return sample.caller == "key"
    if loss == "step-up over":
        return operation.step_up is True
    if loss.startswith("member"):
        role = loss == "member removed" or "viewer" not in access.allowed_roles(operation)
        return sample.caller != "key" and operation.scope not in UNSCOPED and role
    return sample.caller != "key"


def audited(tx: Tx) -> int:
    done = audit_log.c.action != "recovery_code.use"  # a proof counts once, whatever comes of it
    return tx.execute(sa.select(sa.func.count()).select_from(audit_log).where(done)).scalar_one()


@pytest.mark.parametrize(
    ("loss", "least"),
    [
        ("key revoked", 20), ("key expired", 20), ("key elsewhere", 20), ("session ended", 20), ("step-up over", 5),
        ("member demoted", 5), ("member removed", 5),
    ],
)  # fmt: skip
def test_nothing_is_done_with_a_right_that_ended_before_the_body_came(served: Any, loss: str, least: int) -> None:
    take, give_back, status = lost(served, loss)
    database = served.database

    async def work(client: Client) -> Sequence[str]:
        tried = []
        before = await database.read_async(audited)
        for operation in CHANGING:
            sample = sample_of(served, operation)
            if not concerned(loss, operation, sample):
                continue

            async def meanwhile() -> None:
                await database.write_async(lambda tx: tx.execute(take))

            answer = await send(client, operation, sample, **allowed(served, sample), meanwhile=meanwhile)
            await database.write_async(lambda tx: tx.execute(give_back))
            assert answer.status == status, (operation.id, answer.body)
            assert await database.read_async(audited) == before, operation.id
            tried.append(operation.id)
        return tried

    assert len(served.run(work)) >= least


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_comes_late_is_asked_again_who_sends_it(served: Any, method: str) -> None:
    take, *_ = lost(served, "key revoked")

    async def meanwhile() -> None:
        await served.database.write_async(lambda tx: tx.execute(take))
        served.clock.advance(3)  # as long as a key that another process revoked may be remembered
        await asyncio.sleep(0.3)

    async def work(client: Client) -> None:
        headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        answer = await client.send(method, "/v1/broker-accounts", b"", headers, meanwhile=meanwhile)
        assert answer.status == 401, answer.body

    served.run(work)


def test_who_is_removed_at_the_same_moment_leaves_no_key(served: Any) -> None:
    owner, admin = (Person(served.made[name]) for name in ("session stepped up", "session admin"))
    wanted = {"name": "late", "scopes": ["market:read"]}

    async def work(client: Client) -> None:
        makes = [client.post("/v1/api-keys", wanted, person=admin) for _ in range(12)]
        removal = client.send("DELETE", "/v1/organizations/org_a/members/usr_admin", person=owner)
        answers = await asyncio.gather(*makes[:6], removal, *makes[6:])
        assert answers.pop(6).status == 204
        assert {answer.status for answer in answers} <= {201, 404}
        mine = (api_keys.c.created_by == "usr_admin", api_keys.c.revoked_at.is_(None))
        left = await served.database.read_async(lambda tx: tx.execute(sa.select(api_keys.c.id).where(*mine)).all())
        assert left == []

    served.run(work, processes=13)


RACED = ("update_organization", "create_portfolio", "create_broker_account", "update_api_key", "delete_organization")


@pytest.mark.parametrize("loss", ["key revoked", "session ended", "member demoted", "member removed"])
def test_who_waits_while_a_right_is_taken_away_does_nothing_with_it(served: Any, loss: str) -> None:
    take, give_back, status = lost(served, loss)
    done = []

    def taken(tx: Tx) -> None:
        if loss == "session ended":
            people.get_user(tx, "usr_owner", lock=True)
        else:
            people.get_organization(tx, "org_a", lock=True)
        tx.execute(take)
        if tx.dialect.name == "postgresql":
            tx.execute(sa.text("SELECT pg_sleep(0.4)"))
        else:
            time.sleep(0.4)

    async def work(client: Client, elsewhere: Database) -> None:
        before = await served.database.read_async(audited)
        for operation in (each for each in CHANGING if each.id in RACED):
            sample = sample_of(served, operation)
            if not concerned(loss, operation, sample):
                continue
            taking = asyncio.create_task(elsewhere.write_async(taken))
            await asyncio.sleep(0.15)
            answer = await send(client, operation, sample, **allowed(served, sample))
            await taking
            await elsewhere.write_async(lambda tx: tx.execute(give_back))
            assert answer.status == status, (operation.id, answer.body)
            assert await served.database.read_async(audited) == before, operation.id
            done.append(operation.id)

    with Database(served.database.url) as elsewhere:
        served.run(lambda client: work(client, elsewhere))
    assert done, loss


@pytest.mark.parametrize("what", ["DELETE", "PATCH"])
def test_processes_that_change_an_organization_at_once_wait_for_each_other(served: Any, what: str) -> None:
    owner = Person(served.made["session stepped up"])

    async def work(client: Client) -> list[int]:
        body = None if what == "DELETE" else {"name": "new"}
        asked = [client.send(what, "/v1/organizations/org_a", body, person=owner) for _ in range(10)]
        return sorted(answer.status for answer in await asyncio.gather(*asked))

    statuses = served.run(work, processes=5)
    assert statuses == ([204] + [404] * 9 if what == "DELETE" else [200] * 10)


@ON_POSTGRESQL
def test_of_many_changes_of_an_organization_one_waits_in_the_database(served: Any) -> None:
    owner, other = Person(served.made["session stepped up"]), served.keys["other organization"]

    def held(tx: Tx) -> None:
        people.get_organization(tx, "org_a", lock=True)
        tx.execute(sa.text("SELECT pg_sleep(1)"))

    async def work(client: Client, elsewhere: Database) -> None:
        holding = asyncio.create_task(elsewhere.write_async(held))
        await asyncio.sleep(0.1)
        changes = [client.send("PATCH", "/v1/organizations/org_a", {"name": "new"}, person=owner) for _ in range(40)]
        waiting = [asyncio.create_task(change) for change in changes]
        await asyncio.sleep(0.1)
        answer = await client.post("/v1/broker-accounts", {"name": "mine", "broker": "paper"}, key=other)
        assert answer.status == 201
        assert not holding.done(), "another organization waited"
        await holding
        assert {one.status for one in await asyncio.gather(*waiting)} == {200}

    with Database(served.database.url) as elsewhere:
        served.run(lambda client: work(client, elsewhere))


def test_a_change_whose_turn_does_not_come_is_not_begun(served: Any) -> None:
    wanted, headers = {"name": "late", "broker": "paper"}, {"Idempotency-Key": "once"}
    services = replace(served.services, turns=Turns(wait_s=0.2))
    scope = idempotency.Scope("org_a", "paper", "create_broker_account", "once")

    async def work(client: Client) -> None:
        for name, refusal in {"org_a": (503, "storage_failed"), repr(scope): (409, "idempotency_running")}.items():
            async with services.turns.of([name], StillRunning()):
                refused = await client.post("/v1/broker-accounts", wanted, headers=headers)
            assert (refused.status, refused.json["code"]) == refusal, refused.body
        assert (await client.post("/v1/broker-accounts", wanted, headers=headers)).status == 201

    asyncio.run(work(Client(build(services), served.keys["whole"])))


def test_who_waited_for_the_first_of_a_key_needs_no_turn_of_the_organization(served: Any) -> None:
    wanted, headers = {"name": "once", "broker": "paper"}, {"Idempotency-Key": "once"}
    services = replace(served.services, turns=Turns(wait_s=2))

    async def work(client: Client) -> None:
        replayed = asyncio.Event()

        async def hold() -> None:
            async with services.turns.of(["org_a"], StillRunning()):
                await replayed.wait()

        async with services.turns.of(["org_a"], StillRunning()):
            asked = [asyncio.create_task(client.post("/v1/broker-accounts", wanted, headers=headers)) for _ in range(5)]
            await asyncio.sleep(0.5)
            holding = asyncio.create_task(hold())  # its turn comes after the first of the five
            await asyncio.sleep(0)
        answers = await asyncio.gather(*asked)
        replayed.set()
        await holding
        assert [answer.status for answer in answers] == [201] * 5, answers
        assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == 4

    asyncio.run(work(Client(build(services), served.keys["whole"])))


@ON_POSTGRESQL
def test_a_request_whose_first_one_runs_in_another_process_is_told_so(served: Any) -> None:
    headers = {"Idempotency-Key": "slow"}
    scope = idempotency.Scope("org_a", "paper", "create_broker_account", "slow")

    def claimed(tx: Tx) -> None:
        idempotency.hold(tx, scope)
        tx.execute(sa.text("SELECT pg_sleep(4.5)"))

    async def work(client: Client, elsewhere: Database) -> None:
        first = asyncio.create_task(elsewhere.write_async(claimed))
        await asyncio.sleep(0.2)
        answer = await client.post("/v1/broker-accounts", {"name": "slow", "broker": "paper"}, headers=headers)
        assert (answer.status, answer.json["code"]) == (409, "idempotency_running"), answer.body
        assert not first.done()
        await first

    with Database(served.database.url) as elsewhere:
        served.run(lambda client: work(client, elsewhere))


def test_who_leaves_and_who_changes_something_at_once_do_not_wait_for_each_other_for_ever(served: Any) -> None:
    owner, leaving = Person(served.made["session stepped up"]), []
    now = served.clock.now_us()
    for number in range(4):
        user = served.database.write(add_person, f"leaving_{number}", now, role="trader")
        leaving.append(Person(served.database.write(session_of, user, now)))

    async def work(client: Client) -> None:
        change = {"name": "new"}
        changes = [client.send("PATCH", "/v1/organizations/org_a", change, person=owner) for _ in range(12)]
        leaves = [client.post("/v1/organizations/org_a/leave", None, person=one) for one in leaving]
        mixed = [one for part in zip(changes[:4], changes[4:8], leaves, changes[8:], strict=True) for one in part]
        assert {answer.status for answer in await asyncio.gather(*mixed)} == {200, 204}

    served.run(work, processes=16)


@pytest.mark.parametrize("how", ["accept", "register"])
@pytest.mark.parametrize("loss", ["inviter demoted", "organization deleted"])
def test_an_invitation_is_worth_nothing_once_who_sent_it_may_no_more(served: Any, how: str, loss: str) -> None:
    now = served.clock.now_us()
    owner = Person(served.made["session stepped up"])
    organization, inviter = ("org_b", "usr_stranger") if how == "accept" else ("org_a", "usr_owner")
    token = served.made[f"invitation to {how}"]
    fresh = {"email": "new@example.com", "password": "a sentence never said before", "name": "New"}

    def taken(tx: Tx) -> None:
        people.lock_whole_organization(tx, organization)
        if loss == "inviter demoted":
            people.set_role(tx, organization, inviter, "viewer")
        else:
            erasing.erase_organization(tx, organization, Actor(inviter, "session", user=inviter), now)
        time.sleep(0.6)

    async def work(client: Client, elsewhere: Database) -> None:
        taking = asyncio.create_task(elsewhere.write_async(taken))
        await asyncio.sleep(0.15)
        if how == "accept":
            answer = await client.post("/v1/invitations/accept", {"token": token}, person=owner)
        else:
            answer = await client.post("/v1/auth/register", fresh | {"invitation": token}, key=None)
        await taking
        assert (answer.status, answer.json["code"]) == (403, "forbidden"), answer.body

    with Database(served.database.url) as elsewhere:
        served.run(lambda client: work(client, elsewhere))

    email = "owner@example.com" if how == "accept" else fresh["email"]
    joined = sa.select(members).join(users, users.c.id == members.c.user)
    joined = joined.where(members.c.organization == organization, users.c.email == email)
    assert served.database.read(lambda tx: tx.execute(joined).all()) == []


def test_an_answer_is_not_repeated_to_who_may_no_more(served: Any) -> None:
    take, *_ = lost(served, "key revoked")
    wanted, headers = {"name": "once", "broker": "paper"}, {"Idempotency-Key": "once"}

    async def meanwhile() -> None:
        await served.database.write_async(lambda tx: tx.execute(take))

    async def work(client: Client) -> None:
        assert (await client.post("/v1/broker-accounts", wanted, headers=headers)).status == 201
        assert (await client.post("/v1/broker-accounts", wanted, headers=headers)).status == 201
        answer = await client.post("/v1/broker-accounts", wanted, headers=headers, meanwhile=meanwhile)
        assert answer.status == 401, answer.body

    served.run(work)


@pytest.mark.parametrize("loss", ["member demoted", "member removed", "step-up over"])
def test_no_export_is_made_for_who_may_no_more(served: Any, loss: str) -> None:
    take, _, status = lost(served, loss)
    owner = Person(served.made["session stepped up"])

    async def meanwhile() -> None:
        await served.database.write_async(lambda tx: tx.execute(take))

    async def work(client: Client) -> None:
        answer = await client.post("/v1/exports", {"kind": "organization"}, person=owner, meanwhile=meanwhile)
        assert answer.status == status, answer.body

    served.run(work)


@pytest.mark.parametrize("path", ["/v1/api-keys", "/v1/api-keys/{}/roll", "/v1/api-keys/{}"])
def test_no_dangerous_key_is_touched_once_the_step_up_is_over(served: Any, path: str) -> None:
    take, *_ = lost(served, "step-up over")
    owner = Person(served.made["session stepped up"])

    async def meanwhile() -> None:
        await served.database.write_async(lambda tx: tx.execute(take))

    async def work(client: Client) -> None:
        method = "PATCH" if path.endswith("{}") else "POST"
        body: Any = {"addresses": ["192.0.2.1"]} if method == "PATCH" else {"overlap_s": 60}
        if path == "/v1/api-keys":
            body = {"name": "all", "scopes": ["organization:admin"]}
        where = path.format(served.key_ids["whole"])
        answer = await client.send(method, where, body, person=owner, meanwhile=meanwhile)
        assert (answer.status, answer.json["code"]) == (403, "step_up_required"), answer.body

    served.run(work)


def test_of_changes_of_one_state_of_a_member_one_succeeds(served: Any) -> None:
    owner = Person(served.made["session stepped up"])
    path = "/v1/organizations/org_a/members/usr_admin"

    async def work(client: Client) -> list[int]:
        etag = (await client.get(path, person=owner)).headers["etag"]
        roles = ("viewer", "trader") * 4
        asked = [client.send("PATCH", path, {"role": role}, {"If-Match": etag}, person=owner) for role in roles]
        return sorted(answer.status for answer in await asyncio.gather(*asked))

    assert served.run(work, processes=8) == [200] + [412] * 7


def test_who_is_erased_at_the_same_moment_leaves_nothing(served: Any) -> None:
    now = served.clock.now_us()
    stranger = Person(served.made["session stranger stepped up"], organization="", environment="")

    def erase(tx: Tx) -> None:
        erasing.erase_person(tx, "usr_stranger", Actor("usr_stranger", "session", user="usr_stranger"), now)

    async def meanwhile() -> None:
        await served.database.write_async(erase)

    async def work(client: Client) -> None:
        body = {"name": "after the end"}
        answer = await client.post("/v1/organizations", body, person=stranger, meanwhile=meanwhile)
        assert answer.status == 401, answer.body
        named = sa.select(organizations.c.id).where(organizations.c.name == body["name"])
        assert (await served.database.read_async(lambda tx: tx.execute(named).all())) == []

    served.run(work)
