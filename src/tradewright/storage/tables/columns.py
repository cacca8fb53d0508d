"""What every table is made of."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Text

from tradewright.storage.types import Time

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def text(name: str, **rest: object) -> Column[str]:
    """Return a column of text, never empty unless `nullable` is given."""
    return Column(name, Text, nullable=bool(rest.pop("nullable", False)), **rest)  # type: ignore[arg-type]


def time(name: str, nullable: bool = False) -> Column[int]:
    """Return a column of microseconds."""
    return Column(name, Time, nullable=nullable)


def tenant() -> tuple[Column[str], Column[str]]:
    """Return the columns that say whose a row is."""
    return text("organization"), text("environment")
