"""`coinfleet migrate`: the release by hand, how the database stands to it, or its files."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from db.errors import CoinfleetError
from db.export import export
from db.migrate import status
from db.schema import StatusRow
from workers.logs import configure_logging
from workers.operator_settings import load_operator_settings
from workers.release import release
from workers.settings import Settings


def command(
    *,
    show_status: Annotated[
        bool, typer.Option("--status", help="Change nothing; exit 1 unless all is applied.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--export", help="Write files for `supabase db push` instead.", file_okay=False
        ),
    ] = None,
) -> None:
    """Bring the database to this release's schema and rules; a second run finds nothing to do."""
    if folder is not None:
        _export(folder)
        return
    settings = load_operator_settings()
    configure_logging(settings.log_format)
    try:
        if show_status:
            _show_status(settings)
        else:
            typer.echo(f"{asyncio.run(release(settings))} steps applied")
    except CoinfleetError as error:
        sys.exit(f"coinfleet: {error}")


def _export(folder: Path) -> None:
    """Write what the folder lacks; no database is asked."""
    try:
        written = export(folder)
    except (CoinfleetError, OSError) as error:
        sys.exit(f"coinfleet: {error}")
    for path in written:
        typer.echo(path)
    typer.echo(f"{len(written)} files written")


def _show_status(settings: Settings) -> None:
    rows = asyncio.run(status(str(settings.database_url)))
    Console().print(_table(rows))
    raise typer.Exit(code=any(row.state != "applied" for row in rows))


def _table(rows: list[StatusRow]) -> Table:
    table = Table("kind", "name", "state", "applied at (UTC)", box=None)
    for row in rows:
        applied_at = row.applied_at.isoformat(sep=" ", timespec="seconds") if row.applied_at else ""
        table.add_row(row.kind, row.name, row.state, applied_at.removesuffix("+00:00"))
    return table
