"""Splits and dividends on their way in: what is new, what is another than before, what the source no longer tells of.

An action that a complete answer no longer holds is taken back: a row without split and dividend, known from now on. An
answer that ends early looks the same, so actions before the first or after the last one of the answer are taken back
only one at a time; where several would go at an end, they stay, and are counted as missing.

| code              | severity | what it says                                                          |
| ----------------- | -------- | --------------------------------------------------------------------- |
| rewritten_actions | usable   | splits or dividends that came with other values, or were taken back   |
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl

from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.market.checks.thresholds import ROWS_KEPT
from tradewright.market.dated import ACTIONS, Dated
from tradewright.market.verdicts import Finding, Verdict

_CHANGES = (pl.col("split") != 1.0) | (pl.col("dividend") != 0.0)


@dataclass(frozen=True, slots=True)
class ActionsTaken:
    """What became of an answer. added: new actions, or such with other values. taken_back: actions that are none any
    more. missing: those that the answer should hold and does not, and that stay."""

    added: int = 0
    taken_back: int = 0
    missing: int = 0


def take_actions(
    store: Dated,
    owner: Owner,
    source: str,
    instrument: str,
    found: pl.DataFrame,
    answered: pl.Expr | None,
    now_us: int,
    ingestion: str,
) -> ActionsTaken:
    """Store the actions of an answer and take back those that it no longer holds; return what became of them.

    found: columns of `dated.ACTIONS`, of one instrument. answered: of a column `time`, which ex days the answer tells
    all of; None for none. Raises StorageFailed.
    """
    rows, gone, missing = found.select(list(ACTIONS)), 0, 0
    if answered is not None:
        there = store.read(owner, source, [instrument]).filter(_CHANGES, answered)
        withdrawn, missing = _withdrawn(there, found)
        gone = withdrawn.height
        rows = pl.concat([rows, withdrawn.select(list(ACTIONS))])
    if not rows.height:
        return ActionsTaken(missing=missing)
    content = hashlib.sha256(rows.hash_rows(seed=0).to_numpy().tobytes()).hexdigest()
    stored = store.append(owner, source, rows, now_us, f"{ingestion}/{now_us}/{content}")
    return ActionsTaken(stored - gone, gone, missing)


def _withdrawn(there: pl.DataFrame, found: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    # rows that take back what is there and was not found, and how many are absent and stay all the same
    absent = there.join(found.select("time"), on="time", how="anti", maintain_order="left")
    if not absent.height:
        return absent, 0
    time = pl.col("time")
    first, last = (found["time"].min(), found["time"].max()) if found.height else (None, None)
    ends = [pl.lit(True)] if first is None else [time < first, time > last]
    cut = [end for end in ends if absent.filter(end).height > 1]
    kept = absent.filter(pl.any_horizontal(*cut)) if cut else absent.clear()
    withdrawn = absent.join(kept.select("time"), on="time", how="anti", maintain_order="left")
    return withdrawn.with_columns(split=pl.lit(1.0), dividend=pl.lit(0.0)), kept.height


def rewritten_actions(vintages: pl.DataFrame, instrument: str) -> list[Finding]:
    """Return whether a source changed what it had told of splits and dividends. vintages: every row ever stored of one
    instrument from one source."""
    values = ["split", "dividend"]
    ordered = vintages.sort("time", "known_at", "observed_at")
    changed = ordered.filter(pl.struct(values).n_unique().over("time") > 1)
    if not changed.height:
        return []
    last = changed.unique("time", keep="last", maintain_order=True)
    gone = last.filter(~_CHANGES).height
    when = format_us(int(changed["observed_at"].max()))  # type: ignore[arg-type] # of integers
    told = f"{last.height} splits or dividends came with other values or were taken back ({gone} of them are no more)"
    detail = f"{told}, last on {when[:19]}Z; a reader as of before sees what was told then"
    return [
        Finding("rewritten_actions", Verdict.USABLE, detail, instrument, last.height, tuple(last["time"][:ROWS_KEPT]))
    ]
