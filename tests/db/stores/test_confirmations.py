"""Purchases of which Google was not told in time: found while they can still be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.db.plans import indexes, plan, statement
from tests.db.stores.sales import Sale

if TYPE_CHECKING:
    from tests.db.books import Books


async def late(books: Books) -> dict[str, tuple[int, int]]:
    """What is late now: how many purchases lack it, and the whole minutes of the oldest."""
    rows = await books.db.fetch("select * from fleet.late_confirmations($1)", books.now)
    assert {row["provider"] for row in rows} <= {"google"}
    return {row["lacks"]: (row["purchases"], int(row["oldest_s"] // 60)) for row in rows}


async def at_once(books: Books) -> None:
    """The calls were written now, by the time of the books."""
    await books.db.execute("update fleet.provider_calls set created_at = $1", books.now)


async def finish(books: Books, verb: str) -> None:
    await books.db.execute(
        "update fleet.provider_calls set state = 'done', finished_at = $2 where kind = $1",
        f"google.{verb}",
        books.now,
    )


async def test_what_is_granted_and_not_consumed_is_late_after_ten_minutes(
    books: Books, google: Sale
) -> None:
    await books.apply(google.sold(await books.profile()))
    await at_once(books)
    books.wait(minutes=10)
    assert await late(books) == {}
    books.wait(minutes=1)
    assert await late(books) == {"consumption": (1, 11)}
    books.wait(hours=24)
    assert await late(books) == {"consumption": (1, 24 * 60 + 11)} | {
        "acknowledgement": (1, 24 * 60 + 11)
    }
    await finish(books, "consume")
    assert await late(books) == {}


async def test_a_dead_call_is_late_too(books: Books, google: Sale) -> None:
    await books.apply(google.sold(await books.profile()))
    await at_once(books)
    await books.db.execute("update fleet.provider_calls set state = 'dead'")
    books.wait(minutes=11)
    assert await late(books) == {"consumption": (1, 11)}


async def test_what_is_held_is_late_if_it_is_not_acknowledged_within_a_day(
    books: Books, google: Sale
) -> None:
    await books.apply(google.sold(await books.profile(), amount_minor=3_000_000, currency="usd"))
    await at_once(books)
    assert [row["kind"] for row in await books.db.fetch("select * from fleet.provider_calls")] == [
        "google.acknowledge"
    ]
    books.wait(hours=24, minutes=1)
    assert await late(books) == {"acknowledgement": (1, 24 * 60 + 1)}
    await finish(books, "acknowledge")
    assert await late(books) == {}


async def test_a_license_testers_purchase_is_late_after_five_minutes(
    books: Books, google: Sale
) -> None:
    await books.db.execute("update fleet.settings set store_sandbox = 'grant'")
    await books.apply(google.sold(await books.profile(), is_sandbox=True))
    await at_once(books)
    books.wait(minutes=6)
    assert await late(books) == {"acknowledgement": (1, 6)}


async def test_what_has_no_buyer_is_late_after_a_day(books: Books, google: Sale) -> None:
    await books.receive(google.sold(None))
    await books.work()
    books.wait(minutes=16)
    await books.wake()
    await books.work()
    assert await late(books) == {}
    books.wait(hours=24)
    assert await late(books) == {"acknowledgement": (1, 24 * 60 + 16)}


async def test_what_is_late_is_found_by_indexes(books: Books) -> None:
    await books.db.execute("set local enable_seqscan = off")
    sql = statement("fleet.late_confirmations", "with late as", p_now="now()")
    nodes = await plan(books.db, sql)
    assert None not in indexes([node for node in nodes if node.table is not None])
