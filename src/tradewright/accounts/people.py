"""How somebody becomes a person of this installation, and with what password."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any

from tradewright import ids
from tradewright.accounts.proofs import as_person
from tradewright.accounts.sessions import digest
from tradewright.errors import Forbidden, NotFound
from tradewright.storage import accounts, audit, factors, people, sessions
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx

RESET_US = 3600 * 1_000_000
_FIRST_NAME = "My organization"
BAD_INVITATION = (
    "this invitation is not valid: it was used, has expired, was withdrawn, or is for another e-mail address; "
    "ask for a new one"
)


@dataclass(frozen=True, slots=True)
class Registration:
    """Who wants to become a person here. email: in its stored spelling. organization_name: of the one that is
    made, or that the first person owns."""

    email: str
    name: str
    password_hash: str
    organization_name: str | None = None
    invitation: str | None = None


def spelled(email: str) -> str:
    """Return an e-mail address in the one spelling that is stored and looked up."""
    return unicodedata.normalize("NFC", email).lower()


def find_invitation(tx: Tx, token: str, email: str, now_us: int) -> dict[str, Any]:
    """Return the open invitation of this token for this address. Raises Forbidden."""
    row = people.invitation_by_token(tx, digest(token), now_us)
    if row is None or row["email"] != email:
        raise Forbidden(BAD_INVITATION)
    inviter = str(row["created_by"])  # who may invite no more, invited nobody
    if inviter.startswith("usr_"):
        role = people.role_of(tx, row["organization"], inviter)
        if role != "owner" and (role != "admin" or row["role"] == "owner"):
            raise Forbidden(BAD_INVITATION)
    return row


def register(tx: Tx, wanted: Registration, who: Actor, now_us: int) -> str | None:
    """Store a person, as owner of an organization or as the member an invitation asks for; return the id.

    Returns None when the address is known: then nothing changes but the audit log. The very first person of an
    installation becomes the owner of the organization that is there. Raises Forbidden for a used invitation.
    """
    user = ids.new("usr")
    installed = None if people.has_users(tx) else people.only_organization(tx)
    first = installed is not None and not people.has_users(tx)  # asked again under the lock: only one can be the first
    row = {"id": user, "email": wanted.email, "name": wanted.name, "password_hash": wanted.password_hash}
    if not people.add_user(tx, {**row, "password_changed_at": now_us, "created_at": now_us}):
        known = people.user_by_email(tx, wanted.email)
        audit.record(tx, "", "", who, "person.register_refused", known["id"] if known else "", {}, now_us)
        return None
    me = as_person(who, user, "none")
    audit.record(tx, "", "", me, "person.register", user, {}, now_us)
    if wanted.invitation is not None:
        accept(tx, wanted.invitation, user, wanted.email, me, now_us)
    elif first and installed is not None:
        people.add_member(tx, installed, user, "owner", now_us)
        audit.record(tx, installed, "", me, "member.add", user, {"role": "owner"}, now_us)
        if wanted.organization_name is not None:
            rename_organization(tx, installed, wanted.organization_name, me, now_us)
    else:
        make_organization(tx, wanted.organization_name or _FIRST_NAME, user, me, now_us)
    return user


def make_organization(tx: Tx, name: str, owner: str, who: Actor, now_us: int) -> str:
    """Store an organization with its owner and return its id."""
    organization = ids.new("org")
    accounts.add_organization(tx, organization, name, now_us)
    people.add_member(tx, organization, owner, "owner", now_us)
    audit.record(tx, organization, "", who, "organization.create", organization, {"owner": owner}, now_us)
    return organization


def rename_organization(tx: Tx, organization: str, name: str, who: Actor, now_us: int) -> None:
    """Give an organization another name."""
    people.rename_organization(tx, organization, name)
    audit.record(tx, organization, "", who, "organization.change", organization, {"changed": ["name"]}, now_us)


def accept(tx: Tx, token: str, user: str, email: str, who: Actor, now_us: int) -> str:
    """Use an invitation up and return the organization joined. Raises Forbidden. A member keeps the present role."""
    organization = find_invitation(tx, token, email, now_us)["organization"]
    people.get_organization(tx, organization, lock=True)  # whoever invited may lose the right, or delete it, until then
    row = find_invitation(tx, token, email, now_us)
    if not people.accept_invitation(tx, row["id"], now_us):
        raise Forbidden(BAD_INVITATION)
    detail = {"invitation": row["id"], "role": row["role"]}
    if people.add_member(tx, row["organization"], user, row["role"], now_us):
        audit.record(tx, row["organization"], "", who, "invitation.accept", user, detail, now_us)
    return str(row["organization"])


def remove_factors(tx: Tx, email: str, who: Actor, now_us: int) -> dict[str, Any]:
    """Remove every second factor of a person who lost them, and end the sessions; return what there was.

    The password alone suffices then: be sure who asks. Raises NotFound, also when there is no factor.
    """
    row = _somebody(tx, email)
    user = row["id"]
    people.get_user(tx, user, lock=True)  # one who adds a factor at this moment comes before or after
    there = {"codes": factors.remove_authenticator(tx, user), "passkeys": factors.remove_passkeys(tx, user)}
    if not any(there.values()):
        raise NotFound(f"{row['email']} has no second factor; nothing was changed")
    factors.remove_recovery_codes(tx, user)
    ended = sessions.end_all(tx, user, now_us)
    sessions.drop_challenges(tx, user)
    audit.record(tx, "", "", who, "factors.remove", user, there, now_us)
    return {"id": user, "email": row["email"], **there, "sessions_ended": ended}


def begin_reset(tx: Tx, email: str, who: Actor, now_us: int) -> tuple[str, str]:
    """Return the id of a person and a token that sets a new password once, within an hour. Raises NotFound."""
    row = _somebody(tx, email)
    token = secrets.token_urlsafe(32)
    sessions.add_challenge(tx, digest(token), row["id"], "reset", b"", now_us, now_us + RESET_US)
    audit.record(tx, "", "", who, "password.reset_begin", row["id"], {}, now_us)
    return row["id"], token


def _somebody(tx: Tx, email: str) -> dict[str, Any]:
    row = people.user_by_email(tx, spelled(email))
    if row is None:
        raise NotFound(f"there is nobody with the address {email!r}; `tradewright users list` shows who there is")
    return row


def email_of_reset(tx: Tx, token: str, now_us: int) -> str:
    """Return the address of whom a token sets a password for, empty when the token is not valid."""
    row = sessions.find_challenge(tx, digest(token), "reset", now_us)
    person = None if row is None else people.get_user(tx, row["user"])
    return "" if person is None else str(person["email"])


def finish_reset(tx: Tx, token: str, password_hash: str, who: Actor, now_us: int) -> None:
    """Set the new password and end every session of the person. Raises Forbidden for a token that is not valid."""
    asked = sessions.find_challenge(tx, digest(token), "reset", now_us)
    person = None if asked is None else people.get_user(tx, asked["user"], lock=True)  # first, as who erases them does
    row = None if person is None else sessions.take_challenge(tx, digest(token), "reset", now_us)
    if row is None:
        raise Forbidden("this token is not valid: it was used, or is older than an hour; ask an operator for a new one")
    people.set_password(tx, row["user"], password_hash, now_us)
    sessions.end_all(tx, row["user"], now_us)
    sessions.drop_challenges(tx, row["user"])
    audit.record(tx, "", "", as_person(who, row["user"], "token"), "password.reset", row["user"], {}, now_us)
