"""Organizations: who belongs to one, who may change that, and what goes when somebody goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgi import Client, Person
from logging_in import actions, login, token_of
from seeds_people import PASSWORD, add_person, session_of
from tradewright.accounts import keys
from tradewright.storage import people as rows
from tradewright.storage.tables import members, outbox

HOME = "/v1/organizations/org_a"
NEW = "another sentence, never said"


def sessions_of(served: Any, *users: str) -> list[Person]:
    now_us = served.clock.now_us()
    return [Person(served.database.write(session_of, user, now_us, stepped_up=True)) for user in users]


def owners(served: Any) -> list[str]:
    query = members.select().where(members.c.organization == "org_a", members.c.role == "owner")
    return sorted(row.user for row in served.database.read(lambda tx: tx.execute(query).all()))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "invitations", {"email": "accomplice@example.com", "role": "owner"}),
        ("POST", "invitations", {"email": "accomplice@example.com", "role": "viewer"}),
        ("PATCH", "members/usr_leaver", {"role": "owner"}),
        ("DELETE", "members/usr_partner", None),
    ],
)
def test_a_session_alone_makes_nobody_powerful_and_removes_nobody(
    served: Any, method: str, path: str, body: dict[str, str] | None
) -> None:
    async def work(client: Client) -> None:
        taken = Person(served.database.write(session_of, "usr_owner", served.clock.now_us()))
        refused = await client.send(method, f"{HOME}/{path}", body, person=taken)
        assert (refused.status, refused.json["code"]) == (403, "step_up_required")
        (owner,) = sessions_of(served, "usr_owner")
        assert (await client.send(method, f"{HOME}/{path}", body, person=owner)).status in (200, 201, 204)

    served.run(work)


def test_the_last_owner_stays_also_when_two_demote_each_other(served: Any) -> None:
    async def work(client: Client) -> None:
        first, second = sessions_of(served, "usr_owner", "usr_partner")
        for _ in range(3):
            answers = await asyncio.gather(
                client.send("PATCH", f"{HOME}/members/usr_partner", {"role": "admin"}, person=first),
                client.send("PATCH", f"{HOME}/members/usr_owner", {"role": "admin"}, person=second),
            )
            assert 200 in {answer.status for answer in answers}
            assert len(owners(served)) == 1
            kept = first if owners(served) == ["usr_owner"] else second
            for user in ("usr_owner", "usr_partner"):
                change = {"role": "owner"}
                assert (await client.send("PATCH", f"{HOME}/members/{user}", change, person=kept)).status == 200

    served.run(work, processes=2)


def test_the_last_owner_stays_also_when_two_leave_at_once(served: Any) -> None:
    async def work(client: Client) -> None:
        first, second = sessions_of(served, "usr_owner", "usr_partner")
        for _ in range(12):  # now and then one is done before the other begins
            leaving = (client.post(f"{HOME}/leave", None, person=one) for one in (first, second))
            assert sorted(answer.status for answer in await asyncio.gather(*leaving)) == [204, 409]
            (left,) = {"usr_owner", "usr_partner"} - set(owners(served))
            served.database.write(rows.add_member, "org_a", left, "owner", 0)

    served.run(work, processes=2)


def test_the_last_owner_can_neither_leave_nor_be_demoted_nor_be_erased(served: Any) -> None:
    async def work(client: Client) -> None:
        (owner,) = sessions_of(served, "usr_owner")
        assert (await client.send("DELETE", f"{HOME}/members/usr_partner", person=owner)).status == 204
        for method, target, body in (
            ("POST", f"{HOME}/leave", None),
            ("DELETE", f"{HOME}/members/usr_owner", None),
            ("PATCH", f"{HOME}/members/usr_owner", {"role": "viewer"}),
            ("DELETE", "/v1/me", None),
        ):
            refused = await client.send(method, target, body, person=owner)
            assert (refused.status, refused.json["code"]) == (409, "conflict"), target
            assert "owner" in refused.json["detail"]

    served.run(work)
    assert owners(served) == ["usr_owner"]


def test_only_an_owner_makes_changes_or_removes_owners(served: Any) -> None:
    async def work(client: Client) -> None:
        (admin,) = sessions_of(served, "usr_admin")
        for method, target, body in (
            ("PATCH", f"{HOME}/members/usr_trader", {"role": "owner"}),
            ("PATCH", f"{HOME}/members/usr_admin", {"role": "owner"}),
            ("PATCH", f"{HOME}/members/usr_owner", {"role": "viewer"}),
            ("DELETE", f"{HOME}/members/usr_owner", None),
            ("POST", f"{HOME}/invitations", {"email": "x@example.com", "role": "owner"}),
        ):
            refused = await client.send(method, target, body, person=admin)
            assert (refused.status, refused.json["code"]) == (403, "forbidden"), (method, target)
        change = await client.send("PATCH", f"{HOME}/members/usr_trader", {"role": "viewer"}, person=admin)
        assert (change.status, change.json["role"]) == (200, "viewer")

    served.run(work)
    assert len(owners(served)) == 2


def test_a_demotion_acts_at_the_next_request(served: Any) -> None:
    async def work(client: Client) -> None:
        owner, admin = sessions_of(served, "usr_owner", "usr_admin")
        assert (await client.get(f"{HOME}/members", person=admin)).status == 200
        await client.send("PATCH", f"{HOME}/members/usr_admin", {"role": "viewer"}, person=owner)
        assert (await client.get(f"{HOME}/members", person=admin)).status == 403
        await client.send("DELETE", f"{HOME}/members/usr_admin", person=owner)
        assert (await client.get(HOME, person=admin)).status == 404

    served.run(work)
    assert {"member.change", "member.remove"} <= set(actions(served, "usr_admin"))


def test_who_goes_takes_the_keys_they_made_along(served: Any) -> None:
    def give(tx: Any) -> tuple[str, str]:
        from tradewright.storage.tables import api_keys

        key, text = keys.create(tx, "org_a", "paper", "of the leaver", ["market:read"], served.clock.now_us())
        tx.execute(api_keys.update().where(api_keys.c.id == key).values(created_by="usr_leaver"))
        return key, text

    key, text = served.database.write(give)

    async def work(client: Client) -> None:
        assert (await client.get("/v1/instruments", key=text)).status == 200
        (owner,) = sessions_of(served, "usr_owner")
        assert (await client.send("DELETE", f"{HOME}/members/usr_leaver", person=owner)).status == 204
        served.clock.advance(2.1)
        assert (await client.get("/v1/instruments", key=text)).status == 401
        assert (await client.get("/v1/instruments")).status == 200

    served.run(work)
    query = outbox.select().where(outbox.c.type == "api_key.revoked")
    events = served.database.read(lambda tx: tx.execute(query).mappings().all())
    assert [(row["organization"], row["environment"], row["subject"]) for row in events] == [("org_a", "paper", key)]


def test_a_key_that_had_expired_before_its_maker_left_is_told_as_expired(served: Any) -> None:
    now_us = served.clock.now_us()

    def give(tx: Any) -> list[str]:
        from tradewright.storage.tables import api_keys

        made = [keys.create(tx, "org_a", "paper", "k", ["market:read"], now_us, ends)[0] for ends in (now_us - 1, None)]
        tx.execute(api_keys.update().where(api_keys.c.id.in_(made)).values(created_by="usr_leaver"))
        return made

    expired, valid = served.database.write(give)

    async def work(client: Client) -> None:
        (owner,) = sessions_of(served, "usr_owner")
        assert (await client.send("DELETE", f"{HOME}/members/usr_leaver", person=owner)).status == 204
        shown = {row["id"]: row for row in (await client.get("/v1/api-keys")).json["data"]}
        assert (shown[expired]["status"], shown[expired]["revoked_at"]) == ("expired", None)
        assert (shown[valid]["status"], shown[valid]["revoked_reason"]) == (
            "revoked",
            "its maker is no member any more",
        )
        assert (await client.get(f"/v1/api-keys/{expired}")).json == shown[expired]

    served.run(work)
    told = outbox.select().where(outbox.c.type == "api_key.revoked")
    assert [row["subject"] for row in served.database.read(lambda tx: tx.execute(told).mappings().all())] == [valid]


@pytest.mark.parametrize("how", ["demoted", "removed", "erased"])
def test_who_may_invite_no_more_invited_nobody(served: Any, how: str) -> None:
    async def work(client: Client) -> None:
        owner, admin = sessions_of(served, "usr_owner", "usr_admin")
        wanted = {"email": "new@example.com", "role": "admin"}
        invited = await client.post(f"{HOME}/invitations", wanted, person=admin)
        assert invited.status == 201
        target = f"{HOME}/members/usr_admin"
        if how == "demoted":
            assert (await client.send("PATCH", target, {"role": "viewer"}, person=owner)).status == 200
        elif how == "removed":
            assert (await client.send("DELETE", target, person=owner)).status == 204
        else:
            assert (await client.send("DELETE", "/v1/me", person=admin)).status == 204
        body = {"email": "new@example.com", "password": NEW, "name": "New", "invitation": invited.json["token"]}
        assert (await client.post("/v1/auth/register", body, key=None)).status == 403
        again = await client.post(f"{HOME}/invitations", {**wanted, "email": "newer@example.com"}, person=owner)
        body |= {"email": "newer@example.com", "invitation": again.json["token"]}
        assert (await client.post("/v1/auth/register", body, key=None)).status == 202

    served.run(work)


def test_who_is_no_owner_any_more_invited_no_owner(served: Any) -> None:
    async def work(client: Client) -> None:
        owner, partner = sessions_of(served, "usr_owner", "usr_partner")
        wanted = {"email": "new@example.com", "role": "owner"}
        invited = await client.post(f"{HOME}/invitations", wanted, person=partner)
        target = f"{HOME}/members/usr_partner"
        assert (await client.send("PATCH", target, {"role": "admin"}, person=owner)).status == 200
        body = {"email": "new@example.com", "password": NEW, "name": "New", "invitation": invited.json["token"]}
        assert (await client.post("/v1/auth/register", body, key=None)).status == 403

    served.run(work)


def test_an_invitation_counts_once_also_in_parallel(served: Any) -> None:
    token = served.made["invitation to register"]

    async def work(client: Client) -> None:
        body = {"email": "new@example.com", "password": NEW, "name": "New", "invitation": token}
        other = await client.post("/v1/auth/register", {**body, "email": "other@example.com"}, key=None)
        assert other.status == 403
        answers = await asyncio.gather(*(client.post("/v1/auth/register", body, key=None) for _ in range(8)))
        assert {answer.status for answer in answers} <= {202, 403}
        person = Person(token_of(await login(client, "new@example.com", NEW)))
        listed = (await client.get("/v1/organizations", person=person)).json["data"]
        assert [(row["id"], row["role"]) for row in listed] == [("org_a", "trader")]
        assert (await client.post("/v1/auth/register", body, key=None)).status == 403

    served.run(work)


def test_who_is_registered_accepts_an_invitation_once(served: Any) -> None:
    async def work(client: Client) -> None:
        owner, trader = sessions_of(served, "usr_owner", "usr_trader")
        body = {"token": served.made["invitation to accept"]}
        assert (await client.post("/v1/invitations/accept", body, person=trader)).status == 403
        answers = await asyncio.gather(*(client.post("/v1/invitations/accept", body, person=owner) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [200] + [403] * 5
        listed = (await client.get("/v1/organizations?order=asc", person=owner)).json["data"]
        assert [(row["id"], row["role"]) for row in listed] == [("org_a", "owner"), ("org_b", "viewer")]

    served.run(work)


def test_an_invitation_ends_after_a_week_or_when_withdrawn(served: Any) -> None:
    async def work(client: Client) -> None:
        (owner,) = sessions_of(served, "usr_owner")
        made = []
        for name in ("a", "b"):
            body = {"email": f"{name}@example.com", "role": "viewer"}
            answer = await client.post(f"{HOME}/invitations", body, person=owner)
            assert (answer.status, answer.json["status"]) == (201, "open")
            made.append(answer.json)
        assert (await client.send("DELETE", f"{HOME}/invitations/{made[0]['id']}", person=owner)).status == 204
        assert (await client.send("DELETE", f"{HOME}/invitations/{made[0]['id']}", person=owner)).status == 404
        listed = (await client.get(f"{HOME}/invitations", person=owner)).json["data"]
        assert all(row["token"] is None for row in listed)
        served.clock.advance(7 * 86_400)
        for one in made:
            body = {"email": one["email"], "password": NEW, "name": "X", "invitation": one["token"]}
            assert (await client.post("/v1/auth/register", body, key=None)).status == 403
        (owner,) = sessions_of(served, "usr_owner")
        listed = {
            row["id"]: row["status"] for row in (await client.get(f"{HOME}/invitations", person=owner)).json["data"]
        }
        assert [listed[one["id"]] for one in made] == ["revoked", "expired"]
        again = {"email": "trader@example.com", "role": "viewer"}
        assert (await client.post(f"{HOME}/invitations", again, person=owner)).status == 409

    served.run(work)


def test_a_change_of_what_changed_meanwhile_is_refused(served: Any) -> None:
    async def work(client: Client) -> None:
        (owner,) = sessions_of(served, "usr_owner")
        for target in ("/v1/me", HOME, f"{HOME}/members/usr_leaver"):
            await refused_when_stale(client, owner, target)

    async def refused_when_stale(client: Client, owner: Person, target: str) -> None:
        body = {"role": "viewer"} if "members" in target else {"name": "Renamed"}
        etag = (await client.get(target, person=owner)).headers["etag"]
        current = await client.send("PATCH", target, body, headers={"If-Match": etag}, person=owner)
        assert current.status == 200
        stale = await client.send("PATCH", target, body, headers={"If-Match": etag}, person=owner)
        assert (stale.status, stale.json["code"]) == (412, "precondition_failed")
        fresh = (await client.get(target, person=owner)).headers["etag"]
        assert (await client.get(target, person=owner, headers={"If-None-Match": fresh})).status == 304
        for extra in ({"id": "org_b"}, {"created_at": "x"}, {"email": "x@example.com"}):
            assert (await client.send("PATCH", target, {**body, **extra}, person=owner)).status == 422

    served.run(work)


def test_a_key_manages_no_members(served: Any) -> None:
    async def work(client: Client) -> None:
        for method, target, body in (
            ("PATCH", f"{HOME}/members/usr_trader", {"role": "admin"}),
            ("DELETE", f"{HOME}/members/usr_trader", None),
            ("POST", f"{HOME}/invitations", {"email": "x@example.com", "role": "viewer"}),
            ("DELETE", f"{HOME}/invitations/{served.made['invitation']}", None),
            ("DELETE", HOME, None),
        ):
            refused = await client.send(method, target, body)
            assert (refused.status, refused.json["code"]) == (403, "forbidden")
            assert "persons" in refused.json["detail"]

    served.run(work)


def test_a_person_without_organization_sees_their_own_things_only(served: Any) -> None:
    def add(tx: Any) -> None:
        add_person(tx, "alone", served.clock.now_us())
        assert rows.organizations_of(tx, "usr_alone") == []

    served.database.write(add)

    async def work(client: Client) -> None:
        person = Person(token_of(await login(client, "alone@example.com", PASSWORD)), "", "")
        assert (await client.get("/v1/me", person=person)).status == 200
        assert (await client.get("/v1/organizations", person=person)).json["data"] == []
        assert (await client.get(HOME, person=person)).status == 400
        assert (await client.get(HOME, person=Person(person.token))).status == 404
        assert (await client.post(f"{HOME}/leave", None, person=person)).status == 404
        made = await client.post("/v1/organizations", {"name": "Mine"}, person=person)
        mine = Person(person.token, organization=made.json["id"])
        assert (await client.get(f"/v1/organizations/{made.json['id']}", person=mine)).json == made.json
        assert (await client.get(HOME, person=mine)).status == 404

    served.run(work)
