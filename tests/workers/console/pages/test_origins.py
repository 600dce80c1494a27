"""From where somebody acts is in the audit log, whatever the person does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import ticks
from db.console.audit import list_deeds
from tests.workers.console.pages.test_calls import dead_call
from tests.workers.console.site import post
from workers.sign_in_links import Role, make_links

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.workers.console.site import Site

HERE = "console, 127.0.0.1"


async def test_whatever_a_person_does_is_kept_with_from_where(
    console: Site, owner: Connection
) -> None:
    browser = await console.signed_in(Role.APPROVER)
    events = "select id from fleet.inbox_events where provider_event_id = 'evt_1'"
    event_id = await owner.fetchval(events)
    call = await dead_call(owner, "stripe.refund", "origin_1")
    message = await dead_call(owner, "app.deliver", "origin_2")
    await ticks.open_tick(owner, "leaderboard", every_s=60, offset_s=0)
    before = await owner.fetchval("select clock_timestamp()")
    state = await owner.fetchval(events.replace("id", "state", 1))
    for path, fields in {
        "/events/retry": {f"event_{event_id}": state, "why": "x"},
        f"/events/{event_id}/payload": {"reason": "x"},
        "/calls/retry": {f"call_{call}": "on", f"call_{message}": "on", "why": "x"},
        "/schedules/pause": {"job": "leaderboard", "reason": "x"},
        "/schedules/run": {"job": "leaderboard", "reason": "x"},
        "/schedules/resume": {"job": "leaderboard", "reason": "x"},
        "/sign-out": {"x": ""},
    }.items():
        assert (await post(browser, path, fields)).status_code in (200, 303), path
    done = [deed for deed in await list_deeds(owner) if deed.at > before]
    assert {deed.action for deed in done} == {
        "replay",
        "payload read",
        "replay calls",
        "replay deliveries",
        *("schedules pause", "schedules run", "schedules resume"),
        "sign out",
    }
    assert {deed.origin for deed in done} == {HERE}


async def test_a_sign_in_by_link_is_kept_with_from_where(console: Site, owner: Connection) -> None:
    await console.signed_in(Role.VIEWER)
    newest = next(deed for deed in await list_deeds(owner) if deed.action == "sign in")
    assert newest.origin == HERE


async def test_a_link_that_is_refused_is_seen_by_an_operator(
    console: Site, owner: Connection
) -> None:
    link = make_links("", "another secret")[Role.APPROVER]
    for _ in range(5):
        assert (await console.browser().get(link)).status_code == 403
    newest, before = (await list_deeds(owner))[:2]
    assert (newest.action, newest.reason, newest.origin) == ("sign-in refused", "link", HERE)
    # Whoever opens many costs the database one row a minute.
    assert before.action != newest.action
