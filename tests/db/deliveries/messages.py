"""The messages to the app, as the outbox holds them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.db.books import Outcome, Payment

if TYPE_CHECKING:
    from tests.db.books import Books

# Worth more than the approval threshold.
DOLLARS = 30_000
HELD = Outcome("held", "needs_approval")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its webhook-id, and what it says."""

    key: str
    type: str
    timestamp: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Messages:
    """What the app is told."""

    books: Books

    async def all(self) -> list[Message]:
        """Every message, in the order in which they were written."""
        rows = await self.books.db.fetch(
            "select key, request from fleet.provider_calls where kind = 'app.deliver' order by id"
        )
        return [Message(row["key"], **json.loads(row["request"])) for row in rows]

    async def types(self) -> list[str]:
        """What they tell, in order."""
        return [message.type for message in await self.all()]

    async def newest(self) -> Message:
        """The last one."""
        return (await self.all())[-1]

    async def are_sent(self) -> None:
        """Let the app take all that was written so far."""
        await self.books.db.execute(
            "update fleet.provider_calls set state = 'done', finished_at = clock_timestamp(),"
            " attempts = 1, first_attempt_at = clock_timestamp() where kind = 'app.deliver'"
        )


async def held(books: Books, buyer_coins: int = 0) -> tuple[Payment, int]:
    """A payment that waits for a person, and the number of its purchase."""
    buyer = await books.profile(buyer_coins)
    payment = Payment()
    assert await books.apply_one(payment.worth(buyer, DOLLARS)) == HELD
    return payment, (await books.purchase(payment))["id"]
