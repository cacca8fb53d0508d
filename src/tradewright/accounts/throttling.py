"""How often somebody may try to be let in. Counted in the database, so that all processes count together."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from tradewright.accounts.limits import Bucket, Policy, advance
from tradewright.errors import TooManyRequests
from tradewright.storage import people
from tradewright.storage.database import Tx

LOGINS = Policy("login", 10, 300)  # of one account, existing or not: ten at once, then one each 30 seconds
PROOFS = Policy("proof", 10, 300)  # passwords and codes of one person who has a session
ADDRESS = Policy("login-address", 60, 300)
REGISTRATIONS = Policy("registration-address", 30, 3600)
CHALLENGES = Policy("challenge-address", 120, 300)


def of_account(email: str) -> Bucket:
    """Return the bucket of logins to an address, which does not have to be known. The bucket does not name it."""
    return Bucket(LOGINS, hashlib.sha256(email.encode()).hexdigest())


def of_person(user: str) -> Bucket:
    """Return the bucket of proofs of one person."""
    return Bucket(PROOFS, user)


@lru_cache(10_000)  # the limits of every request ask it
def of_address(policy: Policy, address: str) -> Bucket:
    """Return the bucket of an internet address; of IPv6 the network of one subscriber, the first 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return Bucket(policy, "unknown")
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.version == 6:
        return Bucket(policy, str(ipaddress.ip_network((parsed, 64), strict=False)))
    return Bucket(policy, str(parsed))


def count(tx: Tx, buckets: Sequence[Bucket], now_us: int) -> None:
    """Count one try in each, before it is known how it ends. Raises TooManyRequests, and then none was counted."""
    for bucket in sorted(buckets, key=_name):  # in one order, so that two callers cannot wait for each other
        ahead, taken = advance(bucket.policy, people.arrival(tx, _name(bucket)), 1, now_us)
        if taken.wait_us > 0:
            wait = -(-taken.wait_us // 1_000_000)
            raise TooManyRequests(f"too many tries; the next one counts in {wait} s.", retry_after_s=wait)
        people.set_arrival(tx, _name(bucket), ahead)


def forget(tx: Tx, bucket: Bucket) -> None:
    """Let a bucket be full again, after a success."""
    people.forget_bucket(tx, _name(bucket))


def _name(bucket: Bucket) -> str:
    return f"{bucket.policy.name}/{bucket.owner}"
