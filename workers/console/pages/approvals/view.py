"""What a person sees of one purchase before deciding, and the form's memory of it.

A form carries what the person saw. A decision that comes to something else is undone, and answered
with what happened meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.approvals import decisions
from db.console.payments import read_payment_of
from db.console.statement import read_erased_at
from workers.cli.purchases.outlook import Outlook, Prospect, outlook_of, prospect_of
from workers.console.pages.approvals.forms import read_digits
from workers.console.visit import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.approvals.decisions import Decision, Foreseen, Look
    from db.connections.pool import Connection

# Reasons for which fewer coins than the package's may be granted.
PARTIAL = ("wrong_amount", "unknown_product")


@dataclass(frozen=True, slots=True)
class View:
    """A purchase and each decision about it; `close` is a rejection without a refund."""

    outlook: Outlook
    close: Prospect | None
    payment_id: int
    erased_at: datetime | None
    """When its buyer was erased, if so."""

    @property
    def look(self) -> Look:
        """The purchase."""
        return self.outlook.purchase

    @property
    def is_open(self) -> bool:
        """Whether somebody has to decide it."""
        return self.outlook.approve is not None

    def seen(self, verb: str) -> str:
        """Return what a form of this verb carries; empty if the decision can't be taken."""
        found = {
            "approve": self.outlook.approve,
            "reject": self.outlook.reject,
            "close": self.close,
        }[verb]
        if found is None or found.foreseen is None:
            return ""
        return memory(self.look, self.outlook.decisions, found.foreseen, erased_at=self.erased_at)


async def view(connection: Connection, purchase_id: int, *, who: str) -> View:
    """Look at a purchase as `who`. Raises NotFound."""
    look = await decisions.read_purchase(connection, purchase_id)
    if look is None:
        raise NotFound(f"There is no purchase {purchase_id}.")
    outlook = await outlook_of(connection, look, who=who)
    close = None
    if outlook.reject is not None:
        close = await prospect_of(connection, look, "reject", without_refund=True, who=who)
    payment_id = await read_payment_of(connection, purchase_id)
    return View(
        outlook=outlook,
        close=close,
        payment_id=payment_id,
        erased_at=await read_erased_at(connection, look.profile_id),
    )


def memory(
    look: Look, made: Sequence[Decision], seen: Foreseen, *, erased_at: datetime | None
) -> str:
    """Return what counts of a decision's outcome, as a text to compare: coins and money in digits.

    It names the payment and its buyer: after a restore of an older backup a number that a page
    showed is given again, to another purchase. The buyer's balance is not part of it: gifts move it
    while somebody reads.
    """
    return ";".join(
        str(each)
        for each in (
            len(made),
            look.profile_id,
            look.provider_payment_id,
            erased_at is not None,
            look.hold_reason,
            look.refunded or 0,
            seen.decided.decision,
            seen.decided.waits_for,
            seen.credited,
            seen.taken_back,
        )
    )


def is_same(carried: str, found: str, *, names_coins: bool) -> bool:
    """Return whether a decision came to what its form carried.

    If the form names the coins, what is credited and taken back follows from them.
    """
    kept = -2 if names_coins else None
    return carried.split(";")[:kept] == found.split(";")[:kept]


def read_coins(text: str) -> int | None:
    """Return the coins that a form names; None if it names none. Raises ValueError."""
    if not text:
        return None
    coins = read_digits(text)
    if coins is None:
        raise ValueError(text)
    return coins
