"""The whole line, from bars to evidence, on worlds whose truth is known: nothing is found where nothing is."""

from __future__ import annotations

import pytest

from tradewright.evaluation.evidence import Evidence
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.learning.models import GradientBoosting
from tradewright.research.walk_forward import Study, walk_forward

QUICK = GradientBoosting(trees=40, depth=3, leaves=8, learning_rate=0.08, seeds=2)


def _study(p: float, seed: int) -> Study:
    return walk_forward(QUICK, planted_sign_world(p, 2_000, 3, seed), horizon=1, splits=4)


@pytest.mark.parametrize("seed", range(10))
def test_a_world_without_a_signal_gives_no_evidence(seed: int) -> None:
    assert _study(0.5, seed).evidence is Evidence.NONE


@pytest.mark.parametrize("seed", range(10))
def test_a_world_with_six_right_of_ten_gives_evidence_and_no_more_accuracy_than_there_is(seed: int) -> None:
    study = _study(0.6, seed)
    assert study.evidence in (Evidence.WEAK, Evidence.SUPPORTED)
    assert study.forecast_statistics.hit_rate_low < 0.6
    assert study.forecast_statistics.hit_rate_high > 0.58
    assert study.forecast_statistics.brier is not None
    assert study.forecast_statistics.brier < study.forecast_statistics.brier_base
