"""Refunds and disputes from before their times were stored: no coins move until an event comes.

Rows are written here as the last release wrote them: amounts and statuses without a time.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import APPLIED, NOON, Books, Payment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from db.facts import Fact

Rows = dict[str, tuple[int, str]]


async def as_the_old_release_left_it(
    books: Books, *, refunds: Rows, total: int, moved: Sequence[int] = ()
) -> Payment:
    """Make a payment of 1,000 coins with facts that have no time, settled by the old rule."""
    payment = Payment()
    await books.apply_one(payment.bought(await books.profile(), units=10))
    payment_id = (await books.purchase(payment))["payment_id"]
    await books.db.execute(
        "insert into fleet.payments (id, refund_total_minor) values ($1, $2)", payment_id, total
    )
    for name, (minor, status) in refunds.items():
        await books.db.execute(
            "insert into fleet.refunds (provider, refund_id, payment_id, amount_minor, status)"
            " values ('stripe', $1, $2, $3, $4)",
            f"{name}_{payment.number}",
            payment_id,
            minor,
            status,
        )
    if moved:
        dispute_id = f"dp_{payment.number}"
        await books.db.execute(
            "insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor)"
            " values ('stripe', $1, $2, 1000)",
            dispute_id,
            payment_id,
        )
        for no, amount in enumerate(moved):
            await books.db.execute(
                "insert into fleet.dispute_transactions"
                " (provider, dispute_id, transaction_id, amount) values ('stripe', $1, $2, $3)",
                dispute_id,
                f"txn_{dispute_id}_{no}",
                amount,
            )
    await books.db.execute("select fleet.settle_reversals(array[$1::bigint])", payment_id)
    return payment


async def coins(books: Books, payment: Payment) -> int:
    """The buyer's coins."""
    return await books.coins((await books.purchase(payment))["profile_id"])


@pytest.mark.parametrize(
    ("refunds", "total", "moved", "left"),
    [
        ({}, 400, (), 600),
        ({"a": (400, "succeeded")}, 0, (), 600),
        ({"a": (400, "succeeded")}, 400, (), 600),
        ({"a": (400, "failed")}, 400, (), 1_000),
        ({"a": (400, "canceled")}, 300, (), 1_000),
        ({"a": (400, "failed"), "b": (300, "succeeded")}, 700, (), 700),
        ({"a": (400, "failed"), "b": (300, "pending")}, 0, (), 700),
        ({}, 0, (-1_000,), 0),
        ({}, 0, (-1_000, 20), 20),
        ({}, 0, (-1_000, 1_000), 1_000),
        ({"a": (400, "failed")}, 600, (-900, 450), 300),
    ],
)
async def test_facts_without_times_come_to_what_the_old_rule_says(
    books: Books, refunds: Rows, total: int, moved: Sequence[int], left: int
) -> None:
    payment = await as_the_old_release_left_it(books, refunds=refunds, total=total, moved=moved)
    assert await coins(books, payment) == left
    assert await books.breaches() == {}


def at(minute: int) -> dict[str, Any]:
    return {"told_at": NOON + timedelta(minutes=minute)}


FAILED: Rows = {"re": (400, "failed")}
MADE: Rows = {"re": (400, "succeeded")}


@pytest.mark.parametrize(
    ("refunds", "total", "event", "left"),
    [
        # The total of a successor, after the failure without a time.
        (FAILED, 400, lambda p: p.refunded_so_far(300, **at(1)), 700),
        (FAILED, 400, lambda p: p.refunded_so_far(400, **at(1)), 600),
        (FAILED, 400, lambda p: p.refunded_so_far(0, **at(1)), 1_000),
        # The failure, reported again.
        (FAILED, 400, lambda p: p.refund(400, status="failed", **at(1)), 1_000),
        # An old refund fails now.
        (MADE, 400, lambda p: p.refund(400, status="failed", **at(1)), 1_000),
        # A total is newer than what has no time, even if it is smaller.
        (MADE, 900, lambda p: p.refunded_so_far(400, **at(1)), 600),
        # A newer refund, which the old total never contained, fails.
        ({}, 400, lambda p: p.refund(300, "new", status="failed", **at(1)), 600),
        (MADE, 400, lambda p: p.refund(300, "new", **at(1)), 300),
    ],
)
async def test_an_event_after_the_change_meets_facts_without_times(
    books: Books, refunds: Rows, total: int, event: Callable[[Payment], Fact], left: int
) -> None:
    payment = await as_the_old_release_left_it(books, refunds=refunds, total=total)
    for _ in range(2):
        assert await books.apply_one(event(payment)) == APPLIED
        assert await coins(books, payment) == left
    assert await books.breaches() == {}


@pytest.mark.parametrize(
    ("moved", "status", "left"), [((-1_000, 20), "lost", 0), ((-1_080, 1_062), "won", 1_000)]
)
async def test_a_dispute_without_a_time_is_brought_up_by_its_next_event(
    books: Books, moved: Sequence[int], status: str, left: int
) -> None:
    payment = await as_the_old_release_left_it(books, refunds={}, total=0, moved=moved)
    await books.apply_one(payment.dispute(1_000, *moved, status=status))
    assert await coins(books, payment) == left
    assert await books.breaches() == {}


@pytest.mark.parametrize(
    ("totals", "refunds", "left"),
    [
        ([400], [], 600),
        # In any order: the larger counts, as it did for that worker.
        ([700, 300], [], 300),
        ([400], [("b", 500, "pending")], 500),
        ([400], [("a", 400, "pending"), ("a", 400, "failed")], 1_000),
        ([400], [("a", 400, "failed"), ("a", 400, "pending")], 1_000),
        ([], [("a", 400, "canceled")], 1_000),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_what_a_worker_of_the_release_before_tells_counts_as_it_did(
    books: Books,
    totals: Sequence[int],
    refunds: Sequence[tuple[str, int, str]],
    left: int,
    *,
    known: bool,
) -> None:
    payment = Payment()
    await books.apply_one(payment.bought(await books.profile(), units=10))
    if known and totals:
        # A worker of this release has stored the same.
        await books.apply(*[payment.refunded_so_far(total) for total in totals])
    told = {"provider": "stripe", "payment_keys": payment.keys}
    facts = [told | {"kind": "refund_total", "cumulative_minor": total} for total in totals]
    facts += [
        told | {"kind": "refund", "refund_id": name, "amount_minor": minor, "status": status}
        for name, minor, status in refunds
    ]
    for no, fact in enumerate(facts):
        received = {"received_at": (NOON + timedelta(seconds=5 + no)).isoformat()}
        await books.db.execute(
            "select fleet.apply_events($1, $2)", json.dumps([fact | received]), NOON
        )
    assert await coins(books, payment) == left
    assert await books.breaches() == {}
