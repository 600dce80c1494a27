"""`coinfleet purchases`: a person decides what is held, and answers what stores ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from db.approvals import decisions
from db.approvals.decisions import DecisionRefused, Look, NotYours
from db.errors import DecidedBefore, DecidedMeanwhile, NoPrice, Refused, UnknownProfile
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed
from workers.cli.purchases import freezes, inquiries
from workers.cli.purchases.asking import ask, write_json
from workers.cli.purchases.outlook import Outlook, outlook_of
from workers.cli.purchases.report import show_held, show_purchase, tell
from workers.cli.purchases.words import NO_PRICE, done, story
from workers.cli.terminal import make_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from db.connections.pool import Connection

SHOWN = 100

group = typer.Typer(
    help="Show what is held or frozen, and decide it; answer what stores ask about refunds.",
    no_args_is_help=True,
    add_completion=False,
)
group.command("inquiries")(inquiries.list_inquiries)
group.command("answer")(inquiries.answer)
group.command("frozen")(freezes.list_frozen)
group.command("release")(freezes.release)

Id = Annotated[int, typer.Argument(metavar="ID", help="The purchase's id, as `held` shows it.")]
IsEvent = Annotated[
    bool, typer.Option("--event", help="ID is an event's, which is held without a purchase.")
]
Reason = Annotated[str, typer.Option(help="Why; kept for good, so name nobody in it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
WithoutRefund = Annotated[
    bool, typer.Option("--without-refund", help="Ask the provider for no refund.")
]


@group.command("held")
def held(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most so many.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person, or for the refund of a rejection; the oldest first.

    Exit 1 if something waits for a person.
    """
    found = ask(lambda connection: decisions.read_held(connection, limit=limit))
    if as_json:
        write_json({"held": found})
    else:
        show_held(make_console(), found, is_cut=len(found) == limit)
    if any(each.waits_for != "refund" for each in found):
        raise typer.Exit(code=NEEDS_A_PERSON)


@group.command("show")
def show(purchase: Id, *, as_json: AsJson = False) -> None:
    """Say why a purchase is held, and exactly what a decision would do.

    Each decision is tried in a transaction that is rolled back.
    """
    outlook = ask(lambda connection: _look(connection, purchase))
    if as_json:
        write_json(outlook)
    else:
        show_purchase(make_console(), outlook)


@group.command("approve")
def approve(
    purchase: Id,
    *,
    reason: Reason,
    coins: Annotated[
        int | None, typer.Option(min=1, help="Fewer coins, for a wrong amount or product.")
    ] = None,
    is_event: IsEvent = False,
    buyer: Annotated[
        UUID | None, typer.Option(help="With --event: the profile whose payment it is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Approve a held purchase, which credits its coins; or say whose payment an event tells of.

    Exit 1 if somebody decided it before.
    """
    _check_reason(reason)
    if is_event != (buyer is not None) or (is_event and coins is not None):
        raise typer.BadParameter(
            "an event needs --buyer and takes no --coins", param_hint="--event"
        )

    async def decide(connection: Connection) -> object:
        if buyer is None:
            return await decisions.approve(connection, purchase, reason=reason, coins=coins)
        return await decisions.attribute_event(
            connection, purchase, profile_id=buyer, reason=reason
        )

    _decide(purchase, decide, is_event=is_event, as_json=as_json)


@group.command("reject")
def reject(
    purchase: Id,
    *,
    reason: Reason,
    without_refund: WithoutRefund = False,
    is_event: IsEvent = False,
    as_json: AsJson = False,
) -> None:
    """Reject a held purchase: its payment is refunded at the provider.

    Exit 1 if somebody decided it before.
    """
    _check_reason(reason)

    async def decide(connection: Connection) -> object:
        verb = decisions.reject_event if is_event else decisions.reject
        return await verb(connection, purchase, reason=reason, without_refund=without_refund)

    _decide(purchase, decide, is_event=is_event, as_json=as_json)


async def _look(connection: Connection, purchase_id: int) -> Outlook:
    look = await _found(connection, purchase_id)
    return await outlook_of(connection, look)


async def _found(connection: Connection, purchase_id: int) -> Look:
    look = await decisions.read_purchase(connection, purchase_id)
    if look is None:
        raise CommandFailed(f"coinfleet: no purchase has the id {purchase_id}")
    return look


def _decide(
    number: int,
    decide: Callable[[Connection], Awaitable[object]],
    *,
    is_event: bool,
    as_json: bool,
) -> None:
    """Decide, and say what came of it; a refusal is told with what happened meanwhile."""

    async def work(connection: Connection) -> tuple[object, Look | None]:
        with _told_refusals(number, is_event=is_event):
            if not is_event:
                await _found(connection, number)
            try:
                decided = await decide(connection)
            except (DecidedBefore, DecidedMeanwhile) as error:
                told = "" if is_event else await _story(connection, number)
                raise CommandFailed(
                    f"coinfleet: {_what(number, is_event=is_event)}: {told or error.__doc__}",
                    code=NEEDS_A_PERSON,
                ) from error
        look = None if is_event else await decisions.read_purchase(connection, number)
        return decided, look

    decided, look = ask(work)
    if as_json:
        write_json({"decided": decided, "purchase": look})
    else:
        tell(make_console(), done(decided, look))


async def _story(connection: Connection, purchase_id: int) -> str:
    look = await _found(connection, purchase_id)
    return story(look, await decisions.read_decisions(connection, purchase_id))


@contextmanager
def _told_refusals(number: int, *, is_event: bool) -> Iterator[None]:
    """End the command with a line that says in plain words why it is refused."""
    what = _what(number, is_event=is_event)
    try:
        yield
    except (DecisionRefused, NotYours) as error:
        raise CommandFailed(f"coinfleet: {error}") from error
    except NoPrice as error:
        raise CommandFailed(f"coinfleet: {what}: {NO_PRICE}", code=NEEDS_A_PERSON) from error
    except UnknownProfile as error:
        raise CommandFailed("coinfleet: no profile has this id") from error
    except Refused as error:
        raise CommandFailed(f"coinfleet: {what}: {error.__doc__}", code=NEEDS_A_PERSON) from error


def _what(number: int, *, is_event: bool) -> str:
    return f"event {number}" if is_event else f"purchase {number}"


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise typer.BadParameter("must say why", param_hint="'--reason'")
