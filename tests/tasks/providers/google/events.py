"""Claimed events of Google, and what its API answered to their questions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from db.inbox.batches import ClaimedEvent
from tasks.providers.google import Google
from workers.mock_providers.google import PACKAGE, Item, Sold, Store, push_of
from workers.mock_providers.google.answers import order_answer, purchase_answer

if TYPE_CHECKING:
    from db.facts import Fact

BUYER = UUID("6f1c9a52-30b8-4c7e-9a1e-0d2f4b6c8e10")
AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def store() -> Store:
    """Google Play at the time AT."""
    return Store(now_s=AT.timestamp())


def answer(sold: Sold, *, after_s: int = 1, order: bool = False) -> dict[str, Any]:
    """What is stored of a purchase that was read so long after the event."""
    at_s = int(AT.timestamp()) + after_s
    return {
        "package": sold.package,
        "purchase": purchase_answer(sold),
        "order": order_answer(sold, at_s) if order else None,
        "read_at": at_s,
    }


def unknown(*, after_s: int = 1, status: int = 404) -> dict[str, Any]:
    """What is stored of a token that Google does not know."""
    return {"unknown": status, "read_at": int(AT.timestamp()) + after_s}


def interpret(
    payload: bytes,
    answered: dict[str, Any] | None = None,
    *,
    event_type: str = "one_time_product.purchased",
    packages: tuple[str, ...] = (PACKAGE,),
) -> Fact:
    """What an event means that was received at AT, with or without its answer."""
    claimed = ClaimedEvent(
        id=1,  # type: ignore[arg-type]
        provider="google",
        provider_event_id="m1",
        event_type=event_type,
        payload=payload,
        received_at=AT,
        attempts=0,
        answer=None if answered is None else json.dumps(answered).encode(),
    )
    return Google(packages=packages).interpret(claimed)


def told(of: Store, number: int = -1) -> bytes:
    """The body of a push with what Google told."""
    return push_of(of.told[number], message_id="m1")


def submission(sold: Sold, product_id: str | None = None, who: UUID = BUYER) -> bytes:
    """The stored event of a client's submission."""
    body = {
        "product_id": product_id or sold.items[0].product_id,
        "purchase_token": sold.token,
    }
    return json.dumps({"profile_id": str(who), "body": body}).encode()


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


__all__ = ["AT", "BUYER", "Item", "answer", "interpret", "later", "store", "submission", "told"]
