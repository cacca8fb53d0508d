"""In at least 95 of 100 worlds without a signal the engine says that there is no evidence."""

from __future__ import annotations

import pytest

from tradewright.evaluation.evidence import Evidence
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.learning.models import GradientBoosting
from tradewright.research.walk_forward import walk_forward


@pytest.mark.long
@pytest.mark.parametrize("clustering", [False, True], ids=["independent sizes", "clustered sizes"])
def test_at_least_95_of_100_say_no_evidence(clustering: bool) -> None:
    learner = GradientBoosting(trees=40, depth=3, leaves=8, learning_rate=0.08, seeds=2)
    found = []
    for seed in range(1_000, 1_100):
        world = planted_sign_world(0.5, 2_000, 3, seed, clustering=clustering)
        found.append(walk_forward(learner, world, horizon=1, splits=4).evidence)
    silent = sum(evidence is Evidence.NONE for evidence in found)
    assert silent >= 95, f"{silent} of 100 said none; the others {[e.value for e in found if e is not Evidence.NONE]}"
