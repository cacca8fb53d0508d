"""The first preparation: data, model, evidence. Every step is kept when done, so a killed preparation goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradewright.app import house
from tradewright.clock import WallClock, format_us
from tradewright.errors import TooFewRows
from tradewright.market.panel import Panel
from tradewright.settings import Settings
from tradewright.storage import house as house_rows
from tradewright.storage.database import Database

Report = Callable[[float, str], None]
HORIZON = 5
SPLITS = 8
_MIN_TRAINING_ROWS = 500


def settings_from(payload: dict[str, Any]) -> Settings:
    """Return settings that came over a pipe."""
    return Settings(**{**payload, "data_folder": Path(payload["data_folder"])})


def settings_to(settings: Settings) -> dict[str, Any]:
    """Return settings as they go over a pipe."""
    names = [name for name in settings.__dataclass_fields__ if name != "origins"]
    return {name: getattr(settings, name) for name in names} | {"data_folder": str(settings.data_folder)}


def prepared(database: Database, organization: str, environment: str, settings: Settings) -> dict[str, Any] | None:
    """Return what an earlier preparation with these settings made, None when there is none."""
    known = database.read(house_rows.get, f"prepared:{organization}:{environment}")
    if known is None or (known["data_set"], known["replay_rows"]) != (settings.data_set, settings.replay_rows):
        return None
    return dict(known)


def replay_start(panel: Panel, replay_rows: int) -> int:
    """Return the first row that is replayed. Raises TooFewRows when too little is left to learn from."""
    start = len(panel) - replay_rows
    if start < _MIN_TRAINING_ROWS:
        raise TooFewRows(
            f"the data set has {len(panel)} rows; replaying {replay_rows} leaves {max(start, 0)} to learn from, and at "
            f"least {_MIN_TRAINING_ROWS} are needed; set replay_rows lower"
        )
    return start


def prepare(payload: dict[str, Any], report: Report) -> dict[str, Any]:
    """Load and check the data set, train and evaluate a model schedule on all but its last rows, keep it all.

    payload: settings, organization, environment. Returns what `prepared` finds later.
    """
    settings = settings_from(payload["settings"])
    organization, environment = payload["organization"], payload["environment"]
    clock = WallClock()
    with house.open_database(settings) as database:
        from tradewright.evaluation.evidence import Evidence
        from tradewright.learning.learners import GradientBoosting
        from tradewright.market.ingest import ingest_data_set
        from tradewright.research.promotion import promote
        from tradewright.research.registry import Registry
        from tradewright.research.retraining import retrained
        from tradewright.research.trials import TrialLedger
        from tradewright.research.walk_forward import walk_forward

        catalog = house.open_catalog(settings, database)
        ingest_data_set(
            catalog, database, settings.data_set, clock.now_us(), lambda f, m: report(0.25 * f, f"data: {m}")
        )
        panel = catalog.panel(settings.data_set)
        start = replay_start(panel, settings.replay_rows)
        past = panel.rows(0, start)
        study = walk_forward(
            GradientBoosting(),
            past,
            horizon=HORIZON,
            splits=SPLITS,
            ledger=TrialLedger(database, organization, environment),
            progress=lambda f, m: report(0.25 + 0.65 * f, f"model: {m}"),
        )
        report(0.9, "model: training the one that speaks from here on")
        extended = retrained(study.schedule, GradientBoosting(), past)
        report(0.98, "model: storing it with its evidence")
        registry = Registry(database, organization, environment)
        schedule = registry.save_schedule(settings.data_set, study, extended)
        supported = study.evidence is Evidence.SUPPORTED
        if supported and not registry.get(schedule).promoted:
            database.write(promote, organization, environment, schedule, now_us=clock.now_us())
        made = {
            "data_set": settings.data_set,
            "replay_rows": settings.replay_rows,
            "data_version": panel.data_version,
            "start_row": start,
            "schedule": schedule,
            "evidence": study.evidence.value,
            "promoted": supported,
            "reason": "; ".join(study.reasons),
            "trained_until": format_us(int(panel.times[start - 1])),
        }
        database.write(house_rows.put, f"prepared:{organization}:{environment}", made, clock.now_us())
    return made
