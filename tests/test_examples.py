"""Each SQL example of docs/examples prints what its `.out` file keeps and changes nothing.

The payment by hand runs against a whole fleet in tests/journeys; here its signature is checked.
"""

from __future__ import annotations

import asyncio
import runpy
from typing import TYPE_CHECKING

import pytest
from stripe import WebhookSignature

from db.outbox.provider_calls import CallId, ProviderCall
from tasks.providers.app import App
from tasks.providers.app.deliveries import DELIVER
from tasks.providers.calls import CallFailed
from tests.examples import EXAMPLES, expected, printed
from tests.tasks.providers.app.receiver import NEW, OLD
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from db.connections.pool import Connection
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


async def test_the_receiver_of_messages_takes_each_once_and_drops_older_states(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APP_EVENTS_SECRETS", OLD)
    receiver = runpy.run_path(str(EXAMPLES[0].parent / "receiver.py"))
    async with serving(receiver["app"]) as base:
        provider = App(events_url=f"{base}/", events_secrets=[NEW, OLD])
        for key, seq, balance in (("b", 2, 70), ("a", 1, 100), ("b", 2, 70), ("held", None, 70)):
            data = {"profile_id": "p", "coins": 30, "coin_balance": balance, "seq": seq}
            message = {"type": "gift.applied", "timestamp": "2026-05-04T12:00:00Z", "data": data}
            call = ProviderCall(CallId(1), DELIVER, key, message, attempt=1, is_retry=False)
            assert await provider.calls()[DELIVER](call) == {"status": 204}
        await provider.close()
        stranger = App(events_url=f"{base}/", events_secrets=[NEW])
        with pytest.raises(CallFailed, match="401"):
            await stranger.calls()[DELIVER](call)
        await stranger.close()
    assert receiver["balances"] == {"p": (2, 70)}
    assert capsys.readouterr().out.count("gift.applied") == 3
