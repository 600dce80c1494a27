"""What a person sees before deciding: the purchase, what was decided, what each verb would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from db.approvals import decisions, freezes
from db.approvals.decisions import Decision, DecisionRefused, Foreseen, Look
from db.errors import DecidedBefore, DecidedMeanwhile, NoPrice
from workers.cli.purchases.words import NO_PRICE, why

if TYPE_CHECKING:
    from db.connections.pool import Connection


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a decision would do now, or why it can't be taken."""

    foreseen: Foreseen | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """A purchase, why it is held, and what each decision would do; none if nothing is left.

    Of what is frozen, `frozen_by` are the causes.
    """

    purchase: Look
    why: str
    decisions: Sequence[Decision]
    approve: Prospect | None
    reject: Prospect | None
    frozen_by: Sequence[str] = ()


async def outlook_of(connection: Connection, look: Look, *, who: str | None = None) -> Outlook:
    """Try each decision in the name of whose session this is, or of `who`, and take it back."""
    is_open = look.status == "pending" and look.decision is None
    return Outlook(
        purchase=look,
        why=why(look),
        decisions=await decisions.read_decisions(connection, look.purchase_id),
        approve=await prospect_of(connection, look, "approve", who=who) if is_open else None,
        reject=await prospect_of(connection, look, "reject", who=who) if is_open else None,
        frozen_by=await freezes.read_sources(connection, look.purchase_id),
    )


async def prospect_of(
    connection: Connection,
    look: Look,
    verb: Literal["approve", "reject"],
    *,
    without_refund: bool = False,
    who: str | None = None,
) -> Prospect:
    """Try one decision, and take it back."""
    try:
        seen = await decisions.foresee(
            connection, look, verb, without_refund=without_refund, who=who
        )
        return Prospect(seen, None)
    except DecidedBefore:
        return Prospect(None, "you have decided before, and nobody decides twice")
    except DecidedMeanwhile:
        return Prospect(None, "another purchase is granted for this payment")
    except NoPrice:
        return Prospect(None, NO_PRICE)
    except DecisionRefused as error:
        return Prospect(None, str(error))
