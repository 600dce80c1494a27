"""`coinfleet database-url`: for psql and other tools."""

from __future__ import annotations

from workers.cli.operator_settings import load_operator_settings
from workers.cli.terminal import write


def command() -> None:
    """Print the database owner's address: DATABASE_URL, or the running fleet's."""
    write(str(load_operator_settings().database_url))
