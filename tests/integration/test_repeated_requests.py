"""What an Idempotency-Key belongs to, and what is kept of the request that it names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asgi import Client, Person
from seeds_people import session_of
from tradewright.storage import people

ONCE = {"Idempotency-Key": "one"}


def test_what_a_person_repeats_as_another_organization_is_done_there(served: Any) -> None:
    now = served.clock.now_us()
    served.database.write(people.add_member, "org_b", "usr_owner", "owner", now)
    there = Person(served.database.write(session_of, "usr_owner", now, stepped_up=True))

    async def work(client: Client) -> None:
        body = {"kind": "organization"}
        first = await client.post("/v1/exports", body, person=there, headers=ONCE)
        again = await client.post("/v1/exports", body, person=there, headers=ONCE)
        other = await client.post("/v1/exports", body, person=replace(there, organization="org_b"), headers=ONCE)
        assert [answer.status for answer in (first, again, other)] == [202, 202, 202]
        assert again.body == first.body
        assert (first.json["organization"], other.json["organization"]) == ("org_a", "org_b")

    served.run(work)
