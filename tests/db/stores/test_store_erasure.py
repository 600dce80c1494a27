"""What stores told of a person is erased with the person; the books stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from db.facts import Call, Question
from tests.db.stores.sales import Sale

if TYPE_CHECKING:
    from tests.db.books import Books

pytestmark = pytest.mark.requirement("F")


async def test_an_erased_buyers_purchases_at_stores_tell_of_nobody(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    asked = Call(kind="google.fetch_purchase", key="fetch", request={"token": google.name})
    (event_id,) = await books.receive(Question(call=asked))
    await books.work()
    sold = google.sold(buyer, country_code="FR")
    (told,) = await books.receive(sold)
    await books.work()
    # Everything is done by now, with an answer that names the buyer.
    await books.db.execute(
        "update fleet.provider_calls set state = 'done', result = jsonb_build_object("
        "'obfuscatedExternalAccountId', $1::text)",
        str(buyer),
    )
    await books.db.execute(
        "update fleet.inbox_events set state = 'ignored', reason = 'done', processed_at = now()"
        " where id = $1",
        event_id,
    )
    await books.db.execute("select fleet.erase_profile($1, 'ann', 'asked')", buyer)
    left = await books.db.fetchrow(
        "select (select count(*) from fleet.provider_calls where request <> '{}' or result is not"
        " null) as calls, (select country_code from public.coin_purchases) as country,"
        " (select payload from fleet.inbox_events where id = $1) as payload",
        told,
    )
    assert left is not None
    assert tuple(left) == (0, None, None)
    assert await books.coins(buyer) == 100
    # Told again, it is still known.
    await books.apply(sold, google.submitted(await books.profile(), profile_id=buyer))
    assert await books.coins(buyer) == 100


async def test_what_stores_tell_in_base64_is_erased_too(
    books: Books, google: Sale, apple: Sale
) -> None:
    """Google's pushes and what Apple signs name a payment where no search of a text finds it."""
    buyer, other = await books.profile(), await books.profile()
    theirs = Sale("google")
    told = await books.receive(
        google.sold(buyer), apple.sold(buyer, is_sandbox=True), theirs.sold(other)
    )
    await books.work()
    await books.db.execute(
        "update fleet.inbox_events set payload = convert_to(encode(payload, 'base64'), 'UTF8')"
    )
    cleared = await books.db.fetchval("select fleet.erase_profile($1, 'ann', 'asked')", buyer)
    left = await books.db.fetch(
        "select payload is not null from fleet.inbox_events where id = any($1) order by id", told
    )
    assert [kept for (kept,) in left] == [False, False, True]
    assert json.loads(cleared)["payloads"] == 2
