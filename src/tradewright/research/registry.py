"""Where models and schedules are kept, with what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tradewright.clock import Clock, WallClock
from tradewright.errors import NotFound
from tradewright.learning.model import Model
from tradewright.learning.schedule import ModelSchedule, ScheduleEntry
from tradewright.market.instruments import Interval
from tradewright.research.events import ModelTrained
from tradewright.research.walk_forward import Study
from tradewright.storage import models as store
from tradewright.storage import outbox
from tradewright.storage.database import Database, Tx


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A stored schedule without its models: entries are model id, trained_before and valid_from (microseconds)."""

    id: str
    name: str
    entries: tuple[Mapping[str, Any], ...]
    lineage: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    evidence: str
    promoted: bool
    promotion: Mapping[str, Any] | None
    created_at: int

    @property
    def status(self) -> str:
        """What its signals are: `promoted` or `candidate`."""
        return "promoted" if self.promoted else "candidate"


class Registry:
    """The models and schedules of one organization in one environment. Saving the same content twice is one row."""

    def __init__(self, database: Database, organization: str, environment: str, clock: Clock | None = None) -> None:
        self._database = database
        self._where = (organization, environment)
        self._clock = clock or WallClock()

    def save_model(self, model: Model, trained_before_us: int) -> bool:
        """Store a model; return False when it was there. Raises InvalidInput for one that has no form as bytes."""
        return self._database.write(store.add_model, *self._where, self._model_row(model, trained_before_us))

    def load_model(self, model: str) -> Model:
        """Return a stored model, ready to predict. Raises NotFound."""
        data = self._database.read(store.get_artifact, *self._where, model)
        if data is None:
            raise NotFound(f"there is no model {model!r} here; GET /v1/models lists them", model=model)
        return Model.from_bytes(data)

    def get_model(self, model: str) -> dict[str, Any]:
        """Return id, kind, lineage, trained_before, created_at of a model. Raises NotFound."""
        row = self._database.read(store.get_model, *self._where, model)
        if row is None:
            raise NotFound(f"there is no model {model!r} here; GET /v1/models lists them", model=model)
        return row

    def list_models(
        self, after_id: str | None = None, limit: int = 50, descending: bool = False
    ) -> list[dict[str, Any]]:
        """Return models without their bytes, in the order of ids, those beyond `after_id`."""
        return self._database.read(store.list_models, *self._where, after_id, limit, descending)

    def save_schedule(self, name: str, study: Study, schedule: ModelSchedule | None = None) -> str:
        """Store a schedule with all its models and the study's evaluation, in one transaction; return its id.

        schedule: the study's when left out, or that with later entries. The first save of a schedule tells
        `model.trained`; another save of the same one changes nothing.
        """
        chosen = study.schedule if schedule is None else schedule
        rows = [self._model_row(e.model, e.trained_before_us) for e in chosen.entries]
        row = self._schedule_row(name, study, chosen)
        self._database.write(_save, self._where, rows, row)
        return chosen.id

    def load_schedule(self, schedule: str) -> ModelSchedule:
        """Return a stored schedule with its models loaded. Raises NotFound."""
        record = self.get(schedule)
        entries = [
            ScheduleEntry(self.load_model(e["model"]), int(e["trained_before"]), int(e["valid_from"]))
            for e in record.entries
        ]
        lineage = record.lineage
        interval = Interval.parse(lineage["interval"])
        return ModelSchedule(entries, lineage["horizon"], lineage["features"], interval, lineage["instruments"])

    def get(self, schedule: str) -> ScheduleRecord:
        """Return what is stored about a schedule. Raises NotFound."""
        row = self._database.read(store.get_schedule, *self._where, schedule)
        if row is None:
            raise NotFound(
                f"there is no model schedule {schedule!r} here; GET /v1/models lists them", schedule=schedule
            )
        return record_of(row)

    def latest(self, name: str) -> ScheduleRecord | None:
        """Return the schedule of this name stored last, None when there is none."""
        row = self._database.read(store.latest_schedule, *self._where, name)
        return None if row is None else record_of(row)

    def list(self, after_id: str | None = None, limit: int = 50, descending: bool = False) -> list[ScheduleRecord]:
        """Return schedules in the order of their ids, those beyond `after_id`."""
        rows = self._database.read(store.list_schedules, *self._where, after_id, limit, descending)
        return [record_of(row) for row in rows]

    def _model_row(self, model: Model, trained_before_us: int) -> dict[str, Any]:
        return {
            "id": model.id,
            "kind": model.kind,
            "lineage": dict(model.lineage),
            "artifact": model.to_bytes(),
            "trained_before": trained_before_us,
            "created_at": self._clock.now_us(),
        }

    def _schedule_row(self, name: str, study: Study, schedule: ModelSchedule) -> dict[str, Any]:
        return {
            "id": schedule.id,
            "name": name,
            "entries": [
                {"model": e.model.id, "trained_before": e.trained_before_us, "valid_from": e.valid_from_us}
                for e in schedule.entries
            ],
            "lineage": {
                "horizon": schedule.horizon,
                "features": list(schedule.features),
                "interval": schedule.interval.value,
                "instruments": list(schedule.instruments),
                "settings": study.settings,
            },
            "evaluation": study.to_summary(),
            "evidence": study.evidence.value,
            "promoted": False,
            "promotion": None,
            "created_at": self._clock.now_us(),
        }


def record_of(row: Mapping[str, Any]) -> ScheduleRecord:
    """Return the record that a stored row holds."""
    names = ("id", "name", "lineage", "evaluation", "evidence", "promoted", "promotion", "created_at")
    return ScheduleRecord(entries=tuple(row["entries"]), **{name: row[name] for name in names})


def _save(tx: Tx, where: tuple[str, str], models: list[dict[str, Any]], row: dict[str, Any]) -> None:
    for model in models:
        store.add_model(tx, *where, model)
    if store.add_schedule(tx, *where, row):
        told = ModelTrained(
            schedule=row["id"], name=row["name"], models=[m["id"] for m in models], evidence=row["evidence"]
        )
        outbox.append(tx, *where, [("model.trained", row["id"], None, msgspec.to_builtins(told))], row["created_at"])
