"""Opening a portfolio: its row and its first ledger transaction, the money paid in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradewright import ids
from tradewright.storage import ledgers, trading
from tradewright.storage.database import Tx
from tradewright.trading import ledger
from tradewright.trading.rows import RunIdentity, ledger_rows

MAX_PORTFOLIOS = 500
MAX_BROKER_ACCOUNTS = 100
"""How many an organization may have, over all its environments; portfolios that are open."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A portfolio to be. time: market time of the deposit."""

    broker_account: str
    name: str
    currency: str
    cash: Decimal
    time: int


def open_portfolio(tx: Tx, organization: str, environment: str, opening: Opening, now_us: int) -> dict[str, Any]:
    """Store a portfolio with its opening deposit, and return its row."""
    row = {
        "id": ids.new("prt"),
        "organization": organization,
        "environment": environment,
        "broker_account": opening.broker_account,
        "name": opening.name,
        "currency": opening.currency,
        "initial_cash": opening.cash,
        "created_at": now_us,
        "status": "open",
        "closed_at": None,
    }
    trading.add_portfolio(tx, row)
    who = RunIdentity(organization, environment, "", str(row["id"]), "", opening.currency)
    postings = ledger.deposit(opening.currency, opening.cash)
    ledgers.add_postings(tx, ledger_rows(who, postings, "opening deposit", opening.time, now_us))
    return row
