"""What portfolios are worth: each at the closes of the feed session on which it was traded, as far as that has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

from tradewright.api.operations import Call
from tradewright.api.wire import Feed, feed_seen, market_time, session_of, sources_of
from tradewright.market.orders import to_price
from tradewright.storage import ledgers, runs
from tradewright.storage.database import Tx, one_statement
from tradewright.trading import ledger

Session = Mapping[str, Any] | None


async def sessions_of(call: Call, portfolios: Sequence[str]) -> dict[str, Session]:
    """Return the feed session of each portfolio: the newest on which a run traded it, else that of the environment."""
    glances = call.services.glances
    theirs = await glances.read_each(runs.sessions_of_portfolios, portfolios, *call.tenant)
    newest = await session_of(call) if None in theirs else None
    return {key: newest if row is None else row for key, row in zip(portfolios, theirs, strict=True)}


async def prices_on(call: Call, session: Session, instruments: Sequence[str]) -> dict[str, Decimal]:
    """Return the last close of each instrument that a feed session has shown; those without one are left out."""
    if not instruments:
        return {}
    data, interval = call.services.market_data, session["interval"] if session else "1d"
    preferred = await sources_of(call, session)
    keys = await data.series_known(call.principal.organization, list(instruments), interval, preferred)
    closes = await data.last_closes(keys, market_time(session))
    known = zip(keys, closes, strict=True)
    return {key.instrument: _price(close[1]) for key, close in known if close is not None}


_price = lru_cache(4_096)(to_price)  # a close is asked for until there is a newer one


async def valued(call: Call, key: str, instruments: list[str]) -> tuple[dict[str, Decimal], Feed | None]:
    """Return the last closes of these instruments for a portfolio, and the state of the feed that showed them."""
    return (await all_valued(call, {key: instruments}))[key]


async def all_valued(call: Call, held: dict[str, list[str]]) -> dict[str, tuple[dict[str, Decimal], Feed | None]]:
    """Return, by portfolio, the last closes of what it holds, and the state of the feed that showed them. held: the
    instruments of each."""
    now_us, sessions = call.services.clock.now_us(), await sessions_of(call, list(held))
    together: dict[str | None, dict[str, None]] = {}
    for key, instruments in held.items():
        together.setdefault(_id(sessions[key]), {}).update(dict.fromkeys(instruments))
    told = {}
    for session in {_id(each): each for each in sessions.values()}.values():
        prices = await prices_on(call, session, sorted(together[_id(session)]))
        told[_id(session)] = (prices, feed_seen(session, now_us))
    return {key: told[_id(session)] for key, session in sessions.items()}


def _id(session: Session) -> str | None:
    return None if session is None else session["id"]


@one_statement
def balances(tx: Tx, organization: str, environment: str, row: dict[str, Any]) -> ledger.Balances:
    """Return what the ledger of a portfolio adds up to."""
    lines = ledgers.balances_of(tx, organization, environment, row["id"])
    return ledger.balances_of({(account, unit): total for account, unit, total in lines}, row["currency"])


def all_balances(tx: Tx, organization: str, environment: str, rows: list[dict[str, Any]]) -> dict[str, ledger.Balances]:
    """Return what the ledgers of these portfolios add up to, by portfolio."""
    return {row["id"]: balances(tx, organization, environment, row) for row in rows}


def equity(held: ledger.Balances, prices: dict[str, Decimal]) -> Decimal | None:
    """Return cash and positions at these prices; None while one has no price."""
    worth = held.cash
    with localcontext() as context:
        context.prec = 60
        for instrument, units in held.units.items():
            if instrument not in prices:
                return None
            worth += units * prices[instrument]
    return worth
