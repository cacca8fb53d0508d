"""A PostgreSQL role for the serving processes: it reads and writes rows, and can only add to the audit log."""

from __future__ import annotations

import sqlalchemy as sa

from tradewright.errors import Conflict, InvalidInput, NotFound
from tradewright.storage.database import Tx
from tradewright.storage.tables import audit_log, audit_seals, metadata

ADD_ONLY = (audit_log.name, audit_seals.name)
"""Tables whose rows nobody changes or deletes."""


def grant(tx: Tx, role: str) -> list[str]:
    """Give a role what serving needs and no more; return what was done, as statements.

    To be run as the owner of the tables, after every migration too. The role makes and changes no tables. Raises
    InvalidInput for SQLite, which knows no roles, NotFound for a role that does not exist, Conflict for one that has
    more rights than can be taken from it.
    """
    if tx.dialect.name != "postgresql":
        raise InvalidInput("SQLite knows no roles: who can write the file can write all of it; use PostgreSQL for this")
    _require_plain(tx, role)
    name = tx.dialect.identifier_preparer.quote_identifier(role)
    schema = tx.dialect.identifier_preparer.quote_identifier(
        str(tx.execute(sa.text("SELECT current_schema()")).scalar())
    )
    others = [table for table in metadata.tables if table not in ADD_ONLY]
    statements = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}",
        f"REVOKE CREATE ON SCHEMA {schema} FROM {name}, PUBLIC",
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_named(tx, others)} TO {name}",
        f"GRANT SELECT, INSERT ON {_named(tx, ADD_ONLY)} TO {name}",
        f"GRANT SELECT ON {_named(tx, ['alembic_version'])} TO {name}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {name}",
    ]
    for statement in statements:
        tx.exec_driver_sql(statement)
    _require_kept_from(tx, role)
    return statements


def _require_kept_from(tx: Tx, role: str) -> None:
    # what a group that the role belongs to, or everybody, was given reaches it too
    held = [
        f"{right} on {table}"
        for table in ADD_ONLY
        for right in ("UPDATE", "DELETE", "TRUNCATE")
        if tx.execute(sa.select(sa.func.has_table_privilege(role, table, right))).scalar_one()
    ]
    if tx.execute(sa.select(sa.func.has_schema_privilege(role, sa.func.current_schema(), "CREATE"))).scalar_one():
        held.append("CREATE on the schema")
    if held:
        raise Conflict(
            f"the role {role!r} would still hold {', '.join(held)}, through a group or because everybody does; take "
            "that away first"
        )


def _named(tx: Tx, tables: list[str] | tuple[str, ...]) -> str:
    return ", ".join(tx.dialect.identifier_preparer.quote_identifier(table) for table in tables)


def _require_plain(tx: Tx, role: str) -> None:
    query = sa.text(
        "SELECT rolsuper, oid = (SELECT relowner FROM pg_class WHERE oid = 'audit_log'::regclass) AS owns "
        "FROM pg_roles WHERE rolname = :role"
    )
    found = tx.execute(query, {"role": role}).first()
    if found is None:
        raise NotFound(
            f"there is no role {role!r} in this database; make it with CREATE ROLE {role} LOGIN PASSWORD '...'",
            role=role,
        )
    if found.rolsuper or found.owns:
        what = "is a superuser" if found.rolsuper else "owns the tables"
        raise Conflict(f"the role {role!r} {what}, so nothing can be kept from it; make another one for the API")
