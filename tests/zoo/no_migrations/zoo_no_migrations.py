"""Name a folder of migrations in a package that is not there."""

import sqlalchemy as sa

from arthexis import Tables, hookimpl


@hookimpl
def register_tables():
    yield Tables(sa.MetaData(), "zoo_nobody:migrations")
