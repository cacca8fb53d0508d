"""A person proves who they are: by password and second factor, counted before anything is checked.

For an address that nobody has the same is done as for a wrong password: the same count, one hash, one audit entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tradewright.accounts import passkeys, second_factors, throttling
from tradewright.accounts.limits import Bucket
from tradewright.accounts.passkeys import Answer, Site
from tradewright.accounts.passwords import Passwords
from tradewright.accounts.sessions import Opened, open_session
from tradewright.clock import Clock
from tradewright.errors import SecondFactorRequired, WrongCredentials
from tradewright.storage import audit, factors, people
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database, Tx
from tradewright.storage.vault import Vault

WRONG = "the e-mail address or the password is not right."
_WRONG_CODE = "this code is not right, or was used before; an app shows a new one every 30 seconds."
_WAYS = {
    "code": "send the same again with `code`: what your app shows now, or a recovery code",
    "passkey": "use your passkey, which POST /v1/auth/passkeys/login-options asks, or send a recovery code as `code`",
}


@dataclass(frozen=True, slots=True)
class Proved:
    """A person who was checked. method: how. rehashed: the password under the present cost, None when it is so."""

    user: str
    email: str
    method: str
    password_hash: str | None
    rehashed: str | None = None


class Proofs:
    """Checks passwords and codes."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._vault = vault

    async def by_login(self, email: str, password: str, code: str | None, who: Actor) -> Proved:
        """Return who this is. email: in its stored spelling.

        Raises WrongCredentials without saying what was wrong, SecondFactorRequired, TooManyRequests.
        """
        buckets = [throttling.of_account(email), throttling.of_address(throttling.ADDRESS, who.address)]
        row = await self._database.write_async(self._counted, buckets, email=email)
        return await self._checked(row, password, code, who, "login.failed", WRONG)

    async def again(self, user: str, password: str, code: str | None, who: Actor) -> Proved:
        """Return the person of a session, asked again. Raises as `by_login`."""
        row = await self._database.write_async(self._counted, [throttling.of_person(user)], user=user)
        return await self._checked(
            row, password, code, who, "step_up.failed", "the password is not right; your session goes on"
        )

    async def password_again(self, user: str, password: str, who: Actor) -> Proved:
        """Return the person of a session whose password is right, without a second factor. Raises as `by_login`."""
        row = await self._database.write_async(self._counted, [throttling.of_person(user)], user=user)
        row, kept = await self._matched(
            row, password, who, "password.change_failed", "the current password is not right; nothing was changed"
        )
        return Proved(row["id"], row["email"], "password", kept)

    async def by_passkey(self, site: Site, credential: dict[str, Any], who: Actor) -> Answer:
        """Return the checked answer of a passkey. Raises WrongCredentials, InvalidInput."""
        challenge = passkeys.challenge_of(credential)
        known = await self._database.read_async(factors.passkey_by_credential, passkeys.credential_of(credential))
        if known is None:
            raise WrongCredentials(passkeys.WRONG)
        try:
            count = await asyncio.to_thread(passkeys.verify_login, site, credential, challenge, known)
        except WrongCredentials:
            await self._database.write_async(self._note_failure, {"id": known["user"]}, who, "login.failed", "passkey")
            raise
        return Answer(known["id"], known["user"], challenge, count)

    def _counted(
        self, tx: Tx, buckets: Sequence[Bucket], *, email: str | None = None, user: str | None = None
    ) -> dict[str, Any] | None:
        throttling.count(tx, buckets, self._clock.now_us())
        if email is not None:
            return people.user_by_email(tx, email)
        return people.get_user(tx, user or "")

    async def _checked(
        self, row: dict[str, Any] | None, password: str, code: str | None, who: Actor, failed: str, wrong: str
    ) -> Proved:
        row, kept = await self._matched(row, password, who, failed, wrong)
        method = await self._second(row, code, who, failed)
        rehashed = await self._passwords.hash(password) if self._passwords.is_outdated(kept) else None
        return Proved(row["id"], row["email"], method, kept, rehashed)

    async def _matched(
        self, row: dict[str, Any] | None, password: str, who: Actor, failed: str, wrong: str
    ) -> tuple[dict[str, Any], str]:
        kept = None if row is None else row["password_hash"]
        right = await self._passwords.matches(kept, password)
        if row is None or kept is None or not right:
            await self._database.write_async(self._note_failure, row, who, failed, "password")
            raise WrongCredentials(wrong)
        return row, kept

    async def _second(self, row: dict[str, Any], code: str | None, who: Actor, failed: str) -> str:
        ways = await self._database.read_async(second_factors.ways, row["id"])
        if not ways:
            return "password"
        if code is None:
            raise SecondFactorRequired(
                f"the password is right; now {' or '.join(_WAYS[way] for way in ways)}", ways=ways
            )
        used = await self._database.write_async(self._spend, row, code, who, failed)
        if used is None:
            raise WrongCredentials(_WRONG_CODE)
        return f"password and {used}"

    def _spend(self, tx: Tx, row: dict[str, Any], code: str, who: Actor, failed: str) -> str | None:
        now_us = self._clock.now_us()
        used = second_factors.spend(tx, self._vault, row["id"], code, now_us)
        if used is None:
            self._note_failure(tx, row, who, failed, "code")
        elif used == "recovery code":
            audit.record(tx, "", "", as_person(who, row["id"], "password"), "recovery_code.use", row["id"], {}, now_us)
        return used

    def _note_failure(self, tx: Tx, row: dict[str, Any] | None, who: Actor, action: str, what: str) -> None:
        user = "" if row is None else row["id"]
        actor = replace(who, method="none") if row is None else as_person(who, user, "none")
        audit.record(tx, "", "", actor, action, user, {"wrong": what}, self._clock.now_us())


def open_proved(tx: Tx, proved: Proved, who: Actor, now_us: int) -> Opened:
    """Open a session for a person who was checked. Raises WrongCredentials when their password changed meanwhile."""
    current = people.get_user(tx, proved.user, lock=True)
    if current is None or current["password_hash"] != proved.password_hash:
        raise WrongCredentials(WRONG)
    settle(tx, proved)
    audit.record(tx, "", "", as_person(who, proved.user, proved.method), "login", proved.user, {}, now_us)
    return open_session(tx, proved.user, who.address, who.agent, now_us)


def settle(tx: Tx, proved: Proved) -> None:
    """After a proof: let the counts begin anew, and keep the password under the present cost."""
    throttling.forget(tx, throttling.of_account(proved.email))
    throttling.forget(tx, throttling.of_person(proved.user))
    if proved.rehashed is not None:
        people.rehash_password(tx, proved.user, proved.rehashed)


def as_person(who: Actor, user: str, method: str) -> Actor:
    """Return the caller of a public operation as the person they turned out to be."""
    return replace(who, actor=user, user=user, method=method)
