"""How the tests of decisions decide, and what a held purchase looks like to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.db.books import Outcome

if TYPE_CHECKING:
    import asyncpg

    from db.connections.pool import Connection
    from db.facts import Purchase, StorePurchase
    from tests.db.books import Books, Payment

BY_DECISION = Outcome("rejected", "by_decision")


class Decided(NamedTuple):
    """What a decision answers."""

    status: str
    decision: str | None
    waits_for: str | None


GRANTED = Decided("confirmed", "approved", None)
FIRST = Decided("pending", None, "second_approver")
REFUNDING = Decided("pending", "rejected", "refund")
CLOSED = Decided("pending", "rejected", None)


async def hold(books: Books, purchase: Purchase | StorePurchase, reason: str) -> int:
    """Apply a purchase that is held for this reason; gives the purchase's id."""
    (event_id,) = await books.receive(purchase)
    assert await books.work() == {event_id: Outcome("held", reason)}
    purchase_id: int = await books.db.fetchval(
        "select cp.id from public.coin_purchases as cp"
        " join fleet.inbox_events as e using (provider_event_id) where e.id = $1",
        event_id,
    )
    return purchase_id


async def approve(
    connection: Connection, purchase_id: int, who: str = "ann", *, coins: int | None = None
) -> Decided:
    """Approve a purchase."""
    return await _decide(
        connection,
        "select * from public.approve_coin_purchase($1, $2, 'it is fine', $3)",
        purchase_id,
        who,
        coins,
    )


async def reject(
    connection: Connection, purchase_id: int, who: str = "ann", *, without_refund: bool = False
) -> Decided:
    """Reject a purchase."""
    return await _decide(
        connection,
        "select * from public.reject_coin_purchase($1, $2, 'it is not', $3)",
        purchase_id,
        who,
        without_refund,
    )


async def _decide(connection: Connection, sql: str, *arguments: Any) -> Decided:
    row = await connection.fetchrow(sql, *arguments)
    assert row is not None
    assert row["purchase_id"] == arguments[0]
    return Decided(row["status"], row["decision"], row["waits_for"])


async def event_of(books: Books, purchase_id: int) -> Outcome:
    """The state of the event that brought a purchase."""
    row = await books.db.fetchrow(
        "select e.state, e.reason from fleet.inbox_events as e"
        " join public.coin_purchases as cp using (provider_event_id) where cp.id = $1",
        purchase_id,
    )
    assert row is not None
    return Outcome(row["state"], row["reason"])


async def event_number(books: Books, payment: Payment) -> int:
    """The number of the newest event of a payment that is held without a purchase."""
    number: int = await books.db.fetchval(
        "select max(e.id) from fleet.inbox_events as e"
        " join fleet.payment_keys as k using (payment_id) where k.key = $1 and e.state = 'held'",
        payment.intent,
    )
    return number


async def calls(connection: Connection) -> list[asyncpg.Record]:
    """What is to be asked of providers."""
    return await connection.fetch(
        "select kind, key, request, state from fleet.provider_calls order by id"
    )


async def set_rules(
    connection: Connection, *, second_above: int | None = None, expires_days: int | None = None
) -> None:
    """The rules of decisions, as a release writes them."""
    await connection.execute("select fleet.configure_decisions($1, $2)", second_above, expires_days)


async def let_people_be_named(db: Connection) -> None:
    """Let everybody be who they say, whatever the login is."""
    await db.execute(
        "create or replace function fleet.deciding_person(p_who text) returns text"
        " language sql stable set search_path = '', pg_temp as 'select p_who'"
    )
