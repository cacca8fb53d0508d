"""What research works with: strategies, features, data sets."""

from __future__ import annotations

from typing import Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.wire import Rfc3339, moment
from tradewright.features.catalogue import FEATURES
from tradewright.ids import Owner
from tradewright.storage import series
from tradewright.strategies import registry


class Strategy(msgspec.Struct, frozen=True):
    """A strategy by name. schema: JSON schema of its parameters."""

    name: str
    description: str
    schema: dict[str, Any]


class Strategies(msgspec.Struct, frozen=True):
    """Every strategy that a backtest can name."""

    data: list[Strategy]


class Feature(msgspec.Struct, frozen=True):
    """A causal feature. warm_up: bars before its first value. needs: the columns it reads."""

    name: str
    description: str
    warm_up: int
    needs: list[str]


class Features(msgspec.Struct, frozen=True):
    """Every feature a model can learn from."""

    data: list[Feature]


class DataSet(msgspec.Struct, frozen=True):
    """A named, versioned list of series."""

    name: str
    version: int
    note: str
    instruments: list[str]
    created_at: Rfc3339


class DataSets(msgspec.Struct, frozen=True):
    """Every data set of this installation."""

    data: list[DataSet]


async def _strategies(call: Call) -> Strategies:
    schemas = {name: registry.schema(name) for name in sorted(registry.STRATEGIES)}
    return Strategies([Strategy(name, schema["description"], schema) for name, schema in schemas.items()])


async def _features(call: Call) -> Features:
    found = (FEATURES[name] for name in sorted(FEATURES))
    return Features([Feature(f.name, f.description, f.warm_up, list(f.needs)) for f in found])


async def _data_sets(call: Call) -> DataSets:
    rows = await call.services.database.read_replica_async(series.list_data_sets, Owner(call.principal.organization))
    return DataSets(
        [
            DataSet(
                row["name"],
                row["version"],
                row["note"],
                [member["instrument"] for member in row["series"]],
                moment(row["created_at"]) or "",
            )
            for row in rows
        ]
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/strategies", "list_strategies", "Strategies by name", "research", "research:read",
        _strategies, Strategies, cacheable=True,
        description="What a backtest can name, with the JSON schema of its parameters.",
    ),
    Operation(
        "GET", "/v1/features", "list_features", "Features by name", "research", "research:read", _features, Features,
        cacheable=True, description="What a model can learn from: causal, with the bars before its first value.",
    ),
    Operation(
        "GET", "/v1/data-sets", "list_data_sets", "Data sets by name", "research", "market:read", _data_sets, DataSets,
        cacheable=True, description="Every version of every named list of series.",
    ),
]  # fmt: skip
