"""Messages about a person who is erased: what the app took is emptied, the rest is told first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import Payment, gift

if TYPE_CHECKING:
    from uuid import UUID

    from tests.db.books import Books
    from tests.db.deliveries.messages import Messages

pytestmark = pytest.mark.requirement("I3")


async def erase(books: Books, profile_id: UUID) -> dict[str, Any]:
    counts = await books.db.fetchval("select fleet.erase_profile($1, 'ann', 'asked')", profile_id)
    return dict(json.loads(counts))


async def told(books: Books) -> str:
    """All that the outbox says."""
    text: str = await books.db.fetchval(
        "select string_agg(request::text, ' ') from fleet.provider_calls"
    )
    return text


async def test_what_the_app_has_not_heard_yet_is_counted_and_still_sent(
    books: Books, messages: Messages
) -> None:
    buyer, other = await books.profiles(2)
    payment = Payment()
    await books.apply(payment.bought(buyer), Payment().bought(other))
    # One gift that is refused, too.
    await books.apply(gift(buyer, other, 1_000))
    first = await erase(books, buyer)
    assert (first["open_messages"], first["open_calls"], first["provider_calls"]) == (2, 0, 0)
    assert str(buyer) in await told(books)
    assert await messages.types() == ["purchase.credited", "purchase.credited", "gift.rejected"]

    await messages.are_sent()
    second = await erase(books, buyer)
    assert (second["open_messages"], second["provider_calls"]) == (0, 2)
    assert str(buyer) not in await told(books)
    # The other's own message stays as it is.
    assert str(other) in await told(books)
    assert (await erase(books, buyer))["provider_calls"] == 0


async def test_what_was_given_up_is_emptied_at_once(books: Books, messages: Messages) -> None:
    buyer = await books.profile()
    await books.apply_one(Payment().bought(buyer))
    await books.db.execute("update fleet.provider_calls set state = 'dead', finished_at = now()")
    counts = await erase(books, buyer)
    assert (counts["open_messages"], counts["provider_calls"]) == (0, 1)
    assert str(buyer) not in await told(books)
    del messages


async def test_a_refund_that_is_still_to_be_made_is_counted_and_made(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.worth(buyer, 25_001))
    purchase_id = (await books.purchase(payment))["id"]
    await books.db.execute("select public.reject_coin_purchase($1, 'ann', 'why')", purchase_id)
    counts = await erase(books, buyer)
    assert (counts["open_calls"], counts["open_messages"]) == (1, 0)
    state = await books.db.fetchval(
        "select state from fleet.provider_calls where request ->> 'payment_intent' = $1",
        payment.intent,
    )
    assert state == "pending"


async def test_erasing_again_while_nothing_is_cleared_writes_no_second_record(
    books: Books, messages: Messages
) -> None:
    buyer = await books.profile()
    await books.apply_one(Payment().bought(buyer))
    for _ in range(3):
        assert (await erase(books, buyer))["open_messages"] == 1
    assert await books.db.fetchval("select count(*) from fleet.erasures") == 1
    del messages
