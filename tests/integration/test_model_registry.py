"""Models and schedules are kept per organization and environment, and promoted by evidence or by a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tradewright.clock import FixedClock
from tradewright.errors import Conflict, InvalidInput, NotFound
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.sets import FeatureSet
from tradewright.learning.models import GradientBoosting
from tradewright.research.promotion import override, promote
from tradewright.research.registry import Registry
from tradewright.research.trials import TrialLedger
from tradewright.research.walk_forward import Study, walk_forward
from tradewright.storage.database import Database
from tradewright.storage.tables import model_schedules, models, outbox, trials
from tradewright.strategies.model import ModelStrategy

WORLD = planted_sign_world(0.5, 900, 2, seed=1)
LEARNER = GradientBoosting(trees=8, depth=3, leaves=7, seeds=1)


def _walk(ledger: TrialLedger | None = None, seed: int = 7) -> Study:
    features = FeatureSet(("return_1", "volatility_20", "field:x"))
    return walk_forward(LEARNER, WORLD, horizon=1, splits=2, features=features, ledger=ledger, seed=seed)


@pytest.fixture(scope="module")
def study() -> Study:
    return _walk()


def _registry(database: Database, organization: str = "org_a", environment: str = "paper") -> Registry:
    return Registry(database, organization, environment, FixedClock())


def _count(database: Database, table: sa.Table, **where: Any) -> int:
    found = sa.select(sa.func.count()).select_from(table).where(*(table.c[k] == v for k, v in where.items()))
    return int(database.read(lambda tx: tx.execute(found).scalar_one()))


def test_a_schedule_comes_back_with_the_same_models_and_targets(database: Database, study: Study) -> None:
    registry = _registry(database)
    schedule = registry.save_schedule("main", study)
    loaded = registry.load_schedule(schedule)
    assert loaded.id == schedule == study.schedule.id
    assert [e.model.id for e in loaded.entries] == [e.model.id for e in study.schedule.entries]
    ours, theirs = (ModelStrategy(s).targets(WORLD).values for s in (study.schedule, loaded))
    assert np.array_equal(ours, theirs, equal_nan=True)
    record = registry.get(schedule)
    assert (record.name, record.status, record.evidence) == ("main", "candidate", "none")
    assert record.evaluation["settings"]["seed"] == 7
    assert registry.latest("main") == record
    assert registry.latest("other") is None


def test_saving_the_same_content_twice_is_one_row_and_one_event(database: Database, study: Study) -> None:
    registry = _registry(database)
    assert registry.save_schedule("main", study) == registry.save_schedule("main", _walk())
    entry = study.schedule.entries[0]
    assert registry.save_model(entry.model, entry.trained_before_us) is False
    assert _count(database, model_schedules) == 1
    assert _count(database, models) == 2
    assert _count(database, outbox, type="model.trained") == 1


def test_another_organization_or_environment_sees_nothing(database: Database, study: Study) -> None:
    schedule = _registry(database).save_schedule("main", study)
    model = study.schedule.entries[0].model.id
    for other in (_registry(database, "org_b"), _registry(database, environment="live")):
        assert other.list() == []
        assert other.list_models() == []
        for ask in (lambda r=other: r.get(schedule), lambda r=other: r.load_schedule(schedule)):
            with pytest.raises(NotFound):
                ask()
        for ask in (lambda r=other: r.get_model(model), lambda r=other: r.load_model(model)):
            with pytest.raises(NotFound):
                ask()
        assert other.save_schedule("main", study) == schedule


def test_lists_go_on_from_a_cursor_in_both_directions(database: Database, study: Study) -> None:
    registry = _registry(database)
    registry.save_schedule("main", study)
    registry.save_schedule("main", _walk(seed=8))
    rows = registry.list_models(limit=3)
    rest = registry.list_models(after_id=rows[-1]["id"])
    names = [row["id"] for row in (*rows, *rest)]
    assert len(names) == 4
    assert names == sorted(names)
    assert [row["id"] for row in registry.list_models(descending=True)] == names[::-1]
    assert registry.list_models(after_id=names[1], descending=True)[0]["id"] == names[0]
    assert "artifact" not in rows[0]
    first, second = registry.list()
    assert registry.list(after_id=first.id) == [second]


def test_without_support_only_a_person_with_a_reason_promotes(database: Database, study: Study) -> None:
    registry = _registry(database)
    schedule = registry.save_schedule("main", study)
    where = ("org_a", "paper", schedule)
    with pytest.raises(Conflict, match="is 'none' and promotion needs 'supported'"):
        database.write(promote, *where, now_us=5)
    for person, reason in (("", "because"), ("usr_1", "  ")):
        with pytest.raises(InvalidInput, match="person who takes it and the reason"):
            database.write(override, *where, person=person, reason=reason, now_us=5)
    assert registry.get(schedule).status == "candidate"
    database.write(override, *where, person="usr_1", reason="watched it for a year", now_us=6)
    record = registry.get(schedule)
    assert record.status == "promoted"
    assert record.promotion == {
        "by": "usr_1",
        "override": True,
        "reason": "watched it for a year",
        "at": 6,
        "evidence": "none",
    }
    assert _count(database, outbox, type="model.promoted", subject=schedule) == 1
    with pytest.raises(Conflict, match="promoted already"):
        database.write(override, *where, person="usr_1", reason="again", now_us=7)
    with pytest.raises(NotFound):
        database.write(promote, "org_b", "paper", schedule, now_us=5)


def test_supported_evidence_promotes(database: Database) -> None:
    world = planted_sign_world(0.65, 1_500, 3, seed=2)
    ledger = TrialLedger(database, "org_a", "paper")
    learner = replace(LEARNER, trees=30, learning_rate=0.1)
    found = walk_forward(learner, world, horizon=1, splits=2, ledger=ledger)
    schedule = _registry(database).save_schedule("main", found)
    assert _registry(database).get(schedule).evidence == "supported"
    database.write(promote, "org_a", "paper", schedule, now_us=9)
    record = _registry(database).get(schedule)
    assert record.status == "promoted"
    assert record.promotion is not None
    assert record.promotion["override"] is False


def test_a_study_is_one_trial_and_its_baseline_an_audit(database: Database) -> None:
    ledger = TrialLedger(database, "org_a", "paper")
    _walk(ledger)
    assert _count(database, trials, purpose="research") == 1
    assert _count(database, trials, purpose="audit") == 1
    _walk(ledger, seed=8)
    assert _count(database, trials, purpose="research") == 2
