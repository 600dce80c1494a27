"""Row 15: gifts in a ledger with a long past, against one that was just opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.apply import BATCH_SIZE, GIFTS, apply_gifts
from tests.bench.measurements import Budget, Row, interleave
from tests.bench.money.gifts import make_floors

if TYPE_CHECKING:
    from tests.bench.books import Books

ENTRIES = 1_000_000
# With `--long`: takes some minutes to write.
ENTRIES_LONG = 10_000_000
# An adjustment has two.
ENTRIES_EACH = 2


async def age(books: Books, *, entries: int) -> int:
    """Write a past of about so many ledger entries; return how many there are then.

    The books have the functions of floors.sql.
    """
    adjustments = entries // ENTRIES_EACH // len(books.users)
    await books.owner.execute("select floors.age($1)", adjustments)
    await books.owner.execute("vacuum (analyze) public.ledger_entries, public.profiles")
    found: int = await books.owner.fetchval("select count(*) from public.ledger_entries")
    return found


async def measure(old: Books, young: Books, *, pairs: int, entries: int) -> Row:
    """Compare the cost of gifts in both."""
    await make_floors(old)
    count = await age(old, entries=entries)
    costs = await interleave(
        lambda: apply_gifts(old, count=GIFTS, batch_size=BATCH_SIZE),
        lambda: apply_gifts(young, count=GIFTS, batch_size=BATCH_SIZE),
        pairs=pairs,
    )
    return Row.of_ratio(
        15,
        f"gifts with {count:,} ledger entries, against {2 * len(young.users):,}",
        costs,
        budget=Budget(1.25, at_most=True),
        unit="µs",
    )
