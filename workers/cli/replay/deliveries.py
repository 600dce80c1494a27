"""`coinfleet replay deliveries`: has messages to the app sent again, and ends their pause."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from db.outbox.deliveries import (
    Order,
    Pause,
    Wanted,
    find_messages,
    read_pause,
    replay_session,
    send_again,
)
from workers.cli.endings import CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.origin import origin
from workers.cli.terminal import write
from workers.cli.times import read_time
from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from datetime import datetime

# No money moves and the app tells a repeated message by its id, so no reason need be given.
UNSAID = "no reason given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done, or would be. The field names are the keys of `--json`."""

    dry_run: bool
    found: int
    sent_again: int
    """Less than `found` if a worker sends some of them at this moment."""
    erased: int
    pause: Pause | None
    """The pause that ended."""


def command(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="Of these webhook-ids.")
    ] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Those that were given up.")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", help="All that were written then or later, in UTC, taken or not."),
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why; kept for good.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many, and change nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Have messages to the app sent again, and end the pause that it asked for with 410.

    Without an option: those that wait, now and not when their pause is over. Each keeps its
    webhook-id, by which the app tells a repeated one. A message that the app took is kept for 7
    days; what it says of a person who was erased is gone.
    """
    if sum((bool(ids), dead, since is not None)) > 1:
        raise typer.BadParameter("say which in one way: by ids, --dead or --since")
    wanted = Wanted(dead=dead, since=_time(since), names=ids or ())
    order = Order(
        typed_by=origin(),
        reason=why.strip() or UNSAID,
        detail={"dead": dead, "since": since, "names": list(ids or ())},
    )
    url = str(load_operator_settings().database_url)
    with one_line_errors():
        done = asyncio.run(_replay(url, wanted, order, dry_run=dry_run))
    if ids and not (done.found or done.erased):
        raise CommandFailed("coinfleet: no message has such a webhook-id, or it is older than 7 d")
    write(msgspec.json.encode(done).decode() if as_json else _said(done))


async def _replay(url: str, wanted: Wanted, order: Order, *, dry_run: bool) -> Done:
    async with replay_session(url) as connection:
        pause = await read_pause(connection)
        found = await find_messages(connection, wanted)
        sent_again = len(found.ids)
        if not dry_run:
            sent_again, _ = await send_again(connection, found.ids, order)
    return Done(
        dry_run=dry_run,
        found=len(found.ids),
        sent_again=sent_again,
        erased=found.erased,
        pause=pause,
    )


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else read_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--since'") from error


def _said(done: Done) -> str:
    verb = "would be sent" if done.dry_run else "will be sent"
    lines = [f"{counted(done.sent_again, 'message')} {verb} again, each under its id"]
    if in_hand := done.found - done.sent_again:
        lines.append(f"{counted(in_hand, 'message')} in the hands of a worker just now")
    if done.erased:
        lines.append(f"{counted(done.erased, 'message')} can't be sent: their person was erased")
    if done.pause is not None:
        ends = "would end" if done.dry_run else "has ended"
        age = duration(done.pause.paused_s)
        lines.append(f"the pause of {age} {ends} ({done.pause.reason})")
    return "\n".join(lines)
