"""A backtest as a job: from a stored request to a stored result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tradewright.app import house
from tradewright.app.preparation import settings_from
from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.storage import backtests, trading
from tradewright.storage.database import Database

Report = Callable[[float, str], None]


def run_backtest(payload: dict[str, Any], report: Report) -> dict[str, Any]:
    """Run the backtest that `payload` names and store summary, arrays and report.

    payload: settings, organization, environment, backtest (its id), request. In an environment with a replay, rows
    after its market time are not seen.
    """
    from tradewright.research.backtest import backtest
    from tradewright.research.trials import TrialLedger
    from tradewright.simulation.costs import Costs
    from tradewright.strategies import registry

    request = payload["request"]
    organization, environment = payload["organization"], payload["environment"]
    with house.open_database(settings_from(payload["settings"])) as database:
        report(0.05, "loading the data")
        catalog = house.open_catalog(settings_from(payload["settings"]), database)
        panel = catalog.panel(
            request.get("data_set"),
            instruments=request.get("instruments"),
            interval=request["interval"],
            owner=Owner(organization),
            start_us=request.get("start_us"),
            end_us=_end(database, organization, environment, request.get("end_us")),
        )
        costs = request.get("costs")
        result = backtest(
            registry.make(request["strategy"], request["params"]),
            panel,
            cash=float(request["cash"]),
            costs=None if costs is None else Costs(**costs),
            checks=request["checks"],
            ledger=TrialLedger(database, organization, environment),
            progress=lambda fraction, message: report(0.1 + 0.6 * fraction, message),
        )
        report(0.75, "statistics")
        summary = result.to_summary()
        report(0.9, "report")
        arrays = _arrays(panel, result)
        page = result.report_html().encode()
        database.write(backtests.save_result, organization, environment, payload["backtest"], summary, arrays, page)
    return {"backtest": payload["backtest"]}


def _end(database: Database, organization: str, environment: str, asked: int | None) -> int | None:
    session = database.read(trading.latest_feed_session, organization, environment)
    if session is None or session["mode"] != "replay":
        return asked
    seen = int(session["market_time"] if session["market_time"] is not None else session["start_time"])
    return seen if asked is None else min(seen, asked)


def _arrays(panel: Any, result: Any) -> bytes:
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
