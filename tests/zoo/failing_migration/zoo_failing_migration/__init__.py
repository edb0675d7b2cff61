"""Bring a migration that fails."""

import sqlalchemy as sa

from arthexis import Tables, hookimpl


@hookimpl
def register_tables():
    yield Tables(sa.MetaData(), "zoo_failing_migration:migrations")
