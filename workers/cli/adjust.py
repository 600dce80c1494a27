"""`coinfleet adjust`: corrects a balance by a ledger entry, with who and why."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from db.adjustments import Adjustment, AdjustmentRefused, adjust_balance
from db.connections.explanations import explained_errors
from db.errors import CoinfleetError, IdempotencyConflict, InsufficientCoins, UnknownProfile
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed, failed
from workers.cli.erase import account
from workers.cli.operator_settings import load_operator_settings
from workers.cli.terminal import write
from workers.cli.words import counted

# A negative amount is no option.
CONTEXT_SETTINGS = {"ignore_unknown_options": True}


def command(
    profile: Annotated[UUID, typer.Argument(metavar="PROFILE", help="The profile's id, a uuid.")],
    amount: Annotated[
        int, typer.Argument(metavar="AMOUNT", help="Coins to add; with a minus, to take.")
    ],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept for good, so name nobody in it.")],
    key: Annotated[
        str, typer.Option(help="A text of your choice: the same key never moves coins twice.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the balance would be, and change nothing.")
    ] = False,
    made_by: Annotated[
        str | None,
        typer.Option("--by", help="Who corrects; your account's name by default, or its number."),
    ] = None,
) -> None:
    """Add coins to a balance, or take some, by an entry of the ledger.

    Nobody is left with fewer than none. A repeated call with the same key changes nothing. Exit 1
    if it is refused.
    """
    for name, text in (("--reason", reason), ("--key", key)):
        if not text.strip():
            raise typer.BadParameter("must not be empty", param_hint=f"'{name}'")
    url = str(load_operator_settings().database_url)

    async def adjust() -> Adjustment:
        with explained_errors():
            return await adjust_balance(
                url,
                profile,
                amount,
                who=made_by or account(),
                reason=reason,
                key=key,
                dry_run=dry_run,
            )

    try:
        made = asyncio.run(adjust())
    except UnknownProfile as error:
        raise CommandFailed(f"coinfleet: no profile has the id {profile}") from error
    except AdjustmentRefused as error:
        raise CommandFailed(f"coinfleet: {error}") from error
    except (InsufficientCoins, IdempotencyConflict) as error:
        said = _REFUSED[type(error)]
        raise CommandFailed(f"coinfleet: {said}", code=NEEDS_A_PERSON) from error
    except CoinfleetError as error:
        raise failed(error) from error
    write(_said(made, amount, dry_run=dry_run))


_REFUSED: dict[type[CoinfleetError], str] = {
    InsufficientCoins: "the balance is less than what this would take",
    IdempotencyConflict: "this key moved other coins, or those of somebody else: choose another",
}


def _said(made: Adjustment, amount: int, *, dry_run: bool) -> str:
    if made.replayed:
        return f"nothing was changed: this key moved the coins before, to {made.balance:,}"
    verb = "added" if amount > 0 else "taken"
    done = f"would be {verb}" if dry_run else verb
    return f"{counted(abs(amount), 'coin')} {done}; the balance is {made.balance:,} then"
