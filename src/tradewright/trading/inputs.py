"""What a run sees, as it stands in the journal: closed rows, fills, ends of orders, splits and dividends. Both ways,
without loss."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np

from tradewright.clock import format_us
from tradewright.market.orders import ExactAction, Fill, OrderStatus, Side
from tradewright.market.panel import COLUMNS, Action, Flags, Floats, Panel
from tradewright.storage.types import plain
from tradewright.trading.broker import BrokerOrder

ROW, FILL, ENDED, ACTION = "row", "fill", "order_ended", "action"
FLAGS = ("present", "tradable", "member")


def of_row(row: Panel, index: int, late: bool = False) -> dict[str, Any]:
    """Return the journal entry of a closed row; `index` is its number in the feed's session."""
    values = {n: [None if np.isnan(v) else float(v) for v in getattr(row, n)[0]] for n in COLUMNS}
    flags = {n: [bool(v) for v in getattr(row, n)[0]] for n in FLAGS}
    payload = {"index": index, "instruments": list(row.ids), **values, **flags} | ({"late": True} if late else {})
    time = int(row.times[0])
    return {"kind": ROW, "time": time, "key": str(time), "payload": payload}


def to_rows(entries: Sequence[Mapping[str, Any]], like: Panel) -> Panel:
    """Return the rows of journal entries as a panel, in their order. like: a panel of the same instruments."""
    payloads, shape = [entry["payload"] for entry in entries], (len(entries), like.shape[1])
    columns = {n: np.array([p[n] for p in payloads], dtype=np.float64).reshape(shape) for n in COLUMNS}
    flags = {n: np.array([p[n] for p in payloads], dtype=np.bool_).reshape(shape) for n in FLAGS}
    return rows_like(like, [entry["time"] for entry in entries], columns, flags)


def is_late(entry: Mapping[str, Any]) -> bool:
    """Return whether the row of a journal entry came when nothing could be decided on it any more."""
    return bool(entry["payload"].get("late", False))


def rows_like(like: Panel, times: Sequence[int], columns: Mapping[str, Floats], flags: Mapping[str, Flags]) -> Panel:
    """Return a panel of other rows with the instruments of `like`. columns, flags: by name, (T, N) each."""
    arrays: dict[str, Any] = {**columns, **flags, "times": np.array(times, dtype=np.int64)}
    name = f"rows:{times[0]}:{len(times)}" if times else "rows:0"
    return replace(like, **arrays, fields=MappingProxyType({}), actions=(), fx=None, data_version=name)


def actions_in(entries: Iterable[Mapping[str, Any]], times: Container[int], like: Panel) -> tuple[Action, ...]:
    """Return the actions of journal entries that took place in rows of these times, as a panel like `like` has them.

    What is kept is in which row each took place, not when it was known, so each is known at that row.
    """
    told = [(entry["time"], entry["payload"]) for entry in entries if entry["kind"] == ACTION]
    column = {name: place for place, name in enumerate(like.ids)}
    return tuple(
        Action(column[p["instrument"]], p["time"], time, float(p["split"]), float(p["dividend"]))
        for time, p in told
        if time in times
    )


def of_fill(fill: Fill) -> dict[str, Any]:
    """Return the journal entry of a fill."""
    payload = {
        "sequence": fill.sequence,
        "broker_fill_id": fill.broker_fill_id,
        "client_order_id": fill.client_order_id,
        "instrument": fill.instrument,
        "side": fill.side.value,
        "units": plain(fill.units),
        "price": plain(fill.price),
        "fee": plain(fill.fee),
        "time": fill.time,
    }
    return {"kind": FILL, "time": fill.time, "key": fill.broker_fill_id, "payload": payload}


def to_fill(payload: dict[str, Any]) -> Fill:
    """Return the fill of a journal entry."""
    money = {name: Decimal(payload[name]) for name in ("units", "price", "fee")}
    return Fill(**{**payload, **money, "side": Side(payload["side"])})


def of_ended(order: BrokerOrder, time: int) -> dict[str, Any]:
    """Return the journal entry of an order that ended at the broker without being filled whole."""
    payload = {
        "client_order_id": order.client_order_id,
        "status": order.status.value,
        "filled_units": plain(order.filled_units),
        "reason": order.reason,
    }
    return {"kind": ENDED, "time": time, "key": order.client_order_id, "payload": payload}


def to_ended(payload: dict[str, Any]) -> tuple[str, OrderStatus, str]:
    """Return client order id, status and reason of a journal entry."""
    return payload["client_order_id"], OrderStatus(payload["status"]), payload["reason"]


def of_action(action: ExactAction, time: int) -> dict[str, Any]:
    """Return the journal entry of a split or dividend that takes place in the row of this time."""
    payload = {
        "instrument": action.instrument,
        "time": action.time,
        "split": plain(action.split),
        "dividend": plain(action.dividend),
    }
    words = f"{action.instrument} {format_us(action.time)} split {payload['split']} dividend {payload['dividend']}"
    return {"kind": ACTION, "time": time, "key": words, "payload": payload}


def to_action(payload: dict[str, Any]) -> ExactAction:
    """Return the action of a journal entry."""
    return ExactAction(payload["instrument"], payload["time"], Decimal(payload["split"]), Decimal(payload["dividend"]))
