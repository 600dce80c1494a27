"""Each verb of an operator leaves a note of who, what, why and from where, which the log shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from db import ticks
from tests.db.books import Payment
from tests.workers.console.holdings import BUYER, PARK, Holdings, fields_of
from tests.workers.console.pages.test_calls import dead_call
from tests.workers.console.pages.test_retries import dead, hidden
from tests.workers.console.site import post

if TYPE_CHECKING:
    import httpx

    from db.connections.pool import Connection

WHY = "from where was it done?"
HERE = "console, 127.0.0.1"


async def forms(owner: Connection, approver: httpx.AsyncClient) -> list[tuple[str, dict[str, str]]]:
    """Return a form of each verb that is no decision; those have tests of their own."""
    [event] = await dead(owner, "noted", 1)
    await dead(owner, "all.noted", 2)
    shown = await approver.get("/retry?state=dead&type=retry.all.noted")
    call = await dead_call(owner, "stripe.refund", "noted_1")
    await dead_call(owner, "google.consume", "noted_2")
    message = await dead_call(owner, "app.deliver", "noted_3")
    await ticks.open_tick(owner, "full_proof", every_s=60, offset_s=0)
    job = {"job": "full_proof", "reason": WHY}
    return [
        ("/events/retry", {f"event_{event}": "dead", "why": WHY}),
        ("/retry", {**hidden(shown.text), "why": WHY}),
        ("/calls/retry", {f"call_{call}": "on", f"call_{message}": "on", "why": WHY}),
        ("/calls/retry-dead", {"kind": "google.consume", "seen": "1", "why": WHY}),
        ("/events/1/payload", {"reason": WHY}),
        *((f"/schedules/{verb}", job) for verb in ("pause", "run", "resume")),
    ]


async def test_each_verb_is_noted_with_who_why_and_from_where(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    for path, fields in await forms(owner, approver):
        answer = await post(approver, path, fields)
        assert answer.status_code in (200, 303), (path, answer.text)
    noted = await owner.fetch(
        "select action, typed_by, origin from fleet.operator_actions where reason = $1 order by id",
        WHY,
    )
    actions = [
        *("replay", "replay", "replay deliveries", "replay calls", "replay calls"),
        *("payload read", "schedules pause", "schedules run", "schedules resume"),
    ]
    assert [tuple(row) for row in noted] == [
        (action, "approver of this machine", HERE) for action in actions
    ]
    rows = (await approver.get("/audit")).text.split("<tr>")
    told = [row for row in rows if WHY in row]
    assert len(told) == len(actions)
    for row in told:
        assert "<td></td>" not in row, "it says of what"
        assert HERE in row
        assert "<td>approver of this machine</td>" in row


async def test_a_release_and_an_answer_are_noted_with_of_what(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    await owner.execute(PARK.format("waiting"))
    payment = Payment()
    await Holdings(owner).apply(payment.bought(BUYER), payment.freeze("issfr_noted"))
    frozen = await owner.fetchval(
        "select id from public.coin_purchases where provider_payment_id = $1", payment.intent
    )
    for at, action, told in (
        ("frozen", f"/approvals/purchases/{frozen}/release", f">purchase {frozen}</a>"),
        ("inquiries", "/approvals/inquiries/1/answer", ": decline</a>"),
    ):
        fields = fields_of((await approver.get(f"/approvals/{at}")).text, action)
        fields |= {"choice": "decline", "reason": f"for {action}"}
        answer = await post(approver, action, fields)
        assert answer.status_code == 303, answer.text
        rows = (await approver.get("/audit")).text.split("<tr>")
        [row] = [row for row in rows if f"for {action}" in row]
        assert told in row


async def test_what_was_done_of_several_leads_to_all_of_them(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    await dead(owner, "several", 2)
    shown = await approver.get("/retry?state=dead&type=retry.several")
    await post(approver, "/retry", {**hidden(shown.text), "why": "of several"})
    await owner.execute(
        "select fleet.record_action('rates set', 'x', 'of a rate',"
        """ '{"rates": [["eur", "1.0843", "2026-05-04"]]}')"""
    )
    rows = (await approver.get("/audit")).text.split("<tr>")
    [several] = [row for row in rows if "of several" in row]
    assert (found := re.search(r'href="(/retried[^"]+)">2 events</a>', several))
    assert "retry.several" in (await approver.get(found[1])).text
    [rate] = [row for row in rows if "of a rate" in row]
    assert "eur 1.0843" in rate
