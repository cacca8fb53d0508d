"""From candidate to promoted: by evidence, or by a person who says who they are and why. Nothing acts by itself."""

from __future__ import annotations

from typing import Any

import msgspec

from tradewright.errors import Conflict, InvalidInput, NotFound
from tradewright.research.events import ModelPromoted
from tradewright.storage import models as store
from tradewright.storage import outbox
from tradewright.storage.database import Tx

SUPPORTED = "supported"
"""`Evidence.SUPPORTED`, written out: the process that serves promotions does not load statistics."""


def promote(tx: Tx, organization: str, environment: str, schedule: str, *, now_us: int, by: str = "evidence") -> None:
    """Promote a schedule whose stored evidence is `supported`.

    by: who asked. Raises Conflict for any other evidence, saying what it is, or when it is promoted already; NotFound.
    """
    row = _row(tx, organization, environment, schedule)
    if row["evidence"] != SUPPORTED:
        raise Conflict(
            f"the evidence for {schedule} is {row['evidence']!r} and promotion needs 'supported'; its signals stay "
            "candidates until a study supports it, or a person overrides this on the record",
            schedule=schedule,
            evidence=row["evidence"],
        )
    _record(tx, (organization, environment), row, {"by": by, "override": False, "reason": "", "at": now_us})


def override(
    tx: Tx, organization: str, environment: str, schedule: str, *, person: str, reason: str, now_us: int
) -> None:
    """Promote a schedule against its evidence, in the name of a person, on the record.

    Raises InvalidInput without a person or a reason, Conflict when it is promoted already, NotFound.
    """
    if not person.strip() or not reason.strip():
        raise InvalidInput("an override needs the person who takes it and the reason; both are kept with the model")
    row = _row(tx, organization, environment, schedule)
    _record(tx, (organization, environment), row, {"by": person, "override": True, "reason": reason, "at": now_us})


def _row(tx: Tx, organization: str, environment: str, schedule: str) -> dict[str, Any]:
    row = store.get_schedule(tx, organization, environment, schedule)
    if row is None:
        raise NotFound(f"there is no model schedule {schedule!r} here; GET /v1/models lists them", schedule=schedule)
    return row


def _record(tx: Tx, where: tuple[str, str], row: dict[str, Any], promotion: dict[str, Any]) -> None:
    schedule, evidence = str(row["id"]), str(row["evidence"])
    if not store.set_promotion(tx, *where, schedule, {**promotion, "evidence": evidence}):
        raise Conflict(f"{schedule} is promoted already", schedule=schedule)
    told = ModelPromoted(
        schedule=schedule,
        evidence=evidence,
        by=promotion["by"],
        override=promotion["override"],
        reason=promotion["reason"],
    )
    outbox.append(tx, *where, [("model.promoted", schedule, None, msgspec.to_builtins(told))], promotion["at"])
