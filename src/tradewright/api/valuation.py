"""What portfolios are worth: each at the closes of the feed session on which it was traded, as far as that has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tradewright.api.operations import Call
from tradewright.api.wire import market_time, session_of, sources_of
from tradewright.market.orders import to_price
from tradewright.storage import runs

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
