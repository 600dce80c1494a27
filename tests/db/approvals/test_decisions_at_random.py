"""Facts of a held payment and decisions about it, in any order, against a short model."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.db.approvals.decisions import set_rules
from tests.db.approvals.held_payment import HeldPayment

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.db.books import Books

pytestmark = pytest.mark.requirement("C6", "C7", "H10")


async def try_decisions(books: Books, seed: int) -> None:
    """Try a dozen steps; after each the books say what the model says, and in the end are right."""
    random = Random(seed)
    held = HeldPayment(books, await books.profile(), random)
    await set_rules(books.db, second_above=held.rule)
    for _ in range(12):
        await held.step()
        await held.compare()
    assert await books.breaches() == {}, (seed, held.model)


async def try_seeds(books: Books, seeds: range) -> None:
    """Try each, and undo what it did before the next: a price list, and rules."""
    for seed in seeds:
        transaction = books.db.transaction()
        await transaction.start()
        try:
            await try_decisions(books, seed)
        finally:
            await transaction.rollback()


async def test_facts_and_decisions_in_any_order_end_as_the_model_says(
    named: Connection, books: Books
) -> None:
    await try_seeds(books, range(15))


@pytest.mark.long
async def test_many_facts_and_decisions_end_as_the_model_says(
    named: Connection, books: Books
) -> None:
    await try_seeds(books, range(15, 1_000))
