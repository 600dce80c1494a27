"""Each verb of an operator leaves a note of who, what, why and from where, which the log shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import ticks
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
        assert HERE in row
        assert "<td>approver of this machine</td>" in row
