"""What is open is found by the deadline, whatever was asked and answered before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from db.connections.pool import Connection

GROWING = {
    "store_inquiries",
    "provider_calls",
    "inbox_events",
    "payment_keys",
    "store_payments",
    "payments",
    "coin_purchases",
    "joined_purchases",
    "profiles",
}


async def test_open_questions_are_found_by_their_deadline(db: Connection) -> None:
    body = await db.fetchval(
        "select prosrc from pg_proc where oid = 'fleet.open_inquiries()'::regprocedure"
    )
    await db.execute("set local enable_seqscan = off")
    read = [node for node in await plan(db, body) if node.table in GROWING]
    assert None not in indexes(read)
    assert "store_inquiries_deadline_idx" in indexes(read)


async def test_a_question_is_found_by_its_number(db: Connection) -> None:
    await db.execute("set local enable_seqscan = off")
    nodes = await plan(db, "select * from fleet.store_inquiries where id = $1 for update", 1)
    assert indexes(nodes) == {"store_inquiries_id_idx"}
