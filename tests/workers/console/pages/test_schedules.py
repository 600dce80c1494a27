"""The page of schedules: what it says, and what its forms do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db import ticks
from tests.workers.console.site import post

if TYPE_CHECKING:
    import httpx

    from db.connections.pool import Connection

JOB = {"job": "leaderboard", "reason": "a repair"}


async def test_a_job_is_paused_run_and_resumed_and_each_is_in_the_audit_log(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    await ticks.open_tick(owner, "leaderboard", every_s=60, offset_s=0)
    for verb, told in (
        ("pause", "leaderboard is paused"),
        ("pause", "paused already"),
        ("run", "is asked for"),
        ("resume", "runs again"),
        ("resume", "is not paused"),
    ):
        answer = await post(approver, f"/schedules/{verb}", JOB)
        assert answer.status_code == 303
        page = await approver.get(answer.headers["location"])
        assert told in page.text
    noted = await owner.fetch(
        "select action, who, typed_by from fleet.operator_actions where reason = 'a repair'"
        " order by id"
    )
    assert [tuple(row) for row in noted] == [
        (f"schedules {verb}", "coinfleet_console", "approver of this machine")
        for verb in ("pause", "run", "resume")
    ]
    text = (await approver.get("/audit")).text
    assert "schedules resume</td><td>leaderboard" in text


async def test_a_paused_job_is_shown_as_paused_with_who_and_why(
    viewer: httpx.AsyncClient, owner: Connection
) -> None:
    await owner.execute(
        "insert into fleet.schedule_pauses (job, paused_by, reason)"
        " values ('publish_state', 'ann', 'a move')"
    )
    text = (await viewer.get("/schedules?job=publish_state")).text
    assert "by ann: a move" in text
    assert '<span class="state paused">paused</span>' in text
    assert "Run now" not in text


@pytest.mark.parametrize(
    "sent",
    [
        {"job": "nothing", "reason": "x"},
        {"job": "leaderboard"},
        # Nobody sees these characters, so nobody would see why.
        {"job": "leaderboard", "reason": "\u200b \u202e\u2060"},
    ],
)
async def test_a_form_without_a_known_job_and_a_reason_is_refused(
    approver: httpx.AsyncClient, sent: dict[str, str]
) -> None:
    assert (await post(approver, "/schedules/pause", sent)).status_code == 400
