"""The audit log: what was done, by whom, written in the transaction of the act and only ever added to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tradewright import ids
from tradewright.storage.database import Tx
from tradewright.storage.tables import audit_log, audit_people


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. actor: id of the key or person, or `system`. method: key, session, password, command line ...
    address and agent name a person, so they are kept apart and can be erased."""

    actor: str
    method: str
    request: str = ""
    user: str | None = None
    address: str = ""
    agent: str = ""


def record(
    tx: Tx,
    organization: str,
    environment: str,
    who: Actor,
    action: str,
    thing: str,
    detail: dict[str, Any],
    now_us: int,
) -> None:
    """Write one entry in the caller's transaction. thing: the id it was done to. detail: ids and plain values only,
    no secret and nothing that names a person."""
    entry = ids.new("aud")
    tx.execute(
        audit_log.insert().values(
            id=entry,
            organization=organization,
            environment=environment,
            actor=who.actor,
            method=who.method,
            action=action,
            object=thing,
            detail=detail,
            request=who.request,
            created_at=now_us,
        )
    )
    if who.address or who.agent:
        tx.execute(
            audit_people.insert().values(
                entry=entry,
                user=who.user,
                organization=organization,
                address=who.address,
                agent=who.agent[:256],
                created_at=now_us,
            )
        )
