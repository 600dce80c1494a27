"""Each SQL example of docs/examples prints what its `.out` file keeps and changes nothing.

The payment by hand runs against a whole fleet in tests/journeys; here its signature is checked.
"""

from __future__ import annotations

import asyncio
import runpy
from typing import TYPE_CHECKING

import pytest
from stripe import WebhookSignature

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


def test_the_payment_by_hand_is_signed_as_stripes_own_library_signs() -> None:
    sign = runpy.run_path(str(EXAMPLES[0].parent / "pay.py"))["signature_header"]
    body, secret, now_s = '{"id": "evt_1"}', "whsec_of_the_test", 1_800_000_000
    assert sign(body, secret, now_s) == WebhookSignature.generate_signature_header(
        body, secret, now_s
    )
