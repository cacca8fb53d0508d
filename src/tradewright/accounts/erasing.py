"""Who may be erased, and what goes along."""

from __future__ import annotations

from tradewright.accounts import members, throttling
from tradewright.errors import Conflict, NotFound
from tradewright.storage import audit, erasure, jobs, people
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx

_QUIET_US = 600 * 1_000_000


def erase_person(tx: Tx, user: str, who: Actor, now_us: int) -> None:
    """Erase what names a person and revoke the keys they made; the id stays. Raises Conflict, NotFound."""
    person = people.get_user(tx, user, lock=True)
    if person is None:
        raise NotFound("this person was erased already")
    belongs = people.organizations_of(tx, user)
    for organization, _ in belongs:  # in the order of ids, so that two who leave cannot wait for each other
        people.get_organization(tx, organization, lock=True)
    for organization, _ in belongs:
        if people.role_of(tx, organization, user) == "owner":
            _refuse_when_needed(tx, organization)
    for organization, _ in belongs:
        members.revoke_keys(tx, organization, user, who, now_us)
        audit.record(tx, organization, "", who, "member.remove", user, {"erased": True}, now_us)
    throttling.forget(tx, throttling.of_account(person["email"]))
    throttling.forget(tx, throttling.of_person(user))
    nameless = Actor(user, who.method, who.request)
    audit.record(tx, "", "", nameless, "person.erase", user, {}, now_us)
    erasure.erase_person(tx, user, person["email"], [organization for organization, _ in belongs], now_us)


def erase_organization(tx: Tx, organization: str, who: Actor, now_us: int) -> None:
    """Delete an organization with all it has but its audit log. Raises Conflict while it trades."""
    people.lock_whole_organization(tx, organization)
    if erasure.trades(tx, organization, now_us - _QUIET_US):
        raise Conflict("a run of this organization traded in the last ten minutes; stop it, and try again after them")
    deleted = erasure.erase_organization(tx, organization)
    jobs.enqueue(tx, "", "", "forget_bars", {"owner": organization}, now_us)  # what it has outside the database
    nameless = Actor(who.actor, who.method, who.request)
    audit.record(tx, organization, "", nameless, "organization.erase", organization, {"rows": deleted}, now_us)


def _refuse_when_needed(tx: Tx, organization: str) -> None:
    if people.count_owners(tx, organization) == 1 and people.count_members(tx, organization) > 1:
        raise Conflict(
            f"you are the only owner of {organization}, which has other members; make one of them an owner, or delete "
            "the organization, first"
        )
