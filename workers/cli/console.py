"""`coinfleet console links|sessions|revoke`: who is signed in to the console, and ending that."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from db.console.sessions import list_sessions, revoke_sessions
from db.operating.sessions import owner_session
from workers.cli.endings import CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.origin import origin
from workers.cli.terminal import make_console, print_rows, write
from workers.cli.words import counted
from workers.embedded import DataFolder, DataFolderUnusable
from workers.settings import load_settings
from workers.sign_in_links import make_links

group = typer.Typer(
    no_args_is_help=True,
    help="Say who is signed in to the console and end that; print the links of a local fleet.",
)


@group.command("links")
def show_links() -> None:
    """Print the links again by which one signs in to the console of the fleet on this machine.

    They are those of its start, one per role. Exit 2 if no fleet with its own database runs.
    """
    folder = DataFolder(load_settings().coinfleet_data_dir)
    fleet = folder.read_fleet()
    if fleet is None and load_settings().database_url is None:
        raise CommandFailed(f"coinfleet: {folder.explain_no_fleet()}")
    # A fleet elsewhere, which DATABASE_URL names, has none either.
    if fleet is None or fleet.postgres_port is None or fleet.console_url is None:
        raise CommandFailed(
            "coinfleet: the fleet uses a database of its own, and has no links: people sign in at"
            " Supabase Auth or by a proxy"
        )
    try:
        secret = folder.link_secret()
    except DataFolderUnusable as error:
        raise CommandFailed(f"coinfleet: {error}") from error
    for role, link in make_links(fleet.console_url, secret).items():
        write(f"{role}: {link}")


@group.command("sessions")
def show_sessions() -> None:
    """List who is signed in to the console now, the newest session first."""
    settings = load_operator_settings()

    async def run() -> None:
        async with owner_session(str(settings.database_url), command="console") as connection:
            found = await list_sessions(connection)
        rows = [
            (
                [
                    each.person,
                    each.role,
                    each.aal,
                    f"{each.created_at:%Y-%m-%d %H:%M}Z",
                    f"{each.last_seen_at:%Y-%m-%d %H:%M}Z",
                ],
                "",
            )
            for each in found
        ]
        print_rows(make_console(), ["Person", "role", "proof", "signed in", "last seen"], rows)

    with one_line_errors():
        asyncio.run(run())


@group.command("revoke")
def revoke(
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="As `coinfleet console sessions` names them.")
    ],
) -> None:
    """End all sessions of a person at once; the next request of each is sent to sign in.

    Who may sign in again is decided at the sign-in service: take the role away there first. Exit 2
    if the person has no session.
    """
    settings = load_operator_settings()

    async def run() -> int:
        async with owner_session(str(settings.database_url), command="console") as connection:
            return await revoke_sessions(connection, person, by=origin())

    with one_line_errors():
        ended = asyncio.run(run())
    if not ended:
        raise CommandFailed(f"coinfleet: {person} has no session that goes on")
    write(f"{counted(ended, 'session')} of {person} ended")
