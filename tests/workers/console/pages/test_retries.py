"""Retries from the console: what is shown first, what is done, and what is truly told after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from db.console import retries
from tests.workers.console.holdings import fields_of
from tests.workers.console.site import post

if TYPE_CHECKING:
    import httpx

    from db.connections.pool import Connection

DEAD = """
    insert into fleet.inbox_events
        (provider, provider_event_id, event_type, payload, payload_sha256, state, reason, attempts,
         processed_at, last_error)
    select 'stripe', $1 || n, 'retry.' || $1, '{}', sha256(($1 || n)::bytea), 'dead', 'failed', 5,
        clock_timestamp(), '40001: again'
    from generate_series(1, $2::int) as n
    returning id
"""


async def dead(owner: Connection, name: str, events: int) -> list[int]:
    return [row["id"] for row in await owner.fetch(DEAD, name, events)]


async def states(owner: Connection, ids: list[int]) -> set[str]:
    rows = await owner.fetch("select state from fleet.inbox_events where id = any($1)", ids)
    return {row["state"] for row in rows}


def hidden(text: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', text))


async def test_one_event_is_retried_and_its_outcome_is_read_from_its_row(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    [event_id] = await dead(owner, "one", 1)
    assert "Why do you retry it?" in (await approver.get(f"/events/{event_id}")).text
    answer = await post(approver, "/events/retry", {f"event_{event_id}": "dead", "why": "mended"})
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert "1 of 1 event still to do" in (await approver.get(address)).text
    for state, told in (("applied", "1 of 1 event done"), ("dead", "1 of 1 event dead again")):
        await owner.execute(
            "update fleet.inbox_events set state = $2, reason = 'failed', processed_at = now()"
            " where id = $1",
            event_id,
            state,
        )
        assert told in (await approver.get(address)).text
    noted = await owner.fetchrow(
        "select who, typed_by, reason from fleet.operator_actions"
        " where event_ids = array[$1::bigint]",
        event_id,
    )
    assert tuple(noted or ()) == ("coinfleet_console", "approver of this machine", "mended")


async def test_only_the_chosen_are_retried_and_only_in_the_state_that_was_shown(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    first, second, third = await dead(owner, "chosen", 3)
    await owner.execute("update fleet.inbox_events set state = 'applied' where id = $1", second)
    answer = await post(
        approver,
        "/events/retry",
        {f"event_{first}": "dead", f"event_{second}": "dead", "why": "mended"},
    )
    text = (await approver.get(answer.headers["location"])).text
    assert "1 event changed since it was looked up" in text
    assert [await states(owner, [each]) for each in (first, second, third)] == [
        {"pending"},
        {"applied"},
        {"dead"},
    ]


async def test_the_filter_is_kept_after_a_retry(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    [event_id] = await dead(owner, "kept", 1)
    wanted = "state=dead&type=retry.kept"
    shown = (await approver.get(f"/events?{wanted}")).text
    fields = fields_of(shown, "/events/retry")
    assert fields.pop(f"event_{event_id}") == "dead"
    sent = {**fields, f"event_{event_id}": "dead", "why": "mended"}
    answer = await post(approver, "/events/retry", sent)
    told = (await approver.get(answer.headers["location"])).text
    assert "1 of 1 event still to do" in told
    assert f'href="/events?{wanted.replace("&", "&amp;")}"' in told


async def test_all_that_match_are_counted_first_and_then_retried(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    ids = await dead(owner, "all", 3)
    shown = await approver.get("/retry?state=dead&type=retry.all")
    assert "3 events match" in shown.text
    assert await states(owner, ids) == {"dead"}
    fields = hidden(shown.text)
    answer = await post(approver, "/retry", {**fields, "why": "mended"})
    assert answer.status_code == 303
    assert await states(owner, ids) == {"pending"}


async def test_an_event_that_came_after_the_count_is_left(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    ids = await dead(owner, "early", 2)
    shown = await approver.get("/retry?state=dead&reason=failed&type=retry.early")
    [late] = await owner.fetch(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, processed_at) values ('stripe', 'late', 'retry.early',"
        " '{}', sha256('late'), 'dead', 'failed', now()) returning id"
    )
    await post(approver, "/retry", {**hidden(shown.text), "why": "mended"})
    assert await states(owner, ids) == {"pending"}
    assert await states(owner, [late["id"]]) == {"dead"}


async def test_if_more_match_than_were_shown_nothing_is_retried(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    ids = await dead(owner, "more", 3)
    await owner.execute("update fleet.inbox_events set state = 'applied' where id = $1", ids[0])
    fields = hidden((await approver.get("/retry?state=dead&type=retry.more")).text)
    await owner.execute("update fleet.inbox_events set state = 'dead' where id = $1", ids[0])
    answer = await post(approver, "/retry", {**fields, "why": "mended"})
    assert answer.status_code == 409
    assert "3 events match" in answer.text
    assert await states(owner, ids) == {"dead"}


async def test_an_empty_filter_is_refused_unless_all_is_said(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    ids = await dead(owner, "empty", 1)
    assert "I mean all of them" in (await approver.get("/retry")).text
    refused = await post(approver, "/retry", {"seen": "99", "upto": "99", "why": "all"})
    assert refused.status_code == 400
    assert "events match" in (await approver.get("/retry?all=yes")).text
    assert await states(owner, ids) == {"dead"}


async def test_more_than_a_page_can_look_through_is_left_to_the_command(
    approver: httpx.AsyncClient, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dead(owner, "many", 2)
    monkeypatch.setattr(retries, "OPEN_MAX", 1)
    answer = await approver.get("/retry?state=dead")
    assert answer.status_code == 400
    assert "coinfleet replay" in answer.text


@pytest.mark.parametrize(
    "sent",
    [
        {"why": "nothing is chosen"},
        {"event_1": "dead"},
        {"event_x": "dead", "why": "x"},
        {"event_1": "merry", "why": "x"},
    ],
)
async def test_a_form_without_events_or_a_reason_is_refused(
    approver: httpx.AsyncClient, sent: dict[str, str]
) -> None:
    assert (await post(approver, "/events/retry", sent)).status_code == 400


async def test_a_viewer_sees_no_button_and_an_outcome(
    viewer: httpx.AsyncClient, owner: Connection
) -> None:
    [event_id] = await dead(owner, "viewed", 1)
    for path in ("/events", f"/events/{event_id}"):
        assert "retry" not in re.sub(r"retry\.\w+", "", (await viewer.get(path)).text).lower()
    assert (await viewer.get("/retried?actions=1")).status_code == 200


async def test_a_trial_is_asked_for_and_its_outcome_stands_above_the_confirmation(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    ids = await dead(owner, "tried", 2)
    answer = await post(approver, "/retry/try", {"state": "dead", "type": "retry.tried"})
    address = answer.headers["location"]
    # One that has just started may not have reported yet.
    assert "this page looks again" in (await approver.get(address)).text
    await owner.execute("update fleet.replay_trials set asked_at = asked_at - interval '6 s'")
    alone = (await approver.get(address)).text
    assert "nobody tries what would become of them" in alone
    assert f'<a href="{address.replace("&", "&amp;")}">Look again</a>' in alone
    await owner.execute("select fleet.report_worker('w', 1, null, 0, 0, 0, '{}')")
    trying = (await approver.get(address)).text
    assert "A worker tries" in trying
    # The page looks again each second, so what is typed there would be lost.
    assert 'name="why"' not in trying
    told = (
        '{"batches": 1, "changes": [{"before": "dead", "reason_before": "failed",'
        ' "state": "applied", "reason": null, "events": 2}], "skipped": {"in_hand": 1},'
        ' "coins": {"coins": {"gained": 9007199254740993, "gainers": 2}}}'
    )
    await owner.execute(
        "update fleet.replay_trials set finished_at = now(), outcome = $1",
        told,
    )
    text = (await approver.get(address)).text
    assert "2 profiles would gain 9,007,199,254,740,993" in text
    assert "Retry 2 events" in text
    # Whoever is in two batches is counted in both.
    await owner.execute(
        "update fleet.replay_trials set outcome = replace(outcome::text, ': 1,', ': 2,')::jsonb"
    )
    assert "at most 2 profiles would gain" in (await approver.get(address)).text
    assert await states(owner, ids) == {"dead"}


async def test_a_trial_of_other_events_than_match_now_says_so(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    await dead(owner, "before", 2)
    await dead(owner, "others", 1)
    answer = await post(approver, "/retry/try", {"state": "dead", "type": "retry.before"})
    address = answer.headers["location"]
    await owner.execute(
        "update fleet.replay_trials set finished_at = now(), outcome = '{\"batches\": 1}'"
    )
    said = "tried with other events than match now"
    assert said not in (await approver.get(address)).text
    of_another_filter = (await approver.get(address.replace("retry.before", "retry.others"))).text
    await owner.execute(
        "update fleet.inbox_events set state = 'applied' where event_type = 'retry.before'"
        " and id = (select max(id) from fleet.inbox_events where event_type = 'retry.before')"
    )
    for text in (of_another_filter, (await approver.get(address)).text):
        assert said in text
        assert 'action="/retry/try"' in text


async def test_an_event_that_was_shown_and_matches_no_more_is_told_of(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    ids = await dead(owner, "fewer", 3)
    fields = hidden((await approver.get("/retry?state=dead&type=retry.fewer")).text)
    await owner.execute("update fleet.inbox_events set state = 'applied' where id = $1", ids[0])
    answer = await post(approver, "/retry", {**fields, "why": "mended"})
    told = (await approver.get(answer.headers["location"])).text
    assert "2 of 2 events" in told
    assert "1 event changed since it was looked up" in told


async def test_without_a_filter_nothing_is_tried(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    before = await owner.fetchval("select count(*) from fleet.replay_trials")
    answer = await post(approver, "/retry/try", {"provider": "stripe"})
    assert answer.headers["location"] == "/retry?provider=stripe"
    assert await owner.fetchval("select count(*) from fleet.replay_trials") == before
