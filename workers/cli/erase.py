"""`coinfleet erase`: removes who a person was, for good; coins, purchases and gifts stay."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console

from db.connections.address import Address
from db.connections.explanations import explained_errors
from db.erasure import Erasure, erase_profile
from db.errors import CoinfleetError, UnknownProfile
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed, failed
from workers.cli.operator_settings import load_operator_settings
from workers.cli.terminal import make_console, print_lines, print_rows
from workers.cli.words import counted
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def command(
    profile: Annotated[UUID, typer.Argument(metavar="PROFILE", help="The profile's id, a uuid.")],
    *,
    reason: Annotated[
        str, typer.Option(help="Why; kept with the record of the erasure.")
    ] = "asked for by the person",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be cleared, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask on a terminal.")] = False,
    requested_by: Annotated[
        str | None,
        typer.Option("--by", help="Who erases; default: the name of your account, or its number."),
    ] = None,
) -> None:
    """Erase a person: profile, chat, links, follows, grid, fraud fields, payloads and sign-in.

    It can't be undone, and may be repeated. The profile's id and the books stay. On a terminal it
    asks before it begins.
    """
    if not reason.strip():
        raise typer.BadParameter("must say why", param_hint="'--reason'")
    settings = load_operator_settings()
    if not (dry_run or yes) and sys.stdin.isatty():
        _ask(profile, settings)
    try:
        erasure = asyncio.run(
            _erase(
                str(settings.database_url),
                profile,
                requested_by=requested_by or account(),
                reason=reason,
                dry_run=dry_run,
            )
        )
    except UnknownProfile as error:
        raise CommandFailed(f"coinfleet: no profile has the id {profile}") from error
    except CoinfleetError as error:
        raise failed(error) from error
    _show(make_console(), erasure, profile, dry_run=dry_run)


def account() -> str:
    """Return the name of the account that runs this, or its number: in a container it has none."""
    try:
        return getpass.getuser()
    # KeyError until Python 3.12, OSError since.
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _ask(profile: UUID, settings: Settings) -> None:
    """Ask whether this is intended; end the command if it is not."""
    where = Address.parse(str(settings.database_url))
    database = f"{where.database} at {where}"
    sys.stderr.write(f"Erase {profile} for good, in the database {database}? Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise CommandFailed("coinfleet: nothing was erased", code=NEEDS_A_PERSON)


async def _erase(
    url: str, profile: UUID, *, requested_by: str, reason: str, dry_run: bool
) -> Erasure:
    with explained_errors():
        return await erase_profile(
            url, profile, requested_by=requested_by, reason=reason, dry_run=dry_run
        )


def _show(console: Console, erasure: Erasure, profile: UUID, *, dry_run: bool) -> None:
    title = "would be cleared" if dry_run else "cleared"
    rows = [([kind.replace("_", " "), f"{rows:,}"], "") for kind, rows in erasure.cleared.items()]
    print_rows(console, [title, "rows"], rows)
    print_lines(console, _open(erasure))
    if dry_run:
        console.print("Nothing was changed.")
    elif erasure.is_supabase:
        console.print(
            "Now delete the user softly in Supabase's auth service, which ends what it keeps"
            f' elsewhere:\n  supabase.auth.admin.deleteUser("{profile}", true)'
        )


def _open(erasure: Erasure) -> Iterator[str]:
    """Yield what still says something of the person, and until when."""
    if erasure.open_events:
        yield (
            f"still open: {counted(erasure.open_events, 'event')} about this person, with payload:"
            " erase again when none is held or waits"
        )
    if erasure.open_messages:
        yield (
            f"still to be sent: {counted(erasure.open_messages, 'message')} to the app about this"
            " person, which it must hear of first: erase again when none waits"
        )
    if erasure.open_calls:
        yield (
            f"still to be made: {counted(erasure.open_calls, 'call')} to providers about this"
            " person's payments: erase again when none waits"
        )
