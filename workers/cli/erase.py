"""`coinfleet erase`: forgets who a person was, for good; coins, purchases and gifts stay."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from db.erasure import Erasure, erase_profile
from db.errors import CoinfleetError, UnknownProfile
from db.reaching import reaching_store
from workers.cli.endings import CommandFailed, failed
from workers.cli.terminal import make_console
from workers.operator_settings import load_operator_settings


def command(
    profile: Annotated[UUID, typer.Argument(metavar="PROFILE", help="The profile's id, a uuid.")],
    *,
    reason: Annotated[
        str, typer.Option(help="Why; kept with the record of the erasure.")
    ] = "asked for by the person",
    requested_by: Annotated[
        str | None, typer.Option("--by", help="Who erases; your account's name by default.")
    ] = None,
) -> None:
    """Erase a person: profile, chat, links, follows, grid, fraud fields, payloads and sign-in.

    Can't be undone, may be repeated. The id and the books stay.
    """
    settings = load_operator_settings()
    try:
        erasure = asyncio.run(
            _erase(
                str(settings.database_url),
                profile,
                requested_by=requested_by or getpass.getuser(),
                reason=reason,
            )
        )
    except UnknownProfile as error:
        raise CommandFailed(f"coinfleet: no profile has the id {profile}") from error
    except CoinfleetError as error:
        raise failed(error) from error
    _show(make_console(), erasure, profile)


async def _erase(url: str, profile: UUID, *, requested_by: str, reason: str) -> Erasure:
    with reaching_store():
        return await erase_profile(url, profile, requested_by=requested_by, reason=reason)


def _show(console: Console, erasure: Erasure, profile: UUID) -> None:
    table = Table("cleared", "rows", box=None)
    for kind, rows in erasure.cleared.items():
        table.add_row(kind.replace("_", " "), str(rows))
    console.print(table)
    if erasure.open_events:
        console.print(
            f"{erasure.open_events} events about this person are still open and keep their"
            " payloads: erase again when they are finished."
        )
    if erasure.is_supabase:
        console.print(
            "Now delete the user softly in Supabase's auth service, which ends what it keeps"
            f' elsewhere:\n  supabase.auth.admin.deleteUser("{profile}", true)'
        )
