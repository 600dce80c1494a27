"""`coinfleet migrate`: the release by hand, its state in the database, or its files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from db.release.export import export
from db.release.plan import StatusRow
from db.release.runner import status
from workers.cli.endings import CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.terminal import make_console, print_rows, write
from workers.cli.words import counted
from workers.logs import configure_logging
from workers.release import release
from workers.settings import Settings


def command(
    *,
    show_status: Annotated[
        bool, typer.Option("--status", help="Change nothing; exit 1 unless everything is applied.")
    ] = False,
    folder: Annotated[
        str | None,
        typer.Option(
            "--export", metavar="<dir>", help="Write files for `supabase db push` instead."
        ),
    ] = None,
) -> None:
    """Bring the database to this release's schema and rules; a second run changes nothing.

    What was lost since, for example by a restore without the roles, is made again. Exit 1 if only a
    person can undo something: rights or policies that somebody added, or what a table lost.
    """
    if folder is not None and show_status:
        raise typer.BadParameter("can't be given with --status", param_hint="'--export'")
    if folder is not None:
        # As a path the empty value of an unset variable would mean the current folder.
        if not folder.strip():
            raise typer.BadParameter("names no folder", param_hint="'--export'")
        _export(Path(folder))
        return
    settings = load_operator_settings()
    configure_logging(settings.log_format)
    with one_line_errors():
        if show_status:
            _show_status(settings)
        else:
            report = asyncio.run(release(settings))
            write(f"{counted(len(report.steps), 'step')} applied")
            if report.profiles_made:
                write(f"{counted(report.profiles_made, 'profile')} made for older users")
            if report.sequences_mended:
                mended = counted(report.sequences_mended, "sequence")
                write(f"{mended} moved past the newest row")
            # The release has logged each of them.
            raise typer.Exit(code=bool(report.different))


def _export(folder: Path) -> None:
    """Write the files that the folder lacks; ask no database."""
    try:
        with one_line_errors():
            written = export(folder)
    except OSError as error:
        raise CommandFailed(
            f"coinfleet: {error.filename or folder} can't be written ({error.strerror or error})"
        ) from error
    for path in written:
        write(str(path))
    write(f"{counted(len(written), 'file')} written")


def _show_status(settings: Settings) -> None:
    rows = asyncio.run(status(str(settings.database_url)))
    print_rows(make_console(), ["kind", "name", "state", "applied at (UTC)"], map(_row, rows))
    raise typer.Exit(code=any(row.state != "applied" for row in rows))


def _row(row: StatusRow) -> tuple[list[str], str]:
    applied_at = row.applied_at.isoformat(sep=" ", timespec="seconds") if row.applied_at else ""
    return [row.kind, row.name, row.state, applied_at.removesuffix("+00:00")], ""
