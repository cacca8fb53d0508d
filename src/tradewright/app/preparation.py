"""The first preparation: data, model, evidence. Every step is kept when done, so a killed preparation goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tradewright.app import house, live
from tradewright.app.feeds import Choice
from tradewright.app.live import Place
from tradewright.clock import WallClock, format_us
from tradewright.errors import TooFewRows
from tradewright.ids import SYSTEM, Owner
from tradewright.market.panel import Panel
from tradewright.storage import house as house_rows
from tradewright.storage.database import Database

Report = Callable[[float, str], None]
HORIZON = 5
SPLITS = 8
_MIN_TRAINING_ROWS = 500


def prepared(database: Database, organization: str, environment: str) -> dict[str, Any] | None:
    """Return what the latest preparation made, None when there was none. Its `words` say for which feed."""
    known = database.read(house_rows.get, f"prepared:{organization}:{environment}")
    return None if known is None else {"words": None, **known}


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
    """Bring the data of the feed in, train and evaluate a model schedule on what lies before the feed, keep it all.

    payload: settings, organization, environment, choice. Returns what `prepared` finds later.
    """
    settings = house.settings_from(payload["settings"])
    organization, environment = payload["organization"], payload["environment"]
    choice, clock = Choice(**payload["choice"]), WallClock()
    with house.open_database(settings) as database:
        from tradewright.evaluation.evidence import Evidence
        from tradewright.learning.learners import GradientBoosting
        from tradewright.research.promotion import promote
        from tradewright.research.registry import Registry
        from tradewright.research.retraining import retrained
        from tradewright.research.trials import TrialLedger
        from tradewright.research.walk_forward import walk_forward

        place = Place(settings, database, organization, environment, choice)
        lesson = _lesson(place, clock.now_us(), lambda f, m: report(0.25 * f, f"data: {m}"))
        past = lesson.past
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
        schedule = registry.save_schedule(lesson.data_set, study, extended)
        supported = study.evidence is Evidence.SUPPORTED
        if supported and not registry.get(schedule).promoted:
            database.write(promote, organization, environment, schedule, now_us=clock.now_us())
        made = {
            "words": choice.words,
            "choice": asdict(choice),
            "data_set": lesson.data_set,
            "owner": lesson.owner,
            "data_version": lesson.data_version,
            "recorded_before": lesson.recorded_before_us,
            "start_row": len(past),
            "schedule": schedule,
            "evidence": study.evidence.value,
            "promoted": supported,
            "reason": "; ".join(study.reasons),
            "trained_until": format_us(int(past.times[-1])),
        }
        database.write(house_rows.put, f"prepared:{organization}:{environment}", made, clock.now_us())
    return made


@dataclass(frozen=True, slots=True)
class _Lesson:
    # owner: of the data set. past: what is learned from. data_version: of the panel that the feed plays, or, live, of
    # the past
    data_set: str
    owner: Owner
    past: Panel
    data_version: str
    recorded_before_us: int | None


def _lesson(place: Place, now_us: int, report: Report) -> _Lesson:
    from tradewright.market.files import ingest_data_set

    settings, choice = place.settings, place.choice
    catalog = house.open_catalog(settings, place.database)
    if choice.mode == "replay":
        ingest_data_set(catalog, place.database, choice.data_set, now_us, report)
        panel = catalog.panel(choice.data_set)
        return _Lesson(
            choice.data_set, SYSTEM, panel.rows(0, replay_start(panel, choice.rows)), panel.data_version, None
        )
    owner, name = live.learn_from(place, now_us, report), live.data_set_of(choice)
    before_us = WallClock().now_us() + 1
    past = catalog.panel(name, owner=owner, end_us=now_us, recorded_before_us=before_us)
    if len(past) < _MIN_TRAINING_ROWS:
        raise TooFewRows(
            f"{choice.source} has {len(past)} {choice.interval} bars of the last {choice.days} days, and at least "
            f"{_MIN_TRAINING_ROWS} are needed to learn from; set feed_days higher or feed_interval shorter"
        )
    return _Lesson(name, owner, past, past.data_version, before_us)
