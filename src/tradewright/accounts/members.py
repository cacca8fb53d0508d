"""Who belongs to an organization, with which role, and who may change that. Decided inside the transaction."""

from __future__ import annotations

import secrets
from typing import Any

from tradewright import ids
from tradewright.accounts.sessions import digest
from tradewright.errors import Conflict, Forbidden, NotFound
from tradewright.storage import audit, outbox, people
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx

INVITED_US = 7 * 86_400 * 1_000_000
_MOST_INVITED = 100
_MAY_MANAGE = ("owner", "admin")


def invite(
    tx: Tx, organization: str, email: str, role: str, who: Actor, now_us: int, by_operator: bool = False
) -> tuple[str, str]:
    """Store an invitation; return its id and its token, which exists nowhere else.

    by_operator: from the command line of the installation. Raises Forbidden, Conflict.
    """
    people.get_organization(tx, organization, lock=True)
    if not by_operator:
        _manager(tx, organization, who, touches_owner=role == "owner")
    known = people.user_by_email(tx, email)
    if known is not None and people.role_of(tx, organization, known["id"]) is not None:
        raise Conflict("this person is a member already; change the role instead")
    if people.count_open_invitations(tx, organization, now_us) >= _MOST_INVITED:
        raise Conflict(f"there are {_MOST_INVITED} open invitations; delete some first")
    invitation, token = ids.new("inv"), secrets.token_urlsafe(32)
    row = {"id": invitation, "organization": organization, "email": email, "role": role, "created_by": who.actor}
    times = {"created_at": now_us, "expires_at": now_us + INVITED_US}
    people.add_invitation(tx, {**row, **times, "token_hash": digest(token)})
    audit.record(tx, organization, "", who, "invitation.create", invitation, {"role": role}, now_us)
    return invitation, token


def withdraw(tx: Tx, organization: str, invitation: str, who: Actor, now_us: int) -> None:
    """End an invitation. Raises NotFound."""
    if not people.revoke_invitation(tx, organization, invitation, now_us):
        raise NotFound(f"there is no open invitation {invitation!r} in this organization; look at its list")
    audit.record(tx, organization, "", who, "invitation.revoke", invitation, {}, now_us)


def change_role(tx: Tx, organization: str, user: str, role: str, who: Actor, now_us: int) -> None:
    """Give a member another role; it acts at the next request. Raises NotFound, Forbidden, Conflict."""
    people.get_organization(tx, organization, lock=True)
    before = _role(tx, organization, user)
    _manager(tx, organization, who, touches_owner="owner" in (before, role))
    if before == "owner" and role != "owner":
        _keep_an_owner(tx, organization)
    people.set_role(tx, organization, user, role)
    audit.record(tx, organization, "", who, "member.change", user, {"from": before, "to": role}, now_us)


def remove(tx: Tx, organization: str, user: str, who: Actor, now_us: int) -> None:
    """End a membership, another's or one's own, and the API keys this person made. Raises as `change_role`."""
    people.get_organization(tx, organization, lock=True)
    role = _role(tx, organization, user)
    if user != who.user:
        _manager(tx, organization, who, touches_owner=role == "owner")
    if role == "owner":
        _keep_an_owner(tx, organization)
    people.remove_member(tx, organization, user)
    revoked = revoke_keys(tx, organization, user, who, now_us)
    audit.record(tx, organization, "", who, "member.remove", user, {"role": role, "keys": revoked}, now_us)


def revoke_keys(tx: Tx, organization: str, user: str, who: Actor, now_us: int) -> list[str]:
    """Revoke every valid key that a person made in an organization, tell so, and return their ids."""
    revoked = people.revoke_keys_of(tx, organization, user, now_us)
    for key, environment in revoked:
        event = ("api_key.revoked", key, None, {"id": key, "reason": "its maker is no member any more"})
        outbox.append(tx, organization, environment, [event], now_us)
        audit.record(tx, organization, environment, who, "api_key.revoke", key, {"maker": user}, now_us)
    return [key for key, _ in revoked]


def member(tx: Tx, organization: str, user: str) -> dict[str, Any]:
    """Return a member with address and name. Raises NotFound."""
    row = people.get_member(tx, organization, user)
    if row is None:
        raise NotFound(f"there is no member {user!r} in this organization; look at its list")
    return row


def _role(tx: Tx, organization: str, user: str) -> str:
    role = people.role_of(tx, organization, user)
    if role is None:
        raise NotFound(f"there is no member {user!r} in this organization; look at its list")
    return role


def _manager(tx: Tx, organization: str, who: Actor, touches_owner: bool) -> None:
    mine = people.role_of(tx, organization, who.user or "")  # read again: it may have changed since the request began
    if mine not in _MAY_MANAGE:
        raise Forbidden(
            f"this needs the role {' or '.join(_MAY_MANAGE)}; yours is {mine or 'none any more'}; ask somebody who has "
            "it"
        )
    if touches_owner and mine != "owner":
        raise Forbidden(f"only an owner may make, change or remove an owner; your role is {mine}; ask an owner")


def _keep_an_owner(tx: Tx, organization: str) -> None:
    if people.count_owners(tx, organization) == 1:
        raise Conflict("this is the last owner, and an organization needs one; make another member an owner first")
