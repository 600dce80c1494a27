"""`coinfleet database-url`: for psql and other tools."""

from __future__ import annotations

import typer

from workers.operator_settings import load_operator_settings


def command() -> None:
    """Print the database owner's address: DATABASE_URL, or the running fleet's."""
    typer.echo(load_operator_settings().database_url)
