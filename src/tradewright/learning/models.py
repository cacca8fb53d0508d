"""The learners a user names: `tw.models.GradientBoosting()`."""

from tradewright.learning.learners import GradientBoosting, LinearBaseline

__all__ = ["GradientBoosting", "LinearBaseline"]
