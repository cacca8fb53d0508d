"""What research tells others."""

from __future__ import annotations

import msgspec


class ModelTrained(msgspec.Struct, frozen=True, kw_only=True):
    """`model.trained`: a model schedule was stored with its evaluation."""

    schedule: str
    name: str
    models: list[str]
    evidence: str


class ModelPromoted(msgspec.Struct, frozen=True, kw_only=True):
    """`model.promoted`: a schedule's signals are no longer candidates. by: who asked, or the person who overrode."""

    schedule: str
    evidence: str
    by: str
    override: bool
    reason: str
