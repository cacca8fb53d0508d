"""`tradewright ingest`: a data set, a file or a source into the catalog."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewright.app import house
from tradewright.clock import WallClock, format_us, parse_us
from tradewright.errors import InvalidInput, NotFound, UnknownName
from tradewright.ids import SYSTEM, Owner, derive
from tradewright.settings import Settings
from tradewright.storage.database import Database

if TYPE_CHECKING:
    from tradewright.market.catalog import Catalog
    from tradewright.market.ingest import IngestReport
    from tradewright.market.instruments import Instrument, Interval

ENVIRONMENT = "paper"
Progress = Callable[[float, str], None]
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
    currency: str | None = None,
) -> dict[str, Any]:
    """Bring bars of a data set, a CSV file or a source into the catalog; return the report. interval: a day when left
    out, for a data set its own. name: of the source that a file is to be, FILE when left out. currency: of the prices
    of a file, the one that the instrument implies when left out."""
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
    if currency is not None and not is_file:
        raise InvalidInput(f"{source} says its currencies itself; leave --currency {currency} out")
    if source not in DATA_SETS and not instruments:
        raise InvalidInput("name at least one instrument after the source, for example crypto:BTC-USDT")
    with house.open_database(settings) as database:
        if source in DATA_SETS:
            from tradewright.market.files import ingest_data_set

            catalog = house.open_catalog(settings, database)
            report = ingest_data_set(catalog, database, source, WallClock().now_us(), progress)
            spec = DATA_SETS[source]
            return _compared(catalog, SYSTEM, report, [each.id for each in spec.instruments], spec.interval)
        if is_file:
            known_as = FILE if name is None else _name_of_file(name)
            which = _instrument_of_file(instruments, currency)
            return _ingest_file(settings, database, Path(source), which, interval or "1d", progress, known_as)
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


def _instrument_of_file(instruments: list[str], currency: str | None) -> Instrument:
    from tradewright.market.implied import instrument_of

    if len(instruments) != 1:
        raise InvalidInput(f"a file holds the bars of one instrument; got {len(instruments)} names")
    if currency is not None and not re.fullmatch("[A-Z]{3,8}", currency):
        raise InvalidInput(f"--currency takes a code of capital letters such as GBP or USDT; got {currency!r}")
    return instrument_of(instruments[0], currency)


def _ingest_file(
    settings: Settings, database: Database, path: Path, instrument: Instrument, interval: str, progress: Progress,
    name: str,
) -> dict[str, Any]:  # fmt: skip
    from tradewright.market.files import ingest_csv
    from tradewright.market.instruments import Interval

    _refuse_no_text(path)
    stat, step = path.stat(), Interval.parse(interval)
    catalog, owner = house.open_catalog(settings, database), house.owner(database)
    report = ingest_csv(
        path,
        catalog,
        database,
        owner,
        instrument,
        interval=step,
        now_us=WallClock().now_us(),
        ingestion_id=derive("ing", path.resolve(), stat.st_mtime_ns, stat.st_size, instrument.id, interval),
        source=name,
        progress=progress,
    )
    if report.rows_read == 0:
        raise InvalidInput(f"{path}: there are no rows below the header; nothing was stored")
    return {**_compared(catalog, owner, report, [instrument.id], step), "source": name}


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
    organization = house.owner(database)
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


def _compared(
    catalog: Catalog, owner: Owner, report: IngestReport, instruments: list[str], interval: Interval
) -> dict[str, Any]:
    from tradewright.app.comparison import compared
    from tradewright.app.ingestion_task import report_of

    if report.rows_read == 0:  # it was in, and so was what comparing said
        return report_of(report)
    report, told = compared(catalog, owner, report, instruments, interval, WallClock().now_us())
    return {**report_of(report), "compared": told}
