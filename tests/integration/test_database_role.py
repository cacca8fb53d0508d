"""The API serves under a PostgreSQL role that can only add to the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tradewright.accounts import keys
from tradewright.app import house
from tradewright.errors import Conflict, InvalidInput, NotFound, StorageFailed
from tradewright.settings import Settings
from tradewright.storage import audit, grants, outbox, retention
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database, Tx
from tradewright.storage.migrations import upgrade
from tradewright.storage.tables import audit_log, metadata

NOW = 1_700_000_000_000_000
pytestmark = pytest.mark.postgres


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    """A role that was granted what serving needs."""
    name = f"API {uuid.uuid4().hex[:12]}"  # a name that must be quoted
    with Database(postgres_url) as owner:
        upgrade(owner)
        owner.write(lambda tx: tx.exec_driver_sql(f'CREATE ROLE "{name}" LOGIN'))
        owner.write(grants.grant, name)
        yield name
        owner.write(lambda tx: tx.exec_driver_sql(f'DROP OWNED BY "{name}"'))
        owner.write(lambda tx: tx.exec_driver_sql(f'DROP ROLE "{name}"'))


@pytest.fixture
def limited(postgres_url: str, role: str) -> Iterator[Database]:
    """The database as that role sees it, opened as a serving process opens it."""
    url = sa.make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    with house.open_database(Settings(database_url=url)) as database:
        yield database


def refused(database: Database, statement: str) -> str:
    with pytest.raises(sa.exc.ProgrammingError) as caught:
        database.write(lambda tx: tx.exec_driver_sql(statement))
    return str(caught.value.orig)


def test_what_serving_does_works_under_the_role(limited: Database) -> None:
    def work(tx: Tx) -> None:
        organization = house.ensure_organization(tx, NOW)
        key, _ = keys.create(tx, organization, "paper", "k", ["market:read"], NOW)
        audit.record(tx, organization, "paper", Actor(key, "key", address="127.0.0.1"), "probe", key, {}, NOW)
        outbox.append(tx, organization, "paper", [("api_key.created", key, None, {})], NOW)

    limited.write(work)
    assert limited.write(audit.seal, 10, NOW) == 1
    assert limited.write(outbox.sequence) == 1
    for rule in retention.RULES:
        limited.write(retention.delete_batch, rule, NOW + 500 * 86_400_000_000, 10)
    for name, table in metadata.tables.items():
        limited.read(lambda tx, table=table: tx.execute(sa.select(table).limit(1)).first())
        if name not in grants.ADD_ONLY:
            limited.write(lambda tx, table=table: tx.execute(table.delete().where(sa.false())).rowcount)


@pytest.mark.parametrize("table", ["audit_log", "audit_seals"])
def test_the_server_refuses_to_change_or_delete_what_was_audited(limited: Database, table: str) -> None:
    for statement in (
        f"UPDATE {table} SET organization = 'x'",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
    ):
        text = refused(limited, statement)
        assert "permission denied" in text or "must be owner" in text


def test_the_role_makes_no_tables_and_moves_no_revision(limited: Database) -> None:
    assert "permission denied" in refused(limited, "CREATE TABLE mine (id int)")
    assert "permission denied" in refused(limited, "UPDATE alembic_version SET version_num = '0000'")


def test_granting_again_takes_back_what_was_given_besides(postgres_url: str, role: str, limited: Database) -> None:
    with Database(postgres_url) as owner:
        owner.write(lambda tx: tx.exec_driver_sql(f'GRANT ALL ON audit_log TO "{role}"'))
        limited.write(lambda tx: tx.execute(audit_log.delete().where(sa.false())).rowcount)
        owner.write(grants.grant, role)
    assert "permission denied" in refused(limited, "DELETE FROM audit_log")


def test_a_role_from_which_nothing_can_be_kept_is_refused(postgres_url: str, role: str) -> None:
    with Database(postgres_url) as owner:
        with pytest.raises(Conflict, match="superuser"):
            owner.write(grants.grant, "tradewright")
        with pytest.raises(NotFound, match="CREATE ROLE"):
            owner.write(grants.grant, "nobody_of_this_name")
        with pytest.raises(NotFound):
            owner.write(grants.grant, "x; DROP TABLE audit_log")


def test_rights_that_reach_the_role_another_way_are_named(postgres_url: str, role: str) -> None:
    with Database(postgres_url) as owner:
        owner.write(lambda tx: tx.exec_driver_sql("GRANT DELETE ON audit_seals TO PUBLIC"))
        with pytest.raises(Conflict, match="DELETE on audit_seals"):
            owner.write(grants.grant, role)


def test_a_new_version_says_who_must_bring_the_tables_up_to_date(postgres_url: str, role: str) -> None:
    with Database(postgres_url) as owner:
        owner.write(lambda tx: tx.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'"))
    url = sa.make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    with pytest.raises(StorageFailed, match="tradewright db upgrade"):
        house.open_database(Settings(database_url=url))


def test_sqlite_has_no_roles(tmp_path: pytest.TempPathFactory) -> None:
    with Database(f"sqlite:///{tmp_path}/x.db") as database:
        upgrade(database)
        with pytest.raises(InvalidInput, match="SQLite knows no roles"):
            database.write(grants.grant, "api")
