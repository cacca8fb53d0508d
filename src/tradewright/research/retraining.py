"""Going on after a study: the same learner, trained on what has matured since, appended to the schedule."""

from __future__ import annotations

from typing import Any

from tradewright.errors import InvalidInput
from tradewright.features.sets import FeatureSet
from tradewright.learning.learners import learner_of
from tradewright.learning.schedule import ModelSchedule, ScheduleEntry
from tradewright.learning.training import train, training_data
from tradewright.market.panel import Panel


def retrained(
    schedule: ModelSchedule, model: Any, panel: Panel, *, embargo: int | None = None, seed: int = 7
) -> ModelSchedule:
    """Return `schedule` with one more entry, learned from all rows of `panel` and valid after its last row.

    model: what the schedule's models were made by; its evaluation is that of the procedure, not of this model. embargo:
    rows between the last row a label reads and the end of the panel; default the horizon. The same inputs give the same
    model. Raises InvalidInput when the panel ends before the last entry applies or has other instruments or interval,
    TooFewRows.
    """
    gap = schedule.horizon if embargo is None else embargo
    if panel.interval is not schedule.interval or panel.ids != schedule.instruments:
        raise InvalidInput("the panel has another interval or other instruments than the schedule; take its own")
    valid_from = int(panel.times[-1]) + 1 if len(panel) else 0
    if not 0 <= gap < len(panel) or valid_from <= schedule.entries[-1].valid_from_us:
        raise InvalidInput(
            f"a panel of {len(panel)} rows with embargo {gap} ends before the schedule's last model applies; "
            "hand in the rows that came since"
        )
    data = training_data(panel, FeatureSet(schedule.features), schedule.horizon)
    before = len(panel) - gap
    usable = (data.labels.end_row >= 0) & (data.labels.end_row < before)
    trained_before = int(panel.times[before]) if gap else valid_from
    made = train(learner_of(model), data, usable, seed, purged_before=trained_before)
    return schedule.appended(ScheduleEntry(made, trained_before, valid_from))
