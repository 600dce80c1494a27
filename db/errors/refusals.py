"""Refusals by a rule of the business: one class per SQLSTATE of class `CF` that SQL raises."""

from __future__ import annotations

from typing import ClassVar

import asyncpg

from db.errors.base import CoinfleetError


class Refused(CoinfleetError):
    """The database refused a request by a rule of the business; `reason` is the rule's name."""

    sqlstate: ClassVar[str]

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason


class InsufficientCoins(Refused):
    """The account holds fewer coins than this would take."""

    sqlstate = "CF001"


class PurchaseOverLimit(Refused):
    """The purchase is worth more than one purchase may be."""

    sqlstate = "CF002"


class PurchaseVelocity(Refused):
    """The buyer made too many purchases within a minute."""

    sqlstate = "CF003"


class UnknownGiftType(Refused):
    """No active gift type has this code."""

    sqlstate = "CF004"


class SelfGift(Refused):
    """A gift can't be sent to oneself."""

    sqlstate = "CF005"


class UnknownProfile(Refused):
    """A buyer, sender or recipient that the request names has no profile."""

    sqlstate = "CF006"


class UnknownStream(Refused):
    """No stream has this id."""

    sqlstate = "CF007"


class IdempotencyConflict(Refused):
    """The idempotency key was used before, for another request."""

    sqlstate = "CF008"


class AppendOnly(Refused):
    """What the ledger holds can't be changed or removed; write a correcting entry."""

    sqlstate = "CF010"


class DecidedBefore(Refused):
    """This person has decided this before, and nobody decides twice."""

    sqlstate = "CF011"


class DecidedMeanwhile(Refused):
    """It was granted, rejected, refunded or approved otherwise meanwhile."""

    sqlstate = "CF012"


class NoPrice(Refused):
    """There is nothing to price the purchase by: its product is not in the price list."""

    sqlstate = "CF013"


class AccountFull(Refused):
    """With so many coins more, an account holds more than can be counted."""

    sqlstate = "CF014"


SQLSTATES: dict[str, type[Refused]] = {
    refused.sqlstate: refused
    for refused in (
        InsufficientCoins,
        PurchaseOverLimit,
        PurchaseVelocity,
        UnknownGiftType,
        SelfGift,
        UnknownProfile,
        UnknownStream,
        IdempotencyConflict,
        AppendOnly,
        DecidedBefore,
        DecidedMeanwhile,
        NoPrice,
        AccountFull,
    )
}


def refusal(error: asyncpg.PostgresError) -> Refused | None:
    """Return the business refusal that the SQL raised, or None for any other error."""
    refused = SQLSTATES.get(error.sqlstate or "")
    return refused(str(error)) if refused else None
