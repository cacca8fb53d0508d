"""The trial ledger: every configuration that was ever evaluated."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import Rfc3339, moment
from tradewright.storage import trials


class Trial(msgspec.Struct, frozen=True, gc=False):
    """One evaluated configuration. lineage: digest of universe and interval. sharpe: per bar. n: how many returns.
    same_as: hash of the first returns that these are a near copy of. hash: of this row and the one before it."""

    id: str
    sequence: int
    lineage: str
    purpose: Annotated[str, msgspec.Meta(examples=["backtest"])]
    status: Annotated[str, msgspec.Meta(examples=["succeeded"])]
    configuration: str
    sharpe: float | None
    skew: float | None
    kurtosis: float | None
    n: int
    first_time: Rfc3339
    last_time: Rfc3339
    returns_hash: str
    same_as: str
    previous_hash: str
    hash: str
    created_at: Rfc3339


async def _list(call: Call) -> Page[Trial]:
    query: PageQuery = call.query
    after = decode_cursor(call, int)
    rows = await call.services.database.read_replica_async(
        trials.listed, *call.tenant, after=after, limit=query.limit + 1, descending=query.order == "desc"
    )
    return page(call, rows, [row["sequence"] for row in rows], _trial)


_PLAIN = (
    "id", "sequence", "lineage", "purpose", "status", "configuration", "sharpe", "skew", "kurtosis", "n",
    "returns_hash", "same_as", "previous_hash", "hash",
)  # fmt: skip


def _trial(row: dict[str, Any]) -> Trial:
    times: dict[str, Any] = {name: moment(row[name]) or "" for name in ("first_time", "last_time", "created_at")}
    return Trial(**{name: row[name] for name in _PLAIN}, **times)


OPERATIONS = [
    Operation(
        "GET", "/v1/trials", "list_trials", "The trial ledger", "research", "research:read", _list, Page[Trial],
        PageQuery, description="Every configuration that was evaluated, in the order of the ledger, newest first. Rows "
        "are chained by hash and never removed.",
    ),
]  # fmt: skip
