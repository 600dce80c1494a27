"""Reads our metadata on a payment: who bought what, and how many.

Refuses to know the object that has the metadata: an intent and a session are read alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from db.facts import Quantity
from tasks.providers import reading


class Order(NamedTuple):
    """What was bought and by whom, by our metadata. None: not there, or not readable."""

    profile_id: UUID | None
    buyer_unreadable: bool
    by_reference: bool
    sku: str | None
    quantity: int | None
    quantity_unreadable: bool


def read_order(metadata: dict[str, Any], *, reference: Any) -> Order | None:
    """Return the order in our metadata; None if there is none: something else was sold.

    `reference` is a session's client_reference_id. Other products on the same account use it for
    their own ids, so without our metadata it is ours only if it is a uuid.
    """
    named, sku = metadata.get("profile_id"), metadata.get("sku")
    by_reference = not named and bool(sku or _uuid(reference))
    if by_reference:
        named = reference
    if not named and not sku:
        return None
    profile_id = _uuid(named)
    quantity, is_unreadable = read_quantity(metadata)
    return Order(
        profile_id=profile_id,
        buyer_unreadable=bool(named) and profile_id is None,
        by_reference=by_reference and bool(named),
        # Without a quantity there is no price. Without a product it is held for a person.
        sku=None if is_unreadable else reading.identifier(sku),
        quantity=quantity,
        quantity_unreadable=is_unreadable,
    )


def read_quantity(metadata: dict[str, Any]) -> tuple[int | None, bool]:
    """Return the quantity (None: not given), and whether its text makes no sense."""
    value = metadata.get("quantity")
    if value is None or value == "":
        return None, False
    try:
        return msgspec.convert(value, Quantity, strict=False), False
    except msgspec.ValidationError:
        return None, True


def _uuid(value: Any) -> UUID | None:
    try:
        return msgspec.convert(value, UUID)
    except msgspec.ValidationError:
        return None
