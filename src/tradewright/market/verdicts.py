"""What the checks say about data: a verdict made of findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Verdict(IntEnum):
    """How far data can be trusted, worst last."""

    CLEAN = 0
    USABLE = 1
    SUSPECT = 2
    REJECTED = 3

    @property
    def label(self) -> str:
        """The word in answers and reports."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check saw.

    code: stable name such as `duplicate_rows`. severity: the verdict this finding alone would give. instrument: id, or
    "" for the whole. rows: the first rows concerned, as bar times in microseconds (20 of them, all of
    `actions_left_out`). count: how many rows in all. detail: one sentence for a person.
    """

    code: str
    severity: Verdict
    detail: str
    instrument: str = ""
    count: int = 0
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DataVerdict:
    """The worst severity of all findings, and the findings."""

    verdict: Verdict = Verdict.CLEAN
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> DataVerdict:
        """Return the verdict that these findings give together."""
        kept = tuple(findings)
        return cls(max((f.severity for f in kept), default=Verdict.CLEAN), kept)
