"""What the commands of the command line do, as values in and values out."""

from __future__ import annotations

import os
import re
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
from tradewright.clock import WallClock, format_us, parse_us
from tradewright.errors import InvalidInput, NotFound, StorageFailed, UnknownName
from tradewright.ids import SYSTEM, Owner, derive
from tradewright.settings import Settings
from tradewright.storage import accounts, backtests, series
from tradewright.storage import signals as signal_rows
from tradewright.storage.database import Database, Tx

Progress = Callable[[float, str], None]
ENVIRONMENT = "paper"
FILE = "file"  # the source of files that nobody names otherwise


def ingest(
    settings: Settings,
    source: str,
    instruments: list[str],
    interval: str | None,
    start: str | None,
    end: str | None,
    progress: Progress,
    name: str | None = None,
) -> dict[str, Any]:
    """Bring bars of a data set, a CSV file or a source into the catalog; return the report. interval: a day when left
    out, for a data set its own. name: of the source that a file is to be, FILE when left out."""
    from tradewright.market.datasets import DATA_SETS
    from tradewright.sources.registry import SOURCES, knows

    named = source in DATA_SETS or knows(source)
    if Path(source).is_dir() and not named:
        raise InvalidInput(f"{source} is a folder; name one CSV file in it")
    is_file = not named and (source.endswith(".csv") or Path(source).is_file())
    if not is_file and not named:
        where = "`tradewright sources` lists the sources"
        raise UnknownName.of("data set, source or file", source, [*DATA_SETS, *SOURCES], where)
    if source in DATA_SETS and instruments:
        raise InvalidInput(f"the data set {source} comes whole; leave {' '.join(instruments)} out")
    if source in DATA_SETS and interval not in (None, own := DATA_SETS[source].interval.value):
        raise InvalidInput(f"the data set {source} has bars of {own}; leave --interval {interval} out")
    if (is_file or source in DATA_SETS) and (start, end) != (None, None):
        raise InvalidInput(f"{source} comes whole; leave --start and --end out, or name a file with fewer rows")
    if name is not None and not is_file:
        raise InvalidInput(f"{source} has its own name; only a file is given a name: leave --as {name} out")
    if source not in DATA_SETS and not instruments:
        raise InvalidInput("name at least one instrument after the source, for example crypto:BTC-USDT")
    with house.open_database(settings) as database:
        if source in DATA_SETS:
            from tradewright.market.files import ingest_data_set

            catalog = house.open_catalog(settings, database)
            return _report(ingest_data_set(catalog, database, source, WallClock().now_us(), progress))
        if is_file:
            known_as = FILE if name is None else _name_of_file(name)
            return _ingest_file(settings, database, Path(source), instruments, interval or "1d", progress, known_as)
        return _ingest_source(settings, database, source, instruments, interval or "1d", start, end, progress)


def _name_of_file(name: str) -> str:
    from tradewright.market.datasets import DATA_SETS
    from tradewright.sources.registry import knows

    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,63}", name):
        raise InvalidInput(f"--as takes small letters, digits, _ and -, at most 64, such as vendor_b; got {name!r}")
    if knows(name) or name in {each.source for each in DATA_SETS.values()}:
        raise InvalidInput(
            f"{name} is the name of a source or of that of a data set; name the file otherwise with --as"
        )
    return name


def _ingest_file(
    settings: Settings, database: Database, path: Path, instruments: list[str], interval: str, progress: Progress,
    name: str,
) -> dict[str, Any]:  # fmt: skip
    from tradewright.market.files import ingest_csv
    from tradewright.market.instruments import Instrument, Kind

    if len(instruments) != 1:
        raise InvalidInput(f"a file holds the bars of one instrument; got {len(instruments)} names")
    _refuse_no_text(path)
    bare = Instrument(instruments[0])
    instrument = Instrument(bare.id, calendar="XNYS") if bare.kind in (Kind.EQUITY, Kind.INDEX) else bare
    stat = path.stat()
    report = _report(
        ingest_csv(
            path,
            house.open_catalog(settings, database),
            database,
            _organization(database),
            instrument,
            interval=interval,
            now_us=WallClock().now_us(),
            ingestion_id=derive("ing", path.resolve(), stat.st_mtime_ns, stat.st_size, instrument.id, interval),
            source=name,
            progress=progress,
        )
    )
    if report["rows_read"] == 0:
        raise InvalidInput(f"{path}: there are no rows below the header; nothing was stored")
    return {**report, "source": name}


def _refuse_no_text(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise InvalidInput(f"cannot open {path}: {error.strerror}") from error
    if b"\0" in start:
        raise InvalidInput(f"{path} is no text file; save it as CSV in UTF-8")


def _ingest_source(
    settings: Settings,
    database: Database,
    name: str,
    instruments: list[str],
    interval: str,
    start: str | None,
    end: str | None,
    progress: Progress,
) -> dict[str, Any]:
    from tradewright.app import ingestion_task, source_commands
    from tradewright.market.instruments import Interval
    from tradewright.sources import asking
    from tradewright.sources.continuing import Wanted, read_begins
    from tradewright.sources.registry import source as find

    chosen = find(name)
    known, faults = asking.request_faults(name, instruments, interval)
    for _, fault in faults:
        raise fault
    now_us = WallClock().now_us()
    asked = {"instruments": known, "interval": interval, "start": start, "end": end}
    end_us = now_us if end is None else parse_us(end)
    source_commands.check_request(chosen, interval, end_us if start is None else parse_us(start), end_us)
    organization = _organization(database)
    vault = house.open_vault(settings)
    with_credentials = bool(ingestion_task.credentials_of(database, vault, organization, chosen))
    if chosen.auth.needed and not with_credentials:
        raise source_commands.without_credentials(chosen)
    owner = organization if with_credentials else SYSTEM
    begins: dict[str, int] = {}
    if start is None:
        begins = database.read(read_begins, Wanted(owner, name, tuple(known), Interval.parse(interval), end_us), now_us)
    start_us = min(begins.values()) if start is None else parse_us(start)
    for _, fault in asking.span_faults(name, (begins or dict.fromkeys(known, start_us)).values(), interval, end_us):
        raise fault
    request = {**asked, "start_us": start_us, "end_us": end_us, "begins": begins}
    with source_commands.begun(database, organization, ENVIRONMENT, owner, name, request) as ingestion:
        report = ingestion_task.ingest(
            settings,
            database,
            organization,
            ENVIRONMENT,
            ingestion,
            source_commands.leased(database, ingestion, progress),
            ingestion_task.credentials_of,
        )
    if report["rows_read"] == 0 and report.get("pages", 1):
        names = ", ".join(known)
        what = f"facts of {names}" if chosen.bars is None else f"bars of {names} at {interval}"
        came = report.get("outside")
        rows = "bars" if chosen.bars is not None else "facts of periods that end"
        answered = f": it answered {came['rows']} {rows} from {came['first']} to {came['last']} instead" if came else ""
        raise NotFound(
            f"{chosen.title} has no {what} from {format_us(start_us)} to {format_us(end_us)}{answered}; nothing was "
            "stored; name another time with --start and --end"
        )
    return report


def _report(report: Any) -> dict[str, Any]:
    from tradewright.app.ingestion_task import report_of

    return report_of(report)


def catalog(settings: Settings) -> list[dict[str, Any]]:
    """Return every series that this installation sees. Raises NotFound where there is no installation."""
    from tradewright.market.freshness import read_freshness
    from tradewright.market.instruments import FACT

    now_us = WallClock().now_us()
    with present(settings) as database:
        owner = _organization(database)
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
        organization = _organization(database)
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
        organization = _organization(database)
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
        rows = database.read(signal_rows.list_page, _organization(database), ENVIRONMENT, limit, True)
    names = ("id", "instrument", "direction", "probability", "expected_return", "horizon", "status", "evidence")
    return [{"bar_time": format_us(row["bar_time"]), **{name: row[name] for name in names}} for row in rows]


def report(settings: Settings, backtest_id: str, output: Path) -> None:
    """Write the report of a stored backtest to a file. Raises NotFound, StorageFailed."""
    with present(settings) as database:
        organization = _organization(database)
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
        rows = database.read(accounts.list_api_keys, _organization(database))
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
        if not database.write(keys.revoke, _organization(database), key, house.OPERATOR, now_us):
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


def _organization(database: Database) -> Owner:
    return Owner(database.write(house.ensure_organization, WallClock().now_us()))
