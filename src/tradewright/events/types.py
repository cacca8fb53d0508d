"""Every type of event: what it says, its version, and the scope that one must hold to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event. scope: the read scope without which it is not delivered. example: of `data`."""

    name: str
    summary: str
    scope: str
    example: dict[str, Any]
    version: int = 1


_TIME = "2024-03-28T20:00:00Z"
_SIGNAL = {
    "id": "sig_01k3v9h2m4qzt6x8b0c2d4e6f8",
    "model": "mdl_01k3v9h2m4qzt6x8b0c2d4e6f8",
    "instrument": "equity:AAPL",
    "horizon": 5,
    "feed": "replay",
    "status": "candidate",
    "probability": 0.55,
    "bar_time": _TIME,
}
_ISSUED = _SIGNAL | {
    "evidence": "none",
    "direction": "up",
    "expected_return": 0.001,
    "decision_price": 171.48,
    "valid_until": "2024-04-04T20:00:00Z",
}
_SCORED = _SIGNAL | {
    "entry_time": _TIME,
    "entry_price": 171.2,
    "exit_time": "2024-04-04T20:00:00Z",
    "exit_price": 173.0,
    "return": 0.0105,
    "correct": True,
}
_ORDER = {
    "id": "ord_01k3v9h2m4qzt6x8b0c2d4e6f8",
    "client_order_id": "coi_01k3v9h2m4qzt6x8b0c2d4e6f8",
    "portfolio": "prt_01k3v9h2m4qzt6x8b0c2d4e6f8",
    "instrument": "equity:AAPL",
    "side": "buy",
    "units": "10",
    "filled_units": "0",
    "status": "accepted",
    "reason": "",
    "decided_time": _TIME,
}
_FILL = {"fill": {"units": "10", "price": "171.48", "fee": "0.17"}}
_PORTFOLIO = {"portfolio": "prt_01k3v9h2m4qzt6x8b0c2d4e6f8"}
_RUN = {"run": "run_01k3v9h2m4qzt6x8b0c2d4e6f8", "strategy": "model"}
_SCHEDULE = {"schedule": "msc_01k3v9h2m4qzt6x8b0c2d4e6f8", "evidence": "supported"}
_KEY = {"id": "key_01k3v9h2m4qzt6x8b0c2d4e6f8", "name": "nightly reader"}
_ALERT = {"alert": "alt_01k3v9h2m4qzt6x8b0c2d4e6f8", "rule": "alr_01k3v9h2m4qzt6x8b0c2d4e6f8"}
_SERIES = {"source": "binance", "instrument": "crypto:BTC-USDT", "interval": "1d"}

TYPES: dict[str, EventType] = {
    each.name: each
    for each in (
        EventType("signal.issued", "A model said something about an instrument", "signals:read", _ISSUED),
        EventType("signal.scored", "The horizon of a signal has passed", "signals:read", _SCORED),
        EventType("order.accepted", "The broker took an order", "orders:read", _ORDER),
        EventType("order.rejected", "The broker refused an order", "orders:read", _ORDER | {"status": "rejected"}),
        EventType("order.filled", "An order was executed whole", "orders:read", _ORDER | {"status": "filled"} | _FILL),
        EventType("order.partially_filled", "Part of an order was executed", "orders:read", _ORDER | _FILL),
        EventType("order.cancelled", "An order was withdrawn", "orders:read", _ORDER | {"status": "cancelled"}),
        EventType("order.expired", "An order ended by itself", "orders:read", _ORDER | {"status": "expired"}),
        EventType(
            "position.changed", "A portfolio holds another number of units", "portfolios:read",
            _PORTFOLIO | {"instrument": "equity:AAPL", "units": "10", "cost": "1714.8"},
        ),
        EventType(
            "action.booked", "A split or dividend of what a portfolio holds was booked", "portfolios:read",
            _PORTFOLIO | {"instrument": "equity:AAPL", "time": "2020-08-31T20:00:00Z", "split": "4", "dividend": "0",
                          "units_before": "10", "units": "40", "cash": "0"},
        ),
        EventType("portfolio.halted", "A portfolio stopped trading", "portfolios:read", _PORTFOLIO | {"reason": "..."}),
        EventType("portfolio.resumed", "A portfolio trades again", "portfolios:read", _PORTFOLIO),
        EventType("risk.limit_breached", "A limit was passed", "portfolios:read", _PORTFOLIO | {"limit": "drawdown"}),
        EventType("run.started", "A strategy began to trade", "orders:read", _RUN),
        EventType("run.stopped", "A strategy stopped trading", "orders:read", _RUN),
        EventType("run.failed", "A strategy ended by an error", "orders:read", _RUN | {"error": "..."}),
        EventType(
            "model.trained", "A model schedule was stored with its evaluation", "research:read",
            _SCHEDULE | {"name": "growth", "models": ["mdl_01k3v9h2m4qzt6x8b0c2d4e6f8"]},
        ),
        EventType(
            "model.promoted", "A schedule's signals are no longer candidates", "research:read",
            _SCHEDULE | {"by": "usr_01k3v9h2m4qzt6x8b0c2d4e6f8", "override": False, "reason": ""},
        ),
        EventType(
            "backtest.finished", "A backtest has succeeded, failed or was cancelled", "research:read",
            {"backtest": "bkt_01k3v9h2m4qzt6x8b0c2d4e6f8", "status": "succeeded"},
        ),
        EventType(
            "ingestion.finished", "Data came in from a source", "sources:read",
            {
                "ingestion": "ing_01k3v9h2m4qzt6x8b0c2d4e6f8", "source": "binance", "status": "succeeded", "rows": 365,
                "revised": 2, "verdict": "usable", "schedule": None,
            },
        ),
        EventType(
            "verdict.changed", "The checks say something else about a series", "market:read",
            _SERIES | {"verdict": "usable", "before": "clean"},
        ),
        EventType("source.degraded", "A source delivers late or badly", "sources:read", {"source": "binance"}),
        EventType("source.recovered", "A source delivers again", "sources:read", {"source": "binance"}),
        EventType("alert.fired", "What an alert rule watches came about", "monitoring:read", _ALERT),
        EventType("alert.resolved", "It is over", "monitoring:read", _ALERT),
        EventType(
            "webhook_endpoint.disabled", "An endpoint is no longer delivered to", "webhooks:read",
            {"endpoint": "whe_01k3v9h2m4qzt6x8b0c2d4e6f8", "reason": "it did not answer for 5 days"},
        ),
        EventType("api_key.created", "An API key was made", "organization:admin", _KEY),
        EventType("api_key.revoked", "An API key is no longer valid", "organization:admin", _KEY | {"reason": "..."}),
    )
}  # fmt: skip


def shown_to(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the types that a holder of these scopes may see, in their usual order."""
    held = frozenset(scopes)
    return tuple(name for name, each in TYPES.items() if each.scope in held)
