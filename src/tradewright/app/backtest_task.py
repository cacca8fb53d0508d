"""A backtest as a job: from a stored request to a stored result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradewright.app import house
from tradewright.app.house import settings_from
from tradewright.app.kept import arrays_of, visible_until
from tradewright.ids import Owner
from tradewright.storage import backtests

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
    with house.open_database(settings_from(payload["settings"]), organization) as database:
        report(0.05, "loading the data")
        catalog = house.open_catalog(settings_from(payload["settings"]), database)
        panel = catalog.panel(
            request.get("data_set"),
            instruments=request.get("instruments"),
            interval=request["interval"],
            source=request.get("source"),
            owner=Owner(organization),
            start_us=request.get("start_us"),
            end_us=visible_until(
                database,
                organization,
                environment,
                request.get("data_set"),
                request.get("instruments"),
                request.get("end_us"),
            ),
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
        arrays = arrays_of(result)
        page = result.report_html().encode()
        database.write(backtests.save_result, organization, environment, payload["backtest"], summary, arrays, page)
    return {"backtest": payload["backtest"]}
