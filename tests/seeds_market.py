"""What the resources of market, research and trading find in the seeded installation, beyond its first rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from tradewright.clock import FixedClock
from tradewright.ids import SYSTEM
from tradewright.market.instruments import Instrument
from tradewright.market.records import instrument_to_row
from tradewright.storage import (
    broker_accounts,
    ingestion_schedules,
    ingestions,
    jobs,
    models,
    outbox,
    runs,
    series,
    third_parties,
    trials,
)
from tradewright.storage.database import Tx
from tradewright.storage.vault import Vault
from tradewright.trading.opening import Opening, open_portfolio

START = 1_600_041_600_000_000
TENANT = ("org_a", "paper")


def seed(tx: Tx, clock: FixedClock, vault: Vault) -> dict[str, str]:
    """Return the ids of what was made, by name."""
    now = clock.now_us()
    base = {"organization": "org_a", "environment": "paper", "created_at": now}
    sealed = vault.seal(msgspec.json.encode({"api_key": "planted credential"}), "broker_accounts/bra_1")
    for key, credentials in (("bra_1", sealed), ("bra_free", None)):
        broker_accounts.add(tx, {**base, "id": key, "broker": "paper", "name": key, "credentials": credentials})
    token = vault.seal(b'{"token":"planted token"}', "source_credentials/scr_1")
    third_parties.keep_credentials(tx, "org_a", "tiingo", "scr_1", token, now)
    opened = open_portfolio(tx, *TENANT, Opening("bra_1", "opened", "USD", Decimal(5000), START), now)
    runs.add_run(
        tx,
        {
            **base, "id": "run_1", "feed_session": "fds_1", "portfolio": "prt_1", "strategy": "model", "params": {},
            "schedule": "msc_1", "status": "running", "handled": 20, "lineage": {}, "stopped_at": None,
        },
    )  # fmt: skip
    _supported(tx, now)
    job = jobs.enqueue(tx, *TENANT, "backtest", {"backtest": "bkt_3"}, now)
    _quarantine(tx, now)
    _ingestions(tx, base)
    for key in ("isc_1", "isc_2"):
        wanted = {"source": "binance", "instruments": ["crypto:AAA-USD"], "interval": "1d", "every": "1d"}
        ingestion_schedules.add(tx, {**base, **wanted, "id": key, "owner": SYSTEM, "next_at": now + 1})
    ingestion_schedules.change(tx, "isc_1", turn_at=now, ingestion="ing_1")
    _trials(tx, now)
    for n in range(6):
        event = ("order.filled" if n % 2 else "signal.issued", f"thing_{n}", None, {"n": n})
        outbox.append(tx, *TENANT, [event], now + n)
    outbox.append(tx, None, None, [("verdict.changed", "shared", None, {"verdict": "clean"})], now + 3)
    outbox.append(tx, "org_b", "paper", [("signal.issued", "of b", None, {})], now)
    outbox.sequence(tx)
    listed = outbox.page(tx, *TENANT, outbox.Wanted(), 1, True, (None, None))
    return {
        "broker account": "bra_1", "free broker account": "bra_free", "portfolio": "prt_1", "run": "run_1",
        "opened portfolio": opened["id"], "event": listed[0]["id"], "supported model": "msc_2", "spare job": job,
        "ingestion": "ing_1", "ingestion to cancel": "ing_2", "schedule": "isc_1", "schedule to remove": "isc_2",
    }  # fmt: skip


def _supported(tx: Tx, now: int) -> None:
    row: dict[str, Any] = {
        "id": "msc_2", "name": "y", "entries": [{"model": "mdl_1", "trained_before": START, "valid_from": START}],
        "lineage": {}, "evaluation": {}, "evidence": "supported", "promoted": False, "promotion": None,
        "created_at": now,
    }  # fmt: skip
    models.add_schedule(tx, *TENANT, row)


def _ingestions(tx: Tx, base: dict[str, Any]) -> None:
    request = {"instruments": ["crypto:AAA-USD"], "interval": "1d", "start_us": START, "end_us": START + 1}
    for key in ("ing_1", "ing_2"):
        job = jobs.enqueue(tx, *TENANT, "ingestion", {"ingestion": key}, base["created_at"])
        ingestions.add(tx, {**base, "id": key, "owner": SYSTEM, "source": "binance", "job": job, "request": request})
        ingestions.mark(tx, key, "crypto:AAA-USD", START)


def _quarantine(tx: Tx, now: int) -> None:
    rows = [
        {
            "id": f"qua_{n}", "owner": owner, "source": "binance", "instrument": "crypto:AAA-USD", "interval": "1d",
            "time": START, "code": "high_below_low", "detail": "d", "row": {"high": 1.0, "low": 2.0},
            "ingestion": "seed", "status": "held", "created_at": now,
        }
        for n, owner in enumerate(("org_a", SYSTEM, "org_b"))
    ]  # fmt: skip
    bar = {"open": 5.0, "high": 4.0, "low": 4.5, "close": 5.0, "volume": 1.0, "known_at": START, "observed_at": START}
    own = {**rows[0], "source": "kraken", "instrument": "crypto:CCC-USD", "row": bar}
    series.quarantine_rows(tx, [*rows, {**own, "id": "qua_release"}, {**own, "id": "qua_discard"}])
    flags = dict.fromkeys(("pre_adjusted", "close_only", "revised"), False)
    series.save_series(
        tx,
        {
            **flags, "owner": "org_a", "source": "kraken", "instrument": "crypto:CCC-USD", "interval": "1d",
            "lag_us": 0, "rows": 0, "first_time": None, "last_time": None, "verdict": "rejected", "findings": [],
            "data_version": "v", "checked_at": now, "created_at": now,
        },
    )  # fmt: skip
    series.add_instruments(tx, [instrument_to_row(Instrument("crypto:CCC-USD"), now)])


def _trials(tx: Tx, now: int) -> None:
    rows = [
        {
            "id": f"tri_{n}", "lineage": "l", "purpose": "backtest", "status": "succeeded", "configuration": f"c{n}",
            "returns_hash": f"h{n}", "same_as": f"h{n}", "detail": {}, "first_time": START, "last_time": START + 1,
            "n": 250, "sharpe": 0.05, "skew": 0.0, "kurtosis": 3.0, "created_at": now,
        }
        for n in range(3)
    ]  # fmt: skip
    trials.append(tx, *TENANT, rows, {})
