"""A revision that fails."""

revision = "0001_first"
down_revision = None


def upgrade():
    raise RuntimeError("the disk of the author was different")


def downgrade():
    pass
