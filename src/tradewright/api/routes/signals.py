"""Signals and the scoreboard."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright.api import encoded
from tradewright.api.operations import Call, Operation, Raw
from tradewright.api.pages import Encoded
from tradewright.api.pagination import PageQuery, decode_cursor, page
from tradewright.api.wire import Feed, InstrumentId, Moment, Rfc3339, feed_of, found, micros, moment
from tradewright.clock import format_us
from tradewright.storage import signals


class SignalModel(msgspec.Struct, frozen=True, gc=False):
    """The model behind a signal. evidence: what its evaluation showed: none, weak, supported, leaking."""

    id: str
    promoted: bool
    evidence: str


class Score(msgspec.Struct, frozen=True, gc=False, rename={"realized_return": "return"}):
    """What became of a signal: entry at the first executable price after it, exit by the same rule `horizon` later."""

    entry_time: Rfc3339
    entry_price: float
    exit_time: Rfc3339
    exit_price: float
    realized_return: float
    correct: bool


class Signal(msgspec.Struct, frozen=True, gc=False):
    """A model's statement about an instrument. probability: calibrated P(return > 0) over `horizon` bars."""

    id: str
    instrument: str
    bar_time: Rfc3339
    horizon: int
    direction: Annotated[str, msgspec.Meta(examples=["up"])]
    probability: float
    expected_return: float
    decision_price: float
    valid_until: Rfc3339
    status: Literal["candidate", "promoted"]
    feed: str
    feed_session: str
    model: SignalModel
    score: Score | None
    created_at: Rfc3339


class SignalPage(msgspec.Struct, frozen=True):
    """Signals by bar time."""

    data: list[Signal]
    has_more: bool
    next_cursor: str | None
    feed: Feed | None


class SignalQuery(PageQuery, frozen=True, kw_only=True):
    """Which signals. start (included) and end (excluded) are bar times."""

    instrument: InstrumentId | None = None
    status: Literal["candidate", "promoted"] | None = None
    start: Annotated[Moment, msgspec.Meta(description="Earliest bar time, included.")] | None = None
    end: Annotated[Moment, msgspec.Meta(description="Latest bar time, excluded.")] | None = None


class ScoreboardRow(msgspec.Struct, frozen=True):
    """The record of one model, never mixing feeds or statuses. Rates are null until something was scored.

    base_rate: share of scored signals whose return was positive. brier: mean squared error of the probability;
    brier_of_base_rate: the same for somebody who always says the base rate.
    """

    feed: str
    status: str
    model: str
    horizon: int
    issued: int
    scored: int
    hit_rate: float | None
    base_rate: float | None
    brier: float | None
    brier_of_base_rate: float | None
    mean_return: float | None
    first_time: Rfc3339
    last_time: Rfc3339


class Scoreboard(msgspec.Struct, frozen=True):
    """All models of this environment."""

    data: list[ScoreboardRow]
    feed: Feed | None


async def _list_signals(call: Call) -> Raw:
    query: SignalQuery = call.query
    pages, state = call.services.pages, call.services.database.state(signals.list_rows)
    key = ("signals", *call.tenant, query)
    part = pages.get(key, state)
    if part is None:
        part = pages.put(key, state, state, await _page(call, query))
    return encoded.with_feed(part, await feed_of(call))


async def _page(call: Call, query: SignalQuery) -> Encoded:
    rows = await call.services.database.read_replica_async(
        signals.list_rows,
        *call.tenant,
        query.limit + 1,
        query.order == "desc",
        decode_cursor(call, tuple[int, str]),
        instrument=query.instrument,
        status=query.status,
        start_us=micros(query.start),
        end_us=micros(query.end),
    )
    listed = page(call, rows, [(row[2], row[0]) for row in rows], _signal)
    return encoded.before_feed(SignalPage(listed.data, listed.has_more, listed.next_cursor, None))


async def _get_signal(call: Call) -> Signal:
    key = call.path["id"]
    row = await call.services.database.read_replica_async(signals.get, *call.tenant, key)
    return _signal(found(row, "signal", key))


async def _scoreboard(call: Call) -> Raw:
    rows = await call.services.database.read_replica_async(signals.scoreboard, *call.tenant)
    part = encoded.before_feed(Scoreboard([_scoreboard_row(row) for row in rows], None))
    return encoded.with_feed(part, await feed_of(call))


def _signal(row: tuple[Any, ...]) -> Signal:
    (key, instrument, bar_time, horizon, direction, probability, expected, decision, valid_until, status, feed, session,
     model, evidence, created_at, entry_time, entry_price, exit_time, exit_price, realized, correct) = row  # fmt: skip
    score = None
    if entry_time is not None:
        score = Score(format_us(entry_time), entry_price, format_us(exit_time), exit_price, realized, bool(correct))
    return Signal(
        key,
        instrument,
        format_us(bar_time),
        horizon,
        direction,
        probability,
        expected,
        decision,
        format_us(valid_until),
        status,
        feed,
        session,
        SignalModel(model, status == "promoted", evidence),
        score,
        format_us(created_at),
    )


def _scoreboard_row(row: dict[str, Any]) -> ScoreboardRow:
    n = row["scored"]
    base = row["rising"] / n if n else None
    return ScoreboardRow(
        feed=row["feed"],
        status=row["status"],
        model=row["model"],
        horizon=row["horizon"],
        issued=row["issued"],
        scored=n,
        hit_rate=row["correct"] / n if n else None,
        base_rate=base,
        brier=row["sum_brier"] / n if n else None,
        brier_of_base_rate=None if base is None else base * (1 - base),
        mean_return=row["sum_return"] / n if n else None,
        first_time=moment(row["first_time"]) or "",
        last_time=moment(row["last_time"]) or "",
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/signals", "list_signals", "Signals, newest first", "signals", "signals:read",
        _list_signals, SignalPage, SignalQuery, cacheable=True,
        description="What the models of this environment said, by bar time, with what became of it. The ETag does not "
        "change with the age of the feed.",
    ),
    Operation(
        "GET", "/v1/signals/scoreboard", "get_scoreboard", "How the signals did", "signals", "signals:read",
        _scoreboard, Scoreboard, cacheable=True,
        description="Counts and rates of each model over its scored signals, never mixing feeds or statuses.",
    ),
    Operation(
        "GET", "/v1/signals/{id}", "get_signal", "One signal", "signals", "signals:read",
        _get_signal, Signal, cacheable=True, errors=("not_found",),
        description="What was said, and what became of it once its horizon has passed.",
    ),
]  # fmt: skip
