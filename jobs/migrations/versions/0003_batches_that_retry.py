"""Batches that ask for the failed jobs of another one again

Runs before the new code: the old code goes on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("retry_of", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("batch", "retry_of")
