"""Keys to change, and entries of the audit log, for the served installation."""

from __future__ import annotations

from tradewright.accounts import keys
from tradewright.accounts.keys import Terms
from tradewright.clock import FixedClock
from tradewright.storage import audit
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx
from tradewright.storage.vault import Vault


def seed(tx: Tx, clock: FixedClock, vault: Vault) -> dict[str, str]:
    """Store them; return their ids by name."""
    now_us = clock.now_us()
    made = {}
    for name in ("to read", "to change", "to revoke", "to roll"):
        issued = keys.issue(tx, vault, "org_a", "paper", Terms(name, ("market:read",)), now_us)
        made[f"key {name}"] = issued.id
    who = Actor("key_seed", "key", request="req_seed", address="203.0.113.7", agent="seed")
    for environment in ("paper", "sandbox", ""):
        audit.record(tx, "org_a", environment, who, "seed.write", made["key to read"], {"n": 1}, now_us)
    audit.record(tx, "org_b", "paper", who, "seed.write", "key_other", {}, now_us)
    return made
