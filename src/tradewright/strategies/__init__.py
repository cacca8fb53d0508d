"""The strategy contract and the strategies that ship."""

from tradewright.strategies.contract import KernelStrategy, Strategy, TargetKind, Targets
from tradewright.strategies.fixed import FixedTargets
from tradewright.strategies.hold import BuyAndHold
from tradewright.strategies.moving_average import MovingAverageCross
from tradewright.strategies.registry import STRATEGIES, code_hash, make, schema

__all__ = [
    "STRATEGIES",
    "BuyAndHold",
    "FixedTargets",
    "KernelStrategy",
    "MovingAverageCross",
    "Strategy",
    "TargetKind",
    "Targets",
    "code_hash",
    "make",
    "schema",
]
