"""Which model speaks when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from tradewright.errors import InvalidInput
from tradewright.ids import derive
from tradewright.learning.model import Model
from tradewright.market.instruments import Interval


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """A model and when it applies. trained_before_us: every label it learned matured before. valid_from_us: the first
    decision row it may be used at, until the next entry's."""

    model: Model
    trained_before_us: int
    valid_from_us: int


@dataclass(frozen=True, slots=True)
class ModelSchedule:
    """Models in the order of their validity, all of one horizon and one feature list.

    Raises InvalidInput when there is none, when they are out of order or disagree, or when one is used before the
    labels it learned from had matured.
    """

    entries: tuple[ScheduleEntry, ...]
    horizon: int
    features: tuple[str, ...]
    interval: Interval
    instruments: tuple[str, ...]

    def __init__(
        self,
        entries: Iterable[ScheduleEntry | tuple[Model, int, int]],
        horizon: int,
        features: Iterable[str],
        interval: Interval,
        instruments: Iterable[str],
    ) -> None:
        made = tuple(e if isinstance(e, ScheduleEntry) else ScheduleEntry(*e) for e in entries)
        for name, value in (
            ("entries", made),
            ("horizon", horizon),
            ("features", tuple(features)),
            ("interval", interval),
            ("instruments", tuple(instruments)),
        ):
            object.__setattr__(self, name, value)
        starts = [e.valid_from_us for e in made]
        if not made or any(b <= a for a, b in pairwise(starts)):
            raise InvalidInput("a model schedule needs models whose valid_from ascends without repeats")
        for entry in made:
            if entry.model.horizon != horizon or entry.model.features != self.features:
                raise InvalidInput(
                    f"the model {entry.model.id} has another horizon or other features than its schedule"
                )
            if entry.trained_before_us > entry.valid_from_us:
                raise InvalidInput(f"the model {entry.model.id} would be used before its training labels matured")

    @property
    def id(self) -> str:
        """Derived from models, times, interval and instruments."""
        parts = [f"{e.model.id}:{e.trained_before_us}:{e.valid_from_us}" for e in self.entries]
        return derive("msc", *parts, self.interval.value, *self.instruments)

    def at(self, time_us: int) -> int:
        """Return the place of the entry valid at a row of this time, -1 before the first."""
        return bisect_right([e.valid_from_us for e in self.entries], time_us) - 1

    def appended(self, entry: ScheduleEntry) -> ModelSchedule:
        """Return the schedule with one more entry: how retraining goes on."""
        return ModelSchedule((*self.entries, entry), self.horizon, self.features, self.interval, self.instruments)
