"""What a replay is given: a strategy that was never called, and rows behind which there is nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from tradewright.market.panel import COLUMNS, PRICES, Panel
from tradewright.market.verdicts import Finding, Verdict

S = TypeVar("S")
_ARRAYS = ("times", *COLUMNS, "present", "tradable", "member")


def isolated(panel: Panel, start: int, stop: int) -> Panel:
    """Return rows start..stop-1 as a panel whose arrays are copies: no later row can be reached from them."""
    part = panel.rows(start, stop)
    for name in _ARRAYS:
        object.__setattr__(part, name, getattr(part, name).copy())
    object.__setattr__(part, "fields", MappingProxyType({name: a.copy() for name, a in part.fields.items()}))
    if part.fx is not None:
        object.__setattr__(part, "fx", part.fx.copy())
    return part


def scrambled(panel: Panel, start: int, stop: int, keep: int, draw: np.random.Generator) -> Panel:
    """Return `isolated` rows of which only the first `keep` are real.

    The others are in another order, with prices changed by about 2% each, and some gaps between their times are twice
    as long: neither prices nor dates tell what the real rows were.
    """
    part = isolated(panel, start, stop)
    count = len(part) - keep
    order = keep + draw.permutation(count)
    scale = np.exp(draw.normal(0.0, 0.02, (count, part.shape[1])))
    changed: dict[str, Any] = {name: getattr(part, name) for name in _ARRAYS[1:]}
    changed |= {f"field {name}": array for name, array in part.fields.items()}
    if part.fx is not None:
        changed["fx"] = part.fx
    for name, array in changed.items():
        array[keep:] = array[order]
        if name in PRICES:
            array[keep:] *= scale
    gaps = np.diff(part.times[max(keep - 1, 0) :])
    stretched = np.cumsum(gaps * np.where(draw.random(len(gaps)) < 0.125, 2, 1))
    part.times[len(part) - len(gaps) :] = part.times[max(keep - 1, 0)] + stretched
    return part


def copier(strategy: S) -> tuple[Callable[[], S], tuple[Finding, ...]]:
    """Return a function that gives copies of `strategy` as it is now, and what hinders that.

    A strategy that cannot be copied is given itself, with the finding `causality.not_copied`: what it keeps between two
    calls is then not seen.
    """
    why = "its copy is the strategy itself"
    try:
        pristine = copy.deepcopy(strategy)
    except Exception as error:  # noqa: BLE001 - whatever the strategy's own attributes raise
        pristine, why = strategy, f"{type(error).__name__}: {error}"
    if pristine is not strategy:
        return lambda: copy.deepcopy(pristine), ()
    words = f"the strategy cannot be copied ({why[:200]}), so what it keeps from one call to the next was not checked"
    return lambda: strategy, (Finding("causality.not_copied", Verdict.USABLE, words),)
