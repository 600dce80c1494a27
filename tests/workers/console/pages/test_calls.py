"""Outgoing calls and messages to the app: what the page says, and what a retry truly does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workers.console.holdings import fields_of
from tests.workers.console.site import post

if TYPE_CHECKING:
    import httpx

    from db.connections.pool import Connection

CALL = """
    insert into fleet.provider_calls (kind, key, request, state, last_error, finished_at)
    values ($1, $2, '{"secret": 4242}', 'dead', 'HTTP 500 boom', clock_timestamp())
    returning id
"""


async def dead_call(owner: Connection, kind: str, key: str) -> int:
    call_id: int = await owner.fetchval(CALL, kind, key)
    return call_id


async def state(owner: Connection, call_id: int) -> str:
    found: str = await owner.fetchval(
        "select state from fleet.provider_calls where id = $1", call_id
    )
    return found


async def test_chosen_calls_and_messages_are_made_again_and_read_back(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    call = await dead_call(owner, "stripe.refund", "key_1")
    message = await dead_call(owner, "app.deliver", "key_2")
    text = (await approver.get("/calls?state=dead")).text
    assert "HTTP 500 boom" in text
    assert "4242" not in text
    kept = {"state": "dead"}
    assert fields_of(text, "/calls/retry")["state"] == "dead"
    sent = {f"call_{call}": "on", f"call_{message}": "on", "why": "mended", **kept}
    answer = await post(approver, "/calls/retry", sent)
    assert answer.status_code == 303
    assert [await state(owner, each) for each in (call, message)] == ["pending", "pending"]
    address = answer.headers["location"]
    told = (await approver.get(address)).text
    assert "2 calls pending" in told
    assert 'href="/calls?state=dead"' in told
    await owner.execute("update fleet.provider_calls set state = 'dead' where id = $1", call)
    assert "1 call dead" in (await approver.get(address)).text
    noted = await owner.fetch(
        "select action, who, typed_by, call_ids from fleet.operator_actions"
        " where reason = 'mended' order by action"
    )
    who = ("coinfleet_console", "approver of this machine")
    assert [tuple(row) for row in noted] == [
        ("replay calls", *who, [call]),
        ("replay deliveries", *who, [message]),
    ]


async def test_all_dead_calls_of_a_kind_are_made_again_if_no_more_than_were_shown(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    calls = [await dead_call(owner, "google.acknowledge", f"ack_{n}") for n in range(2)]
    text = (await approver.get("/calls?state=dead&kind=google.acknowledge")).text
    assert "Retry 2 dead calls" in text
    sent = {"kind": "google.acknowledge", "seen": "1", "why": "mended"}
    assert (await post(approver, "/calls/retry-dead", sent)).status_code == 400
    assert await state(owner, calls[0]) == "dead"
    await post(approver, "/calls/retry-dead", sent | {"seen": "2"})
    assert [await state(owner, each) for each in calls] == ["pending", "pending"]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/calls/retry", {"why": "nothing is chosen"}),
        ("/calls/retry", {"call_1": "on"}),
        ("/calls/retry", {"call_x": "on", "why": "x"}),
        ("/calls/retry-dead", {"kind": "stripe.refund", "why": "x"}),
    ],
)
async def test_a_form_without_calls_or_a_reason_is_refused(
    approver: httpx.AsyncClient, path: str, sent: dict[str, str]
) -> None:
    assert (await post(approver, path, sent)).status_code == 400
