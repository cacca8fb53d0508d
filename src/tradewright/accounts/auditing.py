"""Whether the chain of an organization's audit log holds, read from its first entry to its last."""

from __future__ import annotations

from dataclasses import dataclass

from tradewright.storage import audit
from tradewright.storage.audit import Broken, Chain, Tail
from tradewright.storage.database import Database

_AT_ONCE = 1_000
_NAMED = 100


@dataclass(frozen=True, slots=True)
class Verified:
    """sealed: entries up to the head or the first fault. head: hash of the last of them. broken: None where it holds.
    unsealed: the entries that wait for their seal, at most a hundred of them; more: there are others."""

    sealed: int
    head: str
    broken: Broken | None
    unsealed: tuple[str, ...]
    more: bool


def verify(database: Database, organization: str) -> Verified:
    """Follow the chain of an organization, or the one of what belongs to none (""). Takes as long as the log is."""
    chain = Chain()
    while chain.broken is None:
        rows = database.read(audit.sealed, organization, chain.sequence, _AT_ONCE)
        if not rows:
            break
        chain = audit.follow(chain, rows)
    tail = _tail(database, organization)
    broken = chain.broken
    if broken is None and tail.inserted is not None:
        broken = Broken(tail.inserted, None, "inserted")
    return Verified(chain.sequence, chain.hash, broken, tuple(tail.waiting), tail.more)


def _tail(database: Database, organization: str) -> Tail:
    tail, place = Tail(), (0, "")
    while True:
        rows = database.read(audit.entries, organization, place, _AT_ONCE)
        tail = audit.follow_tail(tail, rows, _NAMED)
        if len(rows) < _AT_ONCE:
            return tail
        place = rows[-1][:2]
