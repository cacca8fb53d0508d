"""The trial ledger: every configuration that was ever evaluated, counted, in a chain that shows tampering.

Rows that were never written cannot be proven from inside; the chain shows only that none was changed or taken out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tradewright import ids
from tradewright.clock import Clock, WallClock
from tradewright.errors import InvalidInput
from tradewright.evaluation.evidence import Trials
from tradewright.evaluation.moments import Moments
from tradewright.market.panel import Floats
from tradewright.research.copies import Originals, sketch
from tradewright.storage import trials as rows
from tradewright.storage.database import Database, Tx

PURPOSES = ("research", "audit")
STATUSES = ("completed", "crashed", "pruned", "cancelled")

TrialCount = Trials
"""raw: all trials. distinct: with different returns, near copies (`copies.find`) taken as one (those that crashed:
different configurations). variance: of the per-period Sharpe ratios of the distinct ones, of each group the first;
None when there are fewer than two."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One evaluated configuration.

    universe, interval: what it was tested on. first_time, last_time: the tested span. configuration: everything that
    could make another result (strategy, parameters, code, costs, seeds ...), as plain values. moments and daily_returns
    (float32 in the ledger) are None for a trial that crashed, was pruned or was cancelled. purpose: "audit" is kept and
    not counted.
    """

    universe: tuple[str, ...]
    interval: str
    first_time: int
    last_time: int
    configuration: Mapping[str, Any]
    moments: Moments | None = None
    daily_returns: Floats | None = None
    purpose: str = "research"
    status: str = "completed"
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES or self.status not in STATUSES:
            raise InvalidInput(f"a trial is {STATUSES}, for {PURPOSES}; got {self.status!r}, {self.purpose!r}")
        if (self.moments is None or self.daily_returns is None) != (self.status != "completed"):
            raise InvalidInput("a completed trial has moments and daily returns, another one has neither")

    @property
    def lineage(self) -> str:
        """Names universe and interval; lineages of one interval with an instrument in common are related."""
        return ids.derive("lin", self.interval, *sorted(self.universe))


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the chain holds: rows read, and the first sequence number where it does not."""

    rows: int
    broken_at: int | None

    @property
    def intact(self) -> bool:
        """No row was changed or taken out."""
        return self.broken_at is None


class TrialLedger:
    """The trials of one organization and environment.

    The chain is the environment's; what counts for a result are the trials of all environments of the organization: a
    search in the sandbox is a search. Counted are those of the same interval whose tested span overlaps and whose
    universe shares an instrument.
    """

    def __init__(self, database: Database, organization: str, environment: str, clock: Clock | None = None) -> None:
        self._database = database
        self._tenant = (organization, environment)
        self._clock = clock or WallClock()

    def record(self, trial: Trial) -> TrialCount:
        """Store a trial and return the count of those related to it, itself included."""
        return self.record_many([trial])[0]

    def record_many(self, trials: Sequence[Trial]) -> list[TrialCount]:
        """Store trials in one transaction and return the count of each, all of them included."""
        now = self._clock.now_us()
        prepared = [_row(trial, now) for trial in trials]
        returns = {row["returns_hash"]: (content, sketch(content)) for row, content in prepared if content is not None}

        def write(tx: Tx) -> list[TrialCount]:
            rows.lock(tx, self._tenant[0])
            for lineage, trial in {t.lineage: t for t in trials}.items():
                rows.keep_universe(tx, self._tenant[0], lineage, trial.interval, trial.universe)
            self._find_copies(tx, [row for row, _ in prepared], returns)
            rows.append(tx, *self._tenant, [row for row, _ in prepared], returns)
            spans = {(t.lineage, t.first_time, t.last_time): t for t in trials}
            counts = {span: self._count(tx, trial) for span, trial in spans.items()}
            return [counts[t.lineage, t.first_time, t.last_time] for t in trials]

        return self._database.write(write)

    def _find_copies(self, tx: Tx, fresh: Sequence[dict[str, Any]], returns: Mapping[str, tuple[bytes, bytes]]) -> None:
        known: dict[tuple[str, int, int], Originals] = {}

        def returns_of(name: str) -> bytes:
            return returns[name][0] if name in returns else rows.returns_of(tx, self._tenant[0], None, name) or b""

        for row in fresh:
            name, span = row["returns_hash"], (row["lineage"], row["first_time"], row["last_time"])
            if not name:
                row["same_as"] = ""
                continue
            if span not in known:
                known[span] = Originals(rows.originals(tx, self._tenant[0], *span), returns_of)
            row["same_as"] = known[span].place(name, *returns[name])

    def count(self, trial: Trial) -> TrialCount:
        """Return the count of the stored trials that are related to `trial`; itself is not among them."""

        def look(tx: Tx) -> TrialCount:
            rows.keep_universe(tx, self._tenant[0], trial.lineage, trial.interval, trial.universe)
            return self._count(tx, trial)

        return self._database.write(look)

    def _count(self, tx: Tx, trial: Trial) -> TrialCount:
        found = rows.counted(tx, self._tenant[0], trial.lineage, trial.first_time, trial.last_time)
        distinct: dict[str, float | None] = {}
        for same_as, configuration, sharpe in found:
            distinct.setdefault(same_as or f"-{configuration}", sharpe)
        ratios = [sharpe for sharpe in distinct.values() if sharpe is not None]
        return TrialCount(len(found), len(distinct), float(np.var(ratios, ddof=1)) if len(ratios) > 1 else None)

    def list(self, *, after: int | None = None, limit: int = 50, descending: bool = True) -> list[dict[str, Any]]:
        """Return trials as plain rows, beyond the sequence number `after`, newest first unless told otherwise."""
        return self._database.read(
            lambda tx: rows.listed(tx, *self._tenant, after=after, limit=limit, descending=descending)
        )

    def returns(self, name: str) -> Floats | None:
        """Return the daily returns with this hash, or None."""
        content = self._database.read(lambda tx: rows.returns_of(tx, *self._tenant, name))
        return None if content is None else np.frombuffer(content, "<f4").astype(np.float64)

    def verify(self) -> Verification:
        """Read the whole chain and recompute it."""
        previous, sequence = rows.FIRST_HASH, 0
        while True:
            page = self.list(after=sequence, limit=500, descending=False)
            if not page:
                return Verification(sequence, None)
            for row in page:
                expected = row["sequence"] == sequence + 1 and row["previous_hash"] == previous
                if not expected or rows.row_hash(row) != row["hash"]:
                    return Verification(sequence, sequence + 1)
                previous, sequence = row["hash"], row["sequence"]


def _row(trial: Trial, now_us: int) -> tuple[dict[str, Any], bytes | None]:
    configuration = json.dumps(trial.configuration, sort_keys=True, separators=(",", ":"), default=str)
    content, digest = None, ""
    if trial.daily_returns is not None and trial.moments is not None:
        content = trial.daily_returns.astype("<f4").tobytes()
        digest = hashlib.sha256(content + trial.moments.n.to_bytes(8, "little")).hexdigest()
    moments = trial.moments
    known = moments is not None and moments.sharpe is not None
    return {
        "id": ids.new("trl"),
        "lineage": trial.lineage,
        "purpose": trial.purpose,
        "status": trial.status,
        "configuration": hashlib.sha256(configuration.encode()).hexdigest(),
        "returns_hash": digest,
        "detail": {
            "configuration": json.loads(configuration),
            "universe": list(trial.universe[:1000]),
            "interval": trial.interval,
            **trial.detail,
        },
        "first_time": trial.first_time,
        "last_time": trial.last_time,
        "n": 0 if moments is None else moments.n,
        "sharpe": moments.sharpe if moments is not None else None,
        "skew": moments.skew if known and moments is not None else None,
        "kurtosis": moments.kurtosis if known and moments is not None else None,
        "created_at": now_us,
    }, content
