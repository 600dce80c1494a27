"""`coinfleet explain`: what happened to anything that has an id, in plain words.

It changes nothing and shows no payload.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from db.operating.sessions import owner_session
from db.operating.stories import tell
from db.operating.subjects import KINDS, find_subjects
from tasks.payment_events import interpret_event
from tasks.providers import PROVIDERS
from workers.cli.endings import CommandFailed, one_line_errors
from workers.cli.explain.words import heading, lines
from workers.cli.operator_settings import load_operator_settings
from workers.cli.terminal import make_console, print_lines, write
from workers.providers import build_providers

if TYPE_CHECKING:
    from db.operating.stories import Story
    from db.operating.subjects import Subject
    from workers.settings import Settings

UNKNOWN = 2


def command(
    typed: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Of an event, payment, charge, session, order, refund, dispute, purchase, gift,"
            " profile, stream, decision or call, ours or the provider's.",
        ),
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Tell the story of an id: what came when, what became of it, who decided, which coins moved.

    If several things have the id, they are named: `event:42` means the event. Payloads are never
    shown. Exit 2 if nothing has the id.
    """
    settings = load_operator_settings()
    with one_line_errors():
        subject, story = asyncio.run(_explain(settings, typed.strip()))
    if as_json:
        write(msgspec.json.encode({"subject": subject, "story": story}).decode())
    else:
        console = make_console()
        print_lines(console, [heading(subject), ""])
        print_lines(console, lines(story))


async def _explain(settings: Settings, typed: str) -> tuple[Subject, Story]:
    providers = build_providers(settings)
    async with owner_session(str(settings.database_url), command="explain") as connection:
        found = await find_subjects(connection, typed, providers=[p.name for p in PROVIDERS])
        # The payment of a refund or dispute is the same story as its own.
        if len({(each.kind, each.key) for each in found}) > 1:
            raise CommandFailed(_choice(found), code=UNKNOWN)
        if not found:
            raise CommandFailed(
                "coinfleet: nothing has this id. It may be one of a provider or ours, as a number"
                f" also with its kind: {', '.join(f'{kind}:42' for kind in KINDS[:2])}",
                code=UNKNOWN,
            )
        story = await tell(
            connection, found[0], interpret=lambda event: interpret_event(providers, event)
        )
        return found[0], story


def _choice(found: list[Subject]) -> str:
    named = "; ".join(f"{each.kind}:{each.key} ({each.hint})" for each in found)
    return f"coinfleet: several things have this id, so name one of them: {named}"
