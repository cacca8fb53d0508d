"""Backtests that are kept: what of the data they may see, and how their result is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tradewright import ids
from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.storage import backtests, jobs, runs, series
from tradewright.storage.database import Database, Tx


def visible_until(
    database: Database,
    organization: str,
    environment: str,
    data_set: str | None,
    instruments: Sequence[str] | None,
    asked: int | None = None,
) -> int | None:
    """Return the last bar time that research on this data may see in this environment, None for no bound.

    What a replay plays is visible up to its market time at most: later rows have not happened there yet. Instruments
    that it does not play are not bound by it.
    """
    session = database.read(runs.latest_feed_session, organization, environment)
    if session is None or session["mode"] != "replay":
        return asked
    owner = Owner(organization)
    played = database.read(series.get_data_set, owner, session["data_set"])
    wanted = set(instruments or ())
    if data_set is not None:
        named = database.read(series.get_data_set, owner, data_set)
        wanted |= {member["instrument"] for member in named["series"]} if named is not None else set()
    if played is None or wanted.isdisjoint(member["instrument"] for member in played["series"]):
        return asked
    seen = int(session["market_time"] if session["market_time"] is not None else session["start_time"])
    return seen if asked is None else min(seen, asked)


def arrays_of(result: Any) -> bytes:
    """Return times, equity and fills of a result as JSON bytes."""
    panel = result.panel
    fills = [
        {
            "instrument": panel.ids[int(fill["column"])],
            "decided_time": format_us(int(panel.times[int(fill["row_decided"])])),
            "time": format_us(int(panel.times[int(fill["row_filled"])])),
            "units": float(fill["units"]),
            "price": float(fill["price"]),
            "fee": float(fill["fee"]),
        }
        for fill in result.fills
    ]
    return msgspec.json.encode(
        {"times": [int(t) for t in panel.times], "equity": [float(v) for v in result.equity], "fills": fills}
    )


def keep(
    database: Database, organization: str, environment: str, request: dict[str, Any], result: Any, now_us: int
) -> str:
    """Store a finished backtest as if the API had been asked for it; return its id."""
    backtest = ids.new("bkt")
    summary, arrays, page = result.to_summary(), arrays_of(result), result.report_html().encode()

    def write(tx: Tx) -> None:
        where = (organization, environment)
        job = jobs.enqueue(tx, *where, "backtest", {"backtest": backtest, "request": request}, now_us)
        backtests.add(tx, *where, backtest, job, request, now_us)
        backtests.save_result(tx, *where, backtest, summary, arrays, page)
        jobs.finish(tx, job, "succeeded", now_us, result={"backtest": backtest})

    database.write(write)
    return backtest
