"""What the commands of the command line do, as values in and values out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradewright.accounts import keys
from tradewright.accounts.keys import Terms
from tradewright.accounts.scopes import SCOPES, checked
from tradewright.app import house
from tradewright.app.kept import keep, visible_until
from tradewright.app.texts import backtest_text
from tradewright.clock import WallClock, format_us
from tradewright.errors import InvalidInput, NotFound, StorageFailed
from tradewright.settings import Settings
from tradewright.storage import accounts, backtests, series
from tradewright.storage import signals as signal_rows
from tradewright.storage.database import Database, Tx

Progress = Callable[[float, str], None]
ENVIRONMENT = "paper"


def catalog(settings: Settings) -> list[dict[str, Any]]:
    """Return every series that this installation sees. Raises NotFound where there is no installation."""
    from tradewright.market.freshness import read_freshness
    from tradewright.market.instruments import FACT

    now_us = WallClock().now_us()
    with present(settings) as database:
        owner = house.owner(database)
        rows = database.read(series.list_series, owner)
        fresh = {
            (each.owner, each.source, each.instrument, each.interval): each
            for each in database.read(read_freshness, owner, now_us)
        }
    stands = [fresh.get((row["owner"], row["source"], row["instrument"], row["interval"])) for row in rows]
    return [
        {
            "instrument": row["instrument"],
            "interval": row["interval"],
            "source": row["source"],
            "owner": row["owner"],
            "rows": row["rows"],
            "first": "" if row["first_time"] is None else format_us(row["first_time"]),
            "last": "" if row["last_time"] is None else format_us(row["last_time"]),
            "prices": ""
            if row["interval"] == FACT
            else "adjusted"
            if row["pre_adjusted"]
            else "closes"
            if row["close_only"]
            else "raw",
            "age_s": None if stand is None or stand.age_us is None else round(stand.age_us / 1e6),
            "due": 0 if stand is None else stand.due,
            "checked_at": "" if row["checked_at"] is None else format_us(row["checked_at"]),
            "verdict": row["verdict"],
            "findings": [{"code": f["code"], "detail": f["detail"], "count": f["count"]} for f in row["findings"]],
        }
        for row, stand in zip(rows, stands, strict=True)
    ]


def train(settings: Settings, data: str, horizon: int, splits: int, progress: Progress) -> dict[str, Any]:
    """Train, evaluate and store a model schedule; return its id and evidence."""
    from tradewright.learning.learners import GradientBoosting
    from tradewright.research.registry import Registry
    from tradewright.research.trials import TrialLedger
    from tradewright.research.walk_forward import walk_forward

    with house.open_database(settings) as database:
        organization = house.owner(database)
        catalog = house.open_catalog(settings, database)
        _ensure_data_set(catalog, database, data, progress)
        end = visible_until(database, organization, ENVIRONMENT, data, None)
        panel = catalog.panel(data, owner=organization, end_us=end)
        ledger = TrialLedger(database, organization, ENVIRONMENT)
        study = walk_forward(
            GradientBoosting(), panel, horizon=horizon, splits=splits, ledger=ledger, progress=progress
        )
        schedule = Registry(database, organization, ENVIRONMENT).save_schedule(data, study)
    return {
        "schedule": schedule,
        "evidence": study.evidence.value,
        "reason": "; ".join(study.reasons),
        "evaluation": study.to_summary(),
    }


def backtest(
    settings: Settings,
    strategy: str,
    data: str | None,
    instruments: list[str] | None,
    interval: str,
    params: list[str],
    cash: float,
    fee_rate: float | None,
    report: Path | None,
    progress: Progress,
    source: str | None = None,
) -> dict[str, Any]:
    """Run a backtest; return its summary and a text of it. Counted in the trial ledger of the data folder. source:
    whose bars of the instruments, where several sources have them."""
    from tradewright.research.backtest import backtest as run
    from tradewright.research.trials import TrialLedger
    from tradewright.simulation.costs import Costs
    from tradewright.strategies import registry

    if (data is None) == (instruments is None):
        raise InvalidInput("name --data (for example us-stocks) or --instruments, one of the two")
    if source is not None and instruments is None:
        raise InvalidInput(f"a data set names its sources; leave --source {source} out, or name --instruments")
    chosen = registry.make(strategy, _params(params))
    if report is not None:
        _refuse_unwritable(report)
    with house.open_database(settings) as database:
        organization = house.owner(database)
        catalog = house.open_catalog(settings, database)
        if data is not None:
            _ensure_data_set(catalog, database, data, progress)
        end = visible_until(database, organization, ENVIRONMENT, data, instruments)
        panel = catalog.panel(
            data, instruments=instruments, interval=interval, source=source, owner=organization, end_us=end
        )
        result = run(
            chosen,
            panel,
            cash=cash,
            costs=None if fee_rate is None else Costs(fee_rate=fee_rate),
            ledger=TrialLedger(database, organization, ENVIRONMENT),
            progress=progress,
        )
        if report is not None:
            result.save_report(report)
        request: dict[str, Any] = {
            "strategy": strategy,
            "params": dict(chosen.params),
            "data_set": data,
            "instruments": instruments,
            "source": source,
        }
        request |= {"interval": interval, "start_us": None, "end_us": end, "cash": str(cash), "checks": "sampled"}
        request["costs"] = None if fee_rate is None else {"fee_rate": fee_rate}
        kept = keep(database, organization, ENVIRONMENT, request, result, WallClock().now_us())
    return {"id": kept, "summary": result.to_summary(), "text": f"{backtest_text(result, report)}\nkept as {kept}"}


def _refuse_unwritable(report: Path) -> None:
    folder = report.absolute().parent
    if report.is_dir() or not folder.is_dir() or not os.access(report if report.exists() else folder, os.W_OK):
        raise StorageFailed(
            f"cannot write the report to {report}: the folder must exist and may be written, and the name must not be "
            "a folder's; name another --report. Nothing was run"
        )


def _ensure_data_set(catalog: Any, database: Database, name: str, progress: Progress) -> None:
    from tradewright.market.datasets import DATA_SETS
    from tradewright.market.files import ingest_data_set

    if name in DATA_SETS:
        ingest_data_set(catalog, database, name, WallClock().now_us(), progress)


def _params(params: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign:
            raise InvalidInput(f"--param takes name=value, got {text!r}")
        values[name] = _number(value)
    return values


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def signals(settings: Settings, limit: int) -> list[dict[str, Any]]:
    """Return the newest signals of the paper environment. Raises NotFound where there is no installation."""
    with present(settings) as database:
        rows = database.read(signal_rows.list_page, house.owner(database), ENVIRONMENT, limit, True)
    names = ("id", "instrument", "direction", "probability", "expected_return", "horizon", "status", "evidence")
    return [{"bar_time": format_us(row["bar_time"]), **{name: row[name] for name in names}} for row in rows]


def report(settings: Settings, backtest_id: str, output: Path) -> None:
    """Write the report of a stored backtest to a file. Raises NotFound, StorageFailed."""
    with present(settings) as database:
        organization = house.owner(database)
        page = database.read(backtests.get_blob, organization, ENVIRONMENT, backtest_id, "report")
    if page is None:
        raise NotFound(
            f"there is no finished backtest {backtest_id!r}; GET /v1/backtests lists those asked for over the API, and "
            "`tradewright backtest --report FILE` writes the report of its own"
        )
    try:
        output.write_bytes(page)
    except OSError as error:
        raise StorageFailed(f"cannot write the report to {output}: {error.strerror}; name another --output") from error


def create_key(settings: Settings, environment: str, name: str, scopes: list[str] | None) -> dict[str, Any]:
    """Make an API key; return its id and text."""
    now_us = WallClock().now_us()
    with house.open_database(settings) as database:
        organization = database.write(house.ensure_organization, now_us)
        wanted = list(SCOPES) if scopes is None else scopes

        def make(tx: Tx) -> tuple[str, str]:
            key, text = keys.create(tx, organization, environment, name, wanted, now_us)
            terms = Terms(name, tuple(checked(wanted)))
            keys.tell_made(tx, (organization, environment), house.OPERATOR, key, terms, now_us)
            return key, text

        key, text = database.write(make)
    return {"id": key, "key": text, "environment": environment}


def list_keys(settings: Settings) -> list[dict[str, Any]]:
    """Return the keys of this installation without secrets. Raises NotFound where there is no installation."""
    with present(settings) as database:
        rows = database.read(accounts.list_api_keys, house.owner(database))
    return [
        {
            "id": row["id"],
            "environment": row["environment"],
            "name": row["name"],
            "scopes": row["scopes"],
            "created_at": format_us(row["created_at"]),
            "state": "valid" if row["revoked_at"] is None else "revoked",
        }
        for row in rows
    ]


def revoke_key(settings: Settings, key: str) -> None:
    """Revoke a key. Raises NotFound."""
    with present(settings) as database:
        now_us = WallClock().now_us()
        if not database.write(keys.revoke, house.owner(database), key, house.OPERATOR, now_us):
            raise NotFound(f"there is no valid key {key!r}; `tradewright keys list` shows them")


def bench(only: list[str], quiet: bool = False) -> int:
    """Run the benchmarks of a source checkout; return their exit status. Raises NotFound elsewhere.

    quiet: what they print goes to the error output.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise NotFound("the benchmarks are part of a source checkout; clone the project and run `make bench` there")
    out = sys.stderr.fileno() if quiet else None
    return subprocess.run([sys.executable, "-m", "benchmarks", *only], cwd=root, stdout=out, check=False).returncode


def present(settings: Settings) -> Database:
    """Return the database of an installation. Raises NotFound where there is none."""
    if not settings.database_url and not (settings.data_folder / "tradewright.db").exists():
        raise NotFound(
            f"there is nothing in the data folder {settings.data_folder} yet; run `tradewright up` or `tradewright "
            "ingest us-stocks`, or name the folder you mean with --data-folder"
        )
    return house.open_database(settings)
