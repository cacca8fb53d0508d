"""People with sessions of every role, and what they can accept, end, change and fetch."""

from __future__ import annotations

import json
from typing import Any

import pyotp
from argon2 import PasswordHasher

from software_key import SoftwareKey
from tradewright.accounts import members, passkeys, people, second_factors
from tradewright.accounts.principal import ROLES
from tradewright.accounts.sessions import open_session
from tradewright.clock import FixedClock
from tradewright.storage import exports, factors, jobs
from tradewright.storage import people as rows
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx
from tradewright.storage.tables import feed_sessions
from tradewright.storage.vault import Vault

PASSWORD = "nobody guesses this sentence"
HASH = PasswordHasher(1, 8, 1).hash(PASSWORD)  # as cheap as it gets: tests hash often
SYSTEM = Actor("system", "command line")


def add_person(tx: Tx, name: str, now_us: int, organization: str = "org_a", role: str | None = None) -> str:
    """Store a person with the password of all, a member when a role is named; return the id."""
    user = f"usr_{name}"
    row = {"id": user, "email": f"{name}@example.com", "name": name.title(), "password_hash": HASH}
    assert rows.add_user(tx, {**row, "password_changed_at": now_us, "created_at": now_us})
    if role is not None:
        rows.add_member(tx, organization, user, role, now_us)
    return user


def session_of(tx: Tx, user: str, now_us: int, stepped_up: bool = False) -> str:
    """Open a session and return its token."""
    return open_session(tx, user, "192.0.2.1", "seed", now_us, stepped_up=stepped_up).token


def seed(tx: Tx, clock: FixedClock, vault: Vault) -> dict[str, str]:
    """Store them; return ids, tokens and answers by name."""
    now_us = clock.now_us()
    made: dict[str, str] = {}
    for role in ROLES:
        user = made[f"user {role}"] = add_person(tx, role, now_us, role=role)
        made[f"session {role}"] = session_of(tx, user, now_us)
    made["session stepped up"] = session_of(tx, "usr_owner", now_us, stepped_up=True)
    made["session to end"] = open_session(tx, "usr_owner", "192.0.2.2", "phone", now_us).id
    add_person(tx, "partner", now_us, role="owner")  # so that the owner may leave
    add_person(tx, "leaver", now_us, role="trader")
    add_person(tx, "stranger", now_us, "org_b", "owner")
    made["session stranger"] = session_of(tx, "usr_stranger", now_us)
    made["session stranger stepped up"] = session_of(tx, "usr_stranger", now_us, stepped_up=True)
    made |= _seed_invitations(tx, now_us) | _seed_factors(tx, vault, now_us) | _seed_exports(tx, now_us)
    add_person(tx, "forgetful", now_us)
    made["reset token"] = people.begin_reset(tx, "forgetful@example.com", SYSTEM, now_us)[1]
    quiet = {"updated_at": now_us - 3_600_000_000}  # so that the organization may be deleted: nothing trades there
    tx.execute(feed_sessions.update().where(feed_sessions.c.organization == "org_a").values(quiet))
    return made


def _seed_invitations(tx: Tx, now_us: int) -> dict[str, str]:
    owner = Actor("usr_owner", "session", user="usr_owner")
    stranger = Actor("usr_stranger", "session", user="usr_stranger")
    made = {"invitation": members.invite(tx, "org_a", "late@example.com", "viewer", owner, now_us)[0]}
    made["invitation to register"] = members.invite(tx, "org_a", "new@example.com", "trader", owner, now_us)[1]
    made["invitation to accept"] = members.invite(tx, "org_b", "owner@example.com", "viewer", stranger, now_us)[1]
    return made


def _seed_factors(tx: Tx, vault: Vault, now_us: int) -> dict[str, str]:
    secret, _ = second_factors.enrol(tx, vault, "usr_owner", "owner@example.com", now_us)
    made = {"code": pyotp.TOTP(secret).at(now_us // 1_000_000)}
    made["recovery code"] = second_factors.make_recovery_codes(tx, "usr_owner", now_us)[0]
    made["passkey"] = "psk_owner"
    _add_passkey(tx, "psk_owner", "usr_owner", SoftwareKey(), now_us)
    made["new passkey"] = json.dumps(_answer_of(tx, passkeys.REGISTER, "usr_owner", SoftwareKey(), now_us))
    add_person(tx, "keyholder", now_us)
    key = SoftwareKey(user=b"usr_keyholder")
    _add_passkey(tx, "psk_keyholder", "usr_keyholder", key, now_us)
    made["passkey answer"] = json.dumps(_answer_of(tx, passkeys.LOGIN, None, key, now_us))
    return made


def _add_passkey(tx: Tx, passkey: str, user: str, key: SoftwareKey, now_us: int) -> None:
    row = {"id": passkey, "user": user, "name": "phone", "created_at": now_us, "sign_count": 0}
    factors.add_passkey(tx, {**row, "credential": key.credential, "public_key": key.public_key()})


def _answer_of(tx: Tx, purpose: str, user: str | None, key: SoftwareKey, now_us: int) -> dict[str, Any]:
    challenge = passkeys.new_challenge()
    passkeys.asked(tx, challenge, purpose, user, now_us)
    return key.created(challenge) if purpose == passkeys.REGISTER else key.got(challenge)


def _seed_exports(tx: Tx, now_us: int) -> dict[str, str]:
    job = jobs.enqueue(tx, "", "", "export", {"export": "exp_1", "kind": "person", "owner": "usr_owner"}, now_us)
    jobs.finish(tx, job, "succeeded", now_us)
    exports.add(tx, "", "", "exp_1", "usr_owner", "person", job, now_us)
    exports.save_content(tx, "exp_1", b"PK\x05\x06" + bytes(18))
    return {"export": "exp_1"}
