"""One call that succeeds for each operation of market, research and trading."""

from __future__ import annotations

from typing import Any

from samples import Made, Sample, SampleOf

INGESTION = {"source": "binance", "instruments": ["crypto:BTC-USDT"], "start": "2023-01-01T00:00:00Z"}
SCHEDULE = {"source": "binance", "instruments": ["crypto:BTC-USDT"], "interval": "1h", "every": "1h"}
BACKTEST = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"]}


def _plain(target: str, **rest: Any) -> SampleOf:
    return lambda made: Sample(target, **rest)


def _of(name: str, target: str, **rest: Any) -> SampleOf:
    def sample(made: Made) -> Sample:
        return Sample(target.replace("{id}", made[name]), **rest)

    return sample


SAMPLES: dict[str, SampleOf] = {
    "get_root": _plain("/", caller="nobody"),
    "get_liveness": _plain("/livez", caller="nobody"),
    "get_readiness": _plain("/readyz", caller="nobody"),
    "get_openapi": _plain("/openapi.json", caller="nobody"),
    "get_reference": _plain("/docs", caller="nobody"),
    "get_error_codes": _plain("/docs/errors", caller="nobody"),
    "get_status": _plain("/v1/status"),
    "list_instruments": _plain("/v1/instruments"),
    "get_instrument": _plain("/v1/instruments/crypto:AAA-USD", shared=True),
    "list_instrument_names": _plain("/v1/instruments/crypto:AAA-USD/names", shared=True),
    "list_bars": _plain("/v1/bars?instruments=crypto:AAA-USD"),
    "list_quotes": _plain("/v1/quotes?instruments=crypto:AAA-USD,crypto:BBB-USD"),
    "list_verdicts": _plain("/v1/verdicts"),
    "list_facts": _plain("/v1/facts?instruments=equity:AAPL,macro:GDP"),
    "list_sources": _plain("/v1/sources"),
    "get_source": _plain("/v1/sources/binance", shared=True),
    "keep_source_credentials": _plain(
        "/v1/sources/fred/credentials", body={"fields": {"api_key": "planted"}}, shared=True
    ),
    "forget_source_credentials": _plain("/v1/sources/tiingo/credentials", caller="session"),
    "list_quarantine": _plain("/v1/quarantine"),
    "get_quarantined_row": _plain("/v1/quarantine/qua_0", everywhere=True),
    "release_quarantined_row": _plain("/v1/quarantine/qua_release/release", everywhere=True),
    "discard_quarantined_row": _plain("/v1/quarantine/qua_discard/discard", everywhere=True),
    "create_ingestion": _plain("/v1/ingestions", body=INGESTION),
    "list_ingestions": _plain("/v1/ingestions?limit=3"),
    "get_ingestion": _of("ingestion", "/v1/ingestions/{id}"),
    "cancel_ingestion": _of("ingestion to cancel", "/v1/ingestions/{id}/cancel"),
    "create_ingestion_schedule": _plain("/v1/ingestion-schedules", body=SCHEDULE),
    "list_ingestion_schedules": _plain("/v1/ingestion-schedules"),
    "get_ingestion_schedule": _of("schedule", "/v1/ingestion-schedules/{id}"),
    "update_ingestion_schedule": _of("schedule", "/v1/ingestion-schedules/{id}", body={"enabled": False}),
    "delete_ingestion_schedule": _of("schedule to remove", "/v1/ingestion-schedules/{id}"),
    "list_signals": _plain("/v1/signals"),
    "get_scoreboard": _plain("/v1/signals/scoreboard"),
    "get_signal": _of("/v1/signals", "/v1/signals/{id}"),
    "list_models": _plain("/v1/models"),
    "get_model": _of("/v1/models", "/v1/models/{id}"),
    "promote_model": _of("supported model", "/v1/models/{id}/promote", body={}, caller="session"),
    "list_strategies": _plain("/v1/strategies"),
    "list_features": _plain("/v1/features"),
    "list_data_sets": _plain("/v1/data-sets"),
    "create_backtest": _plain("/v1/backtests", body=BACKTEST),
    "list_backtests": _plain("/v1/backtests"),
    "get_backtest": _of("/v1/backtests", "/v1/backtests/{id}"),
    "delete_backtest": _plain("/v1/backtests/bkt_1"),
    "cancel_backtest": _plain("/v1/backtests/bkt_2/cancel"),
    "get_backtest_report": _of("/v1/backtests", "/v1/backtests/{id}/report"),
    "list_backtest_fills": _of("/v1/backtests", "/v1/backtests/{id}/fills"),
    "list_backtest_equity": _of("/v1/backtests", "/v1/backtests/{id}/equity"),
    "list_trials": _plain("/v1/trials"),
    "list_broker_accounts": _plain("/v1/broker-accounts"),
    "create_broker_account": _plain("/v1/broker-accounts", body={"broker": "paper", "name": "second"}),
    "get_broker_account": _of("broker account", "/v1/broker-accounts/{id}"),
    "update_broker_account": _of("broker account", "/v1/broker-accounts/{id}", body={"name": "renamed"}),
    "delete_broker_account": _of("free broker account", "/v1/broker-accounts/{id}"),
    "list_portfolios": _plain("/v1/portfolios"),
    "create_portfolio": _of(
        "broker account",
        "/v1/portfolios",
        body={"name": "growth", "broker_account": "bra_1", "currency": "USD", "initial_cash": "1000"},
    ),
    "get_portfolio": _of("portfolio", "/v1/portfolios/{id}"),
    "update_portfolio": _of("portfolio", "/v1/portfolios/{id}", body={"name": "renamed"}),
    "close_portfolio": _of("opened portfolio", "/v1/portfolios/{id}"),
    "list_positions": _of("portfolio", "/v1/portfolios/{id}/positions"),
    "get_allocation": _of("portfolio", "/v1/portfolios/{id}/allocation"),
    "get_performance": _of("portfolio", "/v1/portfolios/{id}/performance"),
    "list_ledger": _of("portfolio", "/v1/portfolios/{id}/ledger"),
    "list_orders": _plain("/v1/orders"),
    "get_order": _of("/v1/orders", "/v1/orders/{id}"),
    "list_fills": _plain("/v1/fills"),
    "list_runs": _plain("/v1/runs"),
    "get_run": _of("run", "/v1/runs/{id}"),
    "list_event_types": _plain("/v1/event-types"),
    "list_events": _plain("/v1/events"),
    "get_event": _of("event", "/v1/events/{id}"),
}
