"""What the events of a payment say together: the model's part for halves, in plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from db.facts import Half, Purchase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tests.db.model.accounts import Event


class Together(NamedTuple):
    """Buyer, product and quantity of a payment; `hold` if its halves differ."""

    buyer: UUID | None
    names_nobody: bool
    sku: str | None
    quantity: int | None
    deductions: frozenset[tuple[str | None, int]]
    has_session: bool
    hold: str | None


class Reading(NamedTuple):
    """What a batch knows of a payment before it decides."""

    said: Together
    creator: Event | None
    is_known: bool
    waits: bool


def is_ours(half: Purchase | Half) -> bool:
    """Return whether a half alone shows that the payment is ours."""
    return isinstance(half, Purchase) and bool(half.profile_id or half.buyer_unreadable or half.sku)


def together(halves: Sequence[Purchase | Half]) -> Together:
    """Combine halves: each value comes from the half that names it, the others stay absent."""
    told = [half for half in halves if isinstance(half, Purchase)]
    named = [h for h in told if not h.by_reference and (h.profile_id or h.buyer_unreadable)]
    naming = named or told
    buyers = {half.profile_id for half in naming if half.profile_id}
    skus = {half.sku for half in told if half.sku}
    quantities = {half.quantity for half in halves if half.quantity}
    is_countable = bool(quantities) or not any(half.quantity_unreadable for half in halves)
    hold = "wrong_amount" if len(quantities) > 1 else None
    return Together(
        buyer=next(iter(buyers)) if len(buyers) == 1 else None,
        names_nobody=len(buyers) > 1 or (not buyers and any(h.buyer_unreadable for h in told)),
        sku=next(iter(skus)) if len(skus) == 1 and is_countable else None,
        quantity=min(quantities, default=None),
        deductions=frozenset((h.currency, amount) for h in halves for amount in h.deductions_minor),
        has_session=any(half.told_by == "session" for half in halves),
        hold="unknown_product" if len(skus) > 1 else hold,
    )
