"""What is held is found by indexes of what is held, whatever the size of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from db.connections.pool import Connection

GROWING = {"coin_purchases", "inbox_events"}


@pytest.mark.parametrize(
    ("function", "argument", "value"),
    [
        ("fleet.hold_to_expire(timestamptz)", "p_before", "now()"),
        ("fleet.held_purchases(integer)", "p_limit", "100"),
        ("fleet.remind_of_holds(integer, timestamptz)", "p_limit", "100"),
    ],
)
async def test_holds_are_found_by_their_indexes(
    db: Connection, function: str, argument: str, value: str
) -> None:
    body = await db.fetchval(
        "select prosrc from pg_proc where oid = $1::text::regprocedure", function
    )
    await db.execute("set local enable_seqscan = off")
    nodes = await plan(db, body.replace(argument, value).replace("p_now", "now()"))
    read = indexes([node for node in nodes if node.table in GROWING])
    assert None not in read
    assert "inbox_events_held_idx" in read
    if "remind" not in function:
        assert "coin_purchases_undecided_idx" in read
