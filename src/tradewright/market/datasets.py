"""Real data that comes with packages Tradewright depends on: no account, no network.

Both sets are back-filled without vintages (`revised`): a value may differ from what was published on the day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tradewright.errors import LibraryMissing, UnknownName
from tradewright.market.calendars import close_of
from tradewright.market.frames import canonical
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import Finding, Verdict

CALENDAR = "XNYS"

_SHARES = {
    "AAPL": "Apple", "AMD": "Advanced Micro Devices", "BAC": "Bank of America", "BBY": "Best Buy", "CVX": "Chevron",
    "GE": "General Electric", "HD": "Home Depot", "JNJ": "Johnson & Johnson", "JPM": "JPMorgan Chase",
    "KO": "Coca-Cola", "LLY": "Eli Lilly", "MRK": "Merck", "MSFT": "Microsoft", "PEP": "PepsiCo", "PFE": "Pfizer",
    "PG": "Procter & Gamble", "RRC": "Range Resources", "UNH": "UnitedHealth", "WMT": "Walmart", "XOM": "Exxon Mobil",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataSetSpec:
    """A named list of series and where its rows come from.

    source: name of the source. package: the installed package that has the data. aliases: the source's symbol of each
    instrument id. close_only, pre_adjusted, revised: see Panel and the checks. findings: what is known beforehand, for
    each series. read: returns (dates (T,), {instrument id: {column: (T,) values}}).
    """

    name: str
    note: str
    source: str
    package: str
    instruments: tuple[Instrument, ...]
    aliases: dict[str, str]
    read: Callable[[], tuple[Any, dict[str, dict[str, Any]]]]
    close_only: bool = False
    pre_adjusted: bool = False
    revised: bool = True
    interval: Interval = Interval.DAY
    findings: tuple[Finding, ...] = ()

    @property
    def origin(self) -> str:
        """Package and installed version, for example "arch 8.0.0"."""
        return f"{self.package} {version(self.package)}"


def load_bars(name: str, observed_at_us: int | None = None) -> pl.DataFrame:
    """Return a data set as a canonical frame, ascending by instrument and time; `time` is the session's close.

    observed_at_us: when it was received; null when left out. Raises UnknownName.
    """
    spec = data_set(name)
    dates, columns = spec.read()
    times = close_of(CALENDAR, dates)
    frames = [
        pl.DataFrame({"time": times, **values}).with_columns(pl.lit(instrument).alias("instrument"))
        for instrument, values in columns.items()
    ]
    return canonical(
        pl.concat(frames).sort("instrument", "time"),
        source=spec.source,
        interval=spec.interval.value,
        observed_at_us=observed_at_us,
    )


def data_set(name: str) -> DataSetSpec:
    """Return the specification of a data set. Raises UnknownName with the closest names."""
    if name not in DATA_SETS:
        raise UnknownName.of("data set", name, DATA_SETS)
    return DATA_SETS[name]


def _skfolio() -> tuple[Any, dict[str, dict[str, Any]]]:
    table = _packaged("skfolio", "datasets", "data", "sp500_dataset.csv.gz")
    columns = {f"equity:{symbol}": {"close": _floats(table[symbol])} for symbol in table.columns}
    return _days(table), columns


def _arch() -> tuple[Any, dict[str, dict[str, Any]]]:
    tables = {
        "index:SPX": _packaged("arch", "data", "sp500", "sp500.csv.gz"),
        "index:IXIC": _packaged("arch", "data", "nasdaq", "nasdaq.csv.gz"),
    }
    names = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
    columns = {
        instrument: {ours: _floats(table[theirs]) for ours, theirs in names.items()}
        for instrument, table in tables.items()
    }
    days = [_days(table) for table in tables.values()]
    if not np.array_equal(days[0], days[1]):
        raise ValueError("arch: the two indices no longer share their dates")
    return days[0], columns


def _packaged(package: str, *path: str) -> Any:
    """The table in a file that a package ships, by date, read as the package itself reads it.

    Importing the package for it would take a second and a half.
    """
    import pandas as pd

    found = find_spec(package)
    places = [] if found is None else found.submodule_search_locations or []
    files = [Path(place, *path) for place in places if Path(place, *path).is_file()]
    if not files:
        raise LibraryMissing(
            f"the data file {path[-1]} of the package {package} is not there; install {package} again, in the version "
            "of the lock file",
            package=package,
        )
    return pd.read_csv(files[0], index_col=0, parse_dates=[0])


def _days(table: Any) -> Any:
    return table.index.to_numpy().astype("datetime64[D]")


def _floats(column: Any) -> Any:
    return np.ascontiguousarray(column.to_numpy(), dtype=np.float64)


DATA_SETS: dict[str, DataSetSpec] = {
    spec.name: spec
    for spec in (
        DataSetSpec(
            name="us-stocks",
            note="20 large US shares, daily adjusted closes 1990 to 2022; companies that survived to 2022 only",
            source="skfolio",
            package="skfolio",
            instruments=tuple(Instrument(f"equity:{s}", calendar=CALENDAR, name=n) for s, n in _SHARES.items()),
            aliases={f"equity:{s}": s for s in _SHARES},
            read=_skfolio,
            close_only=True,
            pre_adjusted=True,
            findings=(
                Finding(
                    "survivors_only",
                    Verdict.USABLE,
                    "only companies that survived to the end of the data: returns of the whole universe look too good",
                ),
            ),
        ),
        DataSetSpec(
            name="us-indices",
            note="S&P 500 and NASDAQ Composite, daily open, high, low, close, volume 1999 to 2018; never traded",
            source="arch",
            package="arch",
            instruments=(
                Instrument("index:SPX", calendar=CALENDAR, name="S&P 500"),
                Instrument("index:IXIC", calendar=CALENDAR, name="NASDAQ Composite"),
            ),
            aliases={"index:SPX": "sp500", "index:IXIC": "nasdaq"},
            read=_arch,
        ),
    )
}
