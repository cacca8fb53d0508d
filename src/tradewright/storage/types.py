"""Column types that keep their promises on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


class Money(sa.types.TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC(38, 18) on PostgreSQL, canonical text on SQLite (whose NUMERIC is a float)."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(38, 18))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError(f"money must be a finite Decimal, got {value!r}")
        return value if dialect.name == "postgresql" else plain(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else Decimal(plain(Decimal(value)))

    def result_processor(self, dialect: sa.Dialect, coltype: Any) -> Any:
        if dialect.name == "postgresql":
            return super().result_processor(dialect, coltype)
        return _of_text


def _of_text(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)  # the text is canonical already


class MoneyText(Money):
    """What `Money` holds, read as the text that `plain` writes: for readers that only show it."""

    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: Any) -> Any:
        if dialect.name != "postgresql":
            return None  # the text is canonical already
        return lambda value: None if value is None else plain(Decimal(value))


def plain(value: Decimal) -> str:
    """Return the one way a decimal is written: no exponent, no trailing zeros, no minus zero."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Json(sa.types.TypeDecorator[Any]):
    """JSON with sorted keys and no spaces, so that equal values are equal bytes: JSONB or text."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.JSON(none_as_null=True))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return value if dialect.name == "postgresql" else _of_json(value)

    def result_processor(self, dialect: sa.Dialect, coltype: Any) -> Any:
        return super().result_processor(dialect, coltype) if dialect.name == "postgresql" else _of_json


def _of_json(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)


Time = sa.BigInteger
"""Microseconds since 1970, UTC."""
