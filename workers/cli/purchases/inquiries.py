"""`coinfleet purchases inquiries|answer`: what stores ask about refunds, and a person's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from db.approvals.decisions import DecisionRefused
from db.approvals.inquiries import Answered, Inquiry, answer_inquiry, read_open_inquiries
from db.errors import DecidedBefore, DecidedMeanwhile
from tasks.providers.apple import Apple
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed
from workers.cli.origin import origin
from workers.cli.purchases.asking import ask, write_json
from workers.cli.purchases.words import moment, money
from workers.cli.terminal import make_console, print_lines, print_rows, width_of, wrapped
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from db.connections.pool import Connection

SHOWN = 100
HEADER = ("Question", "of", "why", "purchase", "asked", "ends in", "waits for")

# What each choice does, by the provider that asks.
APPLES_CHOICES = {
    "decline": "Apple is told that you prefer no refund",
    "grant-full": "that you prefer that it refunds all of it",
    "grant-prorated": "that you prefer that it refunds the part that is not spent",
    "no-preference": "only whether the coins were delivered, and which part of them is spent",
}
GOOGLES_CHOICES = {
    "approve": "Google is told that it should refund the order",
    "decline": "that it should not",
    "neutral": "that you leave it to Google",
}
BLOCKED = {
    "no_consent": "nobody: APPLE_CUSTOMERS_CONSENTED is not set",
    "unknown_purchase": "nobody: nothing is known of its purchase",
    "unknown_order": "nobody: its order is not known",
}


def list_inquiries(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most so many.")] = SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """List what stores ask about refunds; the first deadline first.

    Exit 1 if a question waits for a person.
    """
    found = ask(lambda connection: read_open_inquiries(connection, limit=limit))
    if as_json:
        write_json({"inquiries": found})
    else:
        _show(make_console(), found)
    if any(_needs_a_person(each) for each in found):
        raise typer.Exit(code=NEEDS_A_PERSON)


def answer(
    number: Annotated[
        int, typer.Argument(metavar="ID", help="The question's id, as `inquiries` shows it.")
    ],
    choice: Annotated[str, typer.Argument(help="What the store is told; see `inquiries`.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept for good, so name nobody in it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Answer what a store asks about a refund; the first answer counts.

    Exit 1 if it was answered, or refunded, before.
    """
    if not reason.strip():
        raise typer.BadParameter("must say why", param_hint="'--reason'")

    async def work(connection: Connection) -> Answered:
        try:
            return await answer_inquiry(
                connection, number, choice, reason=reason, typed_by=origin()
            )
        except DecisionRefused as error:
            raise CommandFailed(f"coinfleet: {error}") from error
        except DecidedBefore as error:
            what = "you have answered it before, and a store takes one answer"
            raise CommandFailed(_told(number, what), code=NEEDS_A_PERSON) from error
        except DecidedMeanwhile as error:
            what = "it was answered meanwhile, or its purchase was given back"
            raise CommandFailed(_told(number, what), code=NEEDS_A_PERSON) from error

    answered = ask(work)
    if as_json:
        write_json({"answered": answered})
        return
    said = answered.choice.lower().replace("_", "-")
    _print(
        make_console(),
        [
            (
                f"{answered.provider} is told {said} by call {answered.call_id}, until"
                f" {moment(answered.deadline)}: see `coinfleet explain call:{answered.call_id}`"
            )
        ],
    )


def _told(number: int, what: str) -> str:
    return f"coinfleet: question {number}: {what}"


def _needs_a_person(inquiry: Inquiry) -> bool:
    return inquiry.blocked_by is None and inquiry.answers_itself_at is None


def _show(console: Console, found: Sequence[Inquiry]) -> None:
    if not found:
        print_lines(console, ["no store asks anything"])
        return
    print_rows(console, HEADER, [(_row(each), "") for each in found])
    _print(console, _lines(found))


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        print_lines(console, wrapped(line, width=width_of(console), indent="  "))


def _row(each: Inquiry) -> list[str]:
    waits_for = "a person"
    if each.blocked_by is not None:
        waits_for = BLOCKED[each.blocked_by]
    elif each.answers_itself_at is not None:
        waits_for = f"a person until {moment(each.answers_itself_at)}"
    return [
        str(each.id),
        f"{each.provider}, a test" if each.is_sandbox else each.provider,
        each.reason or "",
        str(each.purchase_id or "unknown"),
        ago(each.age_s),
        duration(each.ends_in_s),
        waits_for,
    ]


def _lines(found: Sequence[Inquiry]) -> Iterator[str]:
    for each in found:
        yield f"{each.id}: {known(each)}"
    of_apple = any(each.provider == Apple.name for each in found)
    for is_there, choices in (
        (of_apple, APPLES_CHOICES),
        (any(each.provider != Apple.name for each in found), GOOGLES_CHOICES),
    ):
        if is_there:
            yield "; ".join(f"{choice}: {does}" for choice, does in choices.items()) + "."
    if of_apple:
        yield (
            "No answer moves coins: they are taken back only if Apple refunds. What nobody answers"
            " in half the time is answered without a preference, and if it was not delivered, with"
            " grant-full."
        )


def choices_of(provider: str) -> dict[str, str]:
    """Return what this store can be told, and what each choice does."""
    return APPLES_CHOICES if provider == Apple.name else GOOGLES_CHOICES


def known(each: Inquiry) -> str:
    """Say what is known of the purchase that a store asks about."""
    if each.purchase_id is None:
        return "nothing is known of its purchase, or it grants no coins"
    coins = counted(each.coin_amount or 0, "coin")
    paid = f" for {money(each.amount, each.currency)}" if each.amount is not None else ""
    what = f"purchase {each.purchase_id} of {each.profile_id}, {coins}{paid}: {each.status}"
    if not each.is_delivered:
        held = f", {each.decision or each.hold_reason or 'held'}"
        return f"{what}{held}; its coins were not delivered"
    back = f", {each.refunded_coins:,} of them taken back" if each.refunded_coins else ""
    spent = (each.consumed_milli_percent or 0) / 1_000
    return f"{what}; its coins were delivered{back}, {spent:g} % of them can't be taken back now"
