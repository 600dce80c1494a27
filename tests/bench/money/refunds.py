"""Row 14: refunds in batches, against the purchases that they take back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from db.inbox.claims import Inbox
from tests.bench.apply import BATCH_SIZE, interpret
from tests.bench.measurements import Budget, Pairs, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.books import Books
    from workers.cli.simulate.events import Webhook

REFUNDS = 3_000


async def apply_all(books: Books, webhooks: Sequence[Webhook]) -> float:
    """Store the events, then apply them in batches on one connection; return µs per event."""
    await books.receive(webhooks)
    await books.vacuum()
    inbox = Inbox(books.worker, worker="bench")
    applied = 0
    started = time.perf_counter()
    while applied < len(webhooks):
        result = await inbox.process_batch(interpret, limit=BATCH_SIZE)
        assert result.claimed, "events are missing"
        applied += sum(outcome.state == "applied" for outcome in result.outcomes)
    return (time.perf_counter() - started) / len(webhooks) * 1e6


async def measure(books: Books, *, pairs: int, count: int = REFUNDS) -> Row:
    """Compare whole refunds with their purchases, which come first in each pair."""
    taken = Pairs()
    for _ in range(pairs):
        payments = [books.payment() for _ in range(count)]
        bought = [books.purchase(payment) for payment in payments]
        taken.reference.append(await apply_all(books, bought))
        taken.ours.append(await apply_all(books, [books.refund(each) for each in payments]))
    return Row.of_ratio(
        14,
        f"refunds in batches of {BATCH_SIZE}, against their purchases",
        taken,
        budget=Budget(1.5, at_most=True),
        unit="µs",
    )
