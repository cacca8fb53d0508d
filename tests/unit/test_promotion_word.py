"""What promotions call supported evidence is what evidence calls it."""

from tradewright.evaluation.evidence import Evidence
from tradewright.research import promotion


def test_the_word_for_supported_evidence_is_that_of_evidence() -> None:
    assert Evidence.SUPPORTED.value == promotion.SUPPORTED
