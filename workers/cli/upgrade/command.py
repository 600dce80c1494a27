"""`coinfleet upgrade`: brings an older generation of the platform to this one, and proves it.

The options and the exit code; db/legacy does the work.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from db.errors import CoinfleetError
from db.legacy.upgrade import BATCH_ROWS, undo, upgrade
from db.release.generations import Generation
from workers.cli.endings import INTERRUPTED, failed
from workers.cli.operator_settings import load_operator_settings
from workers.cli.progress import progress
from workers.cli.terminal import make_console
from workers.cli.upgrade.report import show

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def command(
    *,
    generation: Annotated[
        Generation, typer.Option("--from", help="The generation that the database has now.")
    ],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Do it all in one transaction and roll back; meanwhile every old table is locked.",
        ),
    ] = False,
    users_table: Annotated[
        str | None,
        typer.Option(
            help="First generation: a schema.table with (user_id, profile_id); default: by e-mail."
        ),
    ] = None,
    batch_rows: Annotated[
        int, typer.Option(min=1, max=100_000, help="Rows per transaction.")
    ] = BATCH_ROWS,
    take_back: Annotated[
        bool, typer.Option("--undo", help="Put everything back; only before the fleet has worked.")
    ] = False,
) -> None:
    """Move an older platform to this schema; prove that nothing was lost. Stop the old app first.

    It may be interrupted; run again, it goes on where it was. Exit 1 unless the proof holds.
    """
    if take_back and (dry_run or users_table is not None):
        refused = "--dry-run" if dry_run else "--users-table"
        raise typer.BadParameter(f"can't be given with {refused}", param_hint="'--undo'")
    settings = load_operator_settings()
    console = make_console()
    try:
        if take_back:
            asyncio.run(undo(str(settings.database_url), generation))
            console.print("Everything is as it was before the upgrade.")
            return
        with progress(console) as bars:
            result = asyncio.run(
                upgrade(
                    str(settings.database_url),
                    generation,
                    dry_run=dry_run,
                    users_table=users_table,
                    batch_rows=batch_rows,
                    on_progress=Bars(bars),
                )
            )
    except CoinfleetError as error:
        raise failed(error) from error
    except KeyboardInterrupt:
        sys.stderr.write("coinfleet: interrupted; run the same command again to go on\n")
        sys.exit(INTERRUPTED)
    show(console, result, dry_run=dry_run)
    raise typer.Exit(code=not result.proof.holds)


class Bars:
    """One progress bar per step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._steps: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how many of a step's rows are done."""
        if step not in self._steps:
            self._steps[step] = self._bars.add_task(step, total=total)
        self._bars.update(self._steps[step], completed=done, total=total)
