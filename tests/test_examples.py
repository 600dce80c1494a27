"""Each SQL example of docs/examples prints what its `.out` file keeps and changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.examples import EXAMPLES, expected, printed

if TYPE_CHECKING:
    from pathlib import Path

    from db.pool import Connection
    from tests.clusters import Database

ROWS = """
select (select count(*) from auth.users) + (select count(*) from public.gift_types)
    + (select count(*) from public.ledger_entries) + (select count(*) from fleet.payment_keys)
"""


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
async def test_an_example_prints_what_is_kept_and_changes_nothing(
    database: Database, db: Connection, example: Path
) -> None:
    found = await asyncio.to_thread(printed, example, database.url())
    assert found == expected(example).read_text(encoding="utf-8"), "python -m tests.examples"
    assert await db.fetchval(ROWS) == 0
