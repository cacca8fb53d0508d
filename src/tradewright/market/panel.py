"""The panel: aligned bars of N instruments over T rows, what every strategy, feature and simulation reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from tradewright.errors import InvalidInput
from tradewright.market.arrays import COLUMNS as COLUMNS
from tradewright.market.arrays import PRICES as PRICES
from tradewright.market.arrays import Action as Action
from tradewright.market.arrays import Flags as Flags
from tradewright.market.arrays import Floats as Floats
from tradewright.market.arrays import Times as Times
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import DataVerdict


@dataclass(frozen=True, eq=False)
class Panel:
    """Aligned raw bars. T rows in ascending time, N instruments; missing values are NaN and `present` is False there.

    times: (T,) microseconds, the moment each row was complete. open, high, low, close, volume: (T, N) float64, raw.
    present: a bar exists. tradable: an order could have been filled in it. member: the instrument belonged to the
    universe then. fields: further (T, N) or (T,) arrays by name, each visible only from its `known_at`. actions: dated
    splits and dividends. fx: (T, N) units of the account currency per unit of `currency`, or None when all are equal.
    sources: where each column comes from. close_only: open, high, low and volume are not available and are NaN.
    pre_adjusted: some source delivers adjusted prices only; its columns have no actions. data_version: digest of the
    content, actions included.
    Raises InvalidInput when shapes disagree, times do not ascend, or currencies are mixed without `fx`.
    """

    times: Times
    instruments: tuple[Instrument, ...]
    interval: Interval
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    present: Flags
    tradable: Flags
    member: Flags
    sources: tuple[str, ...]
    fields: Mapping[str, Floats] = field(default_factory=lambda: MappingProxyType({}))
    actions: tuple[Action, ...] = ()
    fx: Floats | None = None
    close_only: bool = False
    pre_adjusted: bool = False
    verdict: DataVerdict = field(default_factory=DataVerdict)
    data_version: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.times), len(self.instruments))
        for name in (*COLUMNS, "present", "tradable", "member"):
            if getattr(self, name).shape != shape:
                raise InvalidInput(f"panel: {name} has shape {getattr(self, name).shape}, expected {shape}")
        if len(self.times) > 1 and not bool(np.all(np.diff(self.times) > 0)):
            raise InvalidInput("panel: times must ascend without repeats; sort and deduplicate the rows first")
        if self.fx is None and len({i.currency for i in self.instruments}) > 1:
            seen = ", ".join(sorted({i.currency for i in self.instruments}))
            raise InvalidInput(f"panel: instruments are priced in {seen}; hand in fx rates to one account currency")
        if not self.data_version:
            object.__setattr__(self, "data_version", self._digest())

    @classmethod
    def of(
        cls,
        times: Times,
        instruments: tuple[Instrument, ...],
        interval: Interval,
        close: Floats,
        open: Floats | None = None,  # noqa: A002 - the field's name
        high: Floats | None = None,
        low: Floats | None = None,
        volume: Floats | None = None,
        **rest: Any,
    ) -> Panel:
        """Return a panel from closes and, where there are any, the other columns.

        Without open, high and low the panel is `close_only`. present, tradable and member default to "close is a
        number". All arrays are (T, N); they are not copied and must not be changed afterwards.
        """
        nothing = np.full(close.shape, np.nan)
        present = np.isfinite(close)
        given: dict[str, Any] = {"present": present, "tradable": present, "member": present}
        given["sources"] = ("memory",) * len(instruments)
        given["close_only"] = open is None
        given.update(rest)
        columns = {"open": open, "high": high, "low": low, "volume": volume}
        filled: dict[str, Any] = {name: nothing if array is None else array for name, array in columns.items()}
        return cls(times=times, instruments=instruments, interval=interval, close=close, **filled, **given)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        instrument: Instrument | str | None = None,
        interval: Interval | str,
        close_only: bool | None = None,
        pre_adjusted: bool = False,
        calendar: str | None = None,
        currency: str | None = None,
    ) -> Panel:
        """Return the panel of a polars or pandas frame, checked like any other data.

        frame: column `time` (the bar's end) or `timestamp` (its start), `close`, and unless close_only open, high, low;
        `volume` where there is one. Times are datetimes (without a zone they are UTC), RFC 3339 text, or integer
        microseconds. Daily bars given by their start are complete at the close of that day's session.
        instrument: an id or an Instrument for every row; left out, column `instrument` says it. close_only: left out,
        it is true when there are no opens. calendar, currency: left out, those that the id implies. Rows that cannot
        be used are left out and the verdict says which. Raises InvalidInput for missing columns and for a share of
        another country without a currency, TooFewRows when no row can be used.
        """
        from tradewright.market.intake import frame_parts  # the panel itself needs no data frame library

        return cls(
            **frame_parts(
                frame,
                instrument=instrument,
                interval=interval,
                close_only=close_only,
                pre_adjusted=pre_adjusted,
                calendar=calendar,
                currency=currency,
            )
        )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return len(self.times), len(self.instruments)

    @property
    def ids(self) -> tuple[str, ...]:
        """Instrument ids, column by column."""
        return tuple(i.id for i in self.instruments)

    @property
    def currency(self) -> tuple[str, ...]:
        """Currency of each column."""
        return tuple(i.currency for i in self.instruments)

    def rows(self, start: int, stop: int) -> Panel:
        """Return rows start..stop-1 as a panel that shares memory with this one.

        Of the actions those are visible that were known by the last row and had changed no row before `start`.
        """
        part = slice(max(start, 0), max(min(stop, len(self)), 0))
        last = int(self.times[part][-1]) if len(self.times[part]) else -1
        arrays: dict[str, Any] = {
            n: getattr(self, n)[part] for n in ("times", *COLUMNS, "present", "tradable", "member")
        }
        arrays["fields"] = MappingProxyType({name: array[part] for name, array in self.fields.items()})
        arrays["actions"] = self._visible(part.start, last) if self.actions else ()
        arrays["fx"] = None if self.fx is None else self.fx[part]
        arrays["data_version"] = f"{self.data_version}[{part.start}:{part.stop}]"
        rows = object.__new__(Panel)  # rows of a panel that was checked need no check
        for name in self.__dataclass_fields__:
            object.__setattr__(rows, name, arrays.get(name, getattr(self, name)))
        return rows

    def _visible(self, start: int, last_us: int) -> tuple[Action, ...]:
        known, landing = self._landings
        return tuple(self.actions[at] for at in np.flatnonzero((known <= last_us) & (landing >= start)))

    @cached_property
    def _landings(self) -> tuple[Times, Times]:
        # of each action: when it was known, and the first row with a close at which it is known and has taken place
        known = np.array([action.known_at_us for action in self.actions], dtype=np.int64)
        landing = np.full(len(self.actions), len(self), dtype=np.int64)
        for at, action in enumerate(self.actions):
            first = int(np.searchsorted(self.times, max(action.time_us, action.known_at_us)))
            closed = self.present[first:, action.instrument] & (self.close[first:, action.instrument] > 0)
            if closed.any():
                landing[at] = first + int(np.argmax(closed))
        return known, landing

    def followed_by(self, later: Panel) -> Panel:
        """Return this panel with the rows of `later`, a panel of the same instruments, after its own."""
        names = ("times", *COLUMNS, "present", "tradable", "member")
        arrays: dict[str, Any] = {n: np.concatenate([getattr(self, n), getattr(later, n)]) for n in names}
        return replace(
            self,
            **arrays,
            fields=MappingProxyType({n: np.concatenate([a, later.fields[n]]) for n, a in self.fields.items()}),
            actions=tuple(dict.fromkeys((*self.actions, *later.actions))),
            fx=None if self.fx is None or later.fx is None else np.concatenate([self.fx, later.fx]),
            data_version=f"{self.data_version}+{later.data_version}"[-96:],
        )

    def columns(self, which: list[int]) -> Panel:
        """Return a panel of only these columns, in this order."""
        place = {column: position for position, column in enumerate(which)}
        arrays: dict[str, Any] = {
            n: np.ascontiguousarray(getattr(self, n)[:, which]) for n in (*COLUMNS, "present", "tradable", "member")
        }
        return replace(
            self,
            **arrays,
            instruments=tuple(self.instruments[c] for c in which),
            sources=tuple(self.sources[c] for c in which),
            fields=MappingProxyType({n: a if a.ndim == 1 else a[:, which] for n, a in self.fields.items()}),
            actions=tuple(replace(a, instrument=place[a.instrument]) for a in self.actions if a.instrument in place),
            fx=None if self.fx is None else self.fx[:, which],
            data_version="",
        )

    @cached_property
    def total_return_close(self) -> Floats:
        """Causal total-return index, (T, N): the first close of each column, grown by returns with actions in them.

        Row t uses only closes and actions up to row t, so a prefix of the panel gives a prefix of the index. NaN where
        no bar is present. Without actions it is `close` itself.
        """
        if not self.actions:
            return self.close
        grown = self.close.copy()
        for column in range(self.shape[1]):
            rows = np.flatnonzero(np.isfinite(self.close[:, column]))
            if len(rows) == 0:
                continue
            mine = sorted((a for a in self.actions if a.instrument == column), key=lambda a: a.time_us)
            factor = np.ones(len(rows))
            for action in mine:
                at = int(np.searchsorted(self.times[rows], max(action.time_us, action.known_at_us)))
                if 0 < at < len(rows):
                    now = self.close[rows[at], column]
                    factor[at:] *= (now * action.split + action.dividend) / now if now else 1.0
            grown[rows, column] = self.close[rows, column] * factor
        return grown

    def _digest(self) -> str:
        hasher = hashlib.sha256()
        header = (self.ids, self.interval.value, self.sources, self.close_only, self.pre_adjusted, self.actions)
        hasher.update(repr(header).encode())
        for name in ("times", *COLUMNS, "present", "tradable", "member"):
            hasher.update(np.ascontiguousarray(getattr(self, name)).data)
        for name in sorted(self.fields):
            hasher.update(name.encode())
            hasher.update(np.ascontiguousarray(self.fields[name]).data)
        if self.fx is not None:
            hasher.update(np.ascontiguousarray(self.fx).data)
        return hasher.hexdigest()[:32]
