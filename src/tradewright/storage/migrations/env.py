"""Alembic's entry: runs the migrations on the connection it was handed."""

from alembic import context

from tradewright.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
