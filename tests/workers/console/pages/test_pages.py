"""Every page and every action of the table, as each role; and what a page never shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from db.health.webs import WebDetail, report_web
from db.health.workers import WorkDetail, WorkerReport, report_worker
from tests.db.stores.sales import Sale, set_sandbox
from tests.workers.console.conftest import HOSTILE, LARGE
from tests.workers.console.holdings import BUYER, HELD_EVENT, PARK, Holdings, an_address
from tests.workers.console.hostile import SOME_TYPED, Asked, quoted
from tests.workers.console.site import post, site
from workers.console.rights import Right
from workers.console.table import ACTIONS, PAGES, Action, Page
from workers.sign_in_links import Role

if TYPE_CHECKING:
    import httpx

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.console.site import Site

# Who may do what, from the issue: a viewer looks, an operator acts, an approver decides, too; to
# read payloads is given beside a role, and here by the approver's link.
MAY = {
    Right.LOOK: {Role.VIEWER, Role.OPERATOR, Role.APPROVER},
    Right.OPERATE: {Role.OPERATOR, Role.APPROVER},
    Right.APPROVE: {Role.APPROVER},
    Right.READ_PAYLOADS: {Role.APPROVER},
}
# It is sent for as long as somebody looks: test_feed.py.
ENDLESS = {"/live"}
SHOWN = [page for page in PAGES if page.path not in ENDLESS]


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.path)
async def test_each_page_is_shown_to_whom_it_is_for_and_refused_to_others(
    browsers: dict[Role, httpx.AsyncClient], page: Page
) -> None:
    for role in Role:
        answer = await browsers[role].get(an_address(page.path))
        assert answer.status_code == (200 if role in MAY[page.right] else 403), (role, answer.text)
        assert HOSTILE not in answer.text, role


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.path)
async def test_each_action_is_done_for_whom_it_is_for_and_refused_to_others(
    console: Site, action: Action
) -> None:
    for role in Role:
        browser = await console.signed_in(role)
        answer = await post(browser, an_address(action.path), {"reason": "a test"})
        assert (answer.status_code == 403) == (role not in MAY[action.right]), (role, answer.text)
        assert answer.status_code < 500, role


@pytest.mark.parametrize("path", [each.path for each in (*SHOWN, *ACTIONS)])
async def test_nobody_is_shown_anything_without_signing_in(console: Site, path: str) -> None:
    async with console.browser() as browser:
        asked = await browser.get(an_address(path))
        sent = await post(browser, an_address(path))
    assert asked.status_code in (303, 405)
    assert asked.headers.get("location", "/sign-in").startswith("/sign-in")
    assert sent.status_code in (401, 405)
    for answer in (asked, sent):
        assert "evt_1" not in answer.text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
async def test_a_page_changes_nothing_so_a_form_is_no_page(
    approver: httpx.AsyncClient, page: Page
) -> None:
    answer = await post(approver, an_address(page.path))
    actions = {each.path for each in ACTIONS}
    assert answer.status_code == 405 or page.path in actions


@pytest.mark.parametrize("typed", SOME_TYPED, ids=lambda typed: ascii(typed)[:20])
@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.path)
async def test_whatever_is_typed_gets_a_page_and_comes_back_escaped(
    approver: httpx.AsyncClient, page: Page, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    await approver.get(an_address(page.path))
    tried = set()
    while left := sorted(asked.names - tried):
        # What is read only after another field was is found on the way.
        for field in left:
            answer = await approver.get(f"{an_address(page.path)}?{field}={quoted(typed)}")
            assert answer.status_code in (200, 303, 400, 404), (field, answer.status_code)
            assert "<script>alert" not in answer.text
            assert str(1234567 * 7) not in answer.text
        tried |= set(left)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_a_time_that_no_calendar_of_the_database_has_gets_a_page(
    approver: httpx.AsyncClient, at: str
) -> None:
    for address in (
        f"/audit?before={quote(f'{at} x')}",
        f"/approvals?after={quote(f'{at} 1 1')}",
        f"/payments/disputes?after={quote(f'{at} stripe dp_1')}",
        f"/events?since={quote(at)}",
    ):
        assert (await approver.get(address)).status_code in (200, 400), address


@pytest.mark.parametrize("event_id", ["0", "999999", "x", "9" * 25, "1%00", "-1", "1.5", "٤"])
async def test_an_event_that_is_none_gets_a_page_that_says_so(
    approver: httpx.AsyncClient, event_id: str
) -> None:
    assert (await approver.get(f"/events/{event_id}")).status_code == 404


async def test_a_payload_is_in_no_page_without_the_right(
    browsers: dict[Role, httpx.AsyncClient],
) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        for page in SHOWN:
            answer = await browsers[role].get(an_address(page.path))
            assert "9007199254740993" not in answer.text, page.path
        answer = await post(browsers[role], "/events/1/payload", {"reason": "curious"})
        assert "9007199254740993" not in answer.text


async def test_a_payload_is_shown_with_its_numbers_as_sent_and_noted_with_why(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    without = await post(approver, "/events/1/payload", {"reason": " "})
    assert without.status_code == 400
    shown = await post(approver, "/events/1/payload", {"reason": "a complaint"})
    assert str(LARGE) in shown.text
    noted = await owner.fetchrow(
        "select action, who, typed_by, reason, event_ids from fleet.operator_actions"
        " where reason = 'a complaint'"
    )
    assert tuple(noted or ()) == (
        "payload read",
        "coinfleet_console",
        "approver of this machine",
        "a complaint",
        [1],
    )
    assert "a complaint" in (await approver.get("/audit")).text


async def test_an_error_shows_its_class_and_not_the_values_in_it(viewer: httpx.AsyncClient) -> None:
    for path in ("/events", "/events/1", "/search?id=evt_1"):
        answer = await viewer.get(path, follow_redirects=True)
        assert "22003" in answer.text
        assert "4242" not in answer.text


async def test_an_event_names_its_trace(viewer: httpx.AsyncClient, owner: Connection) -> None:
    assert "Trace" not in (await viewer.get("/events/1")).text
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await owner.execute(
        "update fleet.inbox_events set traceparent = $1 where id = 1",
        f"00-{trace}-00f067aa0ba902b7-01",
    )
    assert f"<code data-copy>{trace}</code>" in (await viewer.get("/events/1")).text


async def test_the_overview_says_which_release_each_process_runs(
    console_database: Database, owner: Connection
) -> None:
    detail = WorkDetail(version="1.2.3")
    report = WorkerReport(
        worker="w:1", uptime_s=1, doorbell_age_s=None, batches=0, events=0, apply_ms_total=0,
        apply_buckets=[], detail=detail,
    )  # fmt: skip
    await report_worker(owner, report)
    # Of a release before this one.
    await report_worker(owner, replace(report, worker="w:2", detail=WorkDetail()))
    await report_web(owner, "web:1", uptime_s=1, detail=WebDetail(version="1.2.4"))
    async with site(console_database) as fresh:
        text = (await (await fresh.signed_in(Role.VIEWER)).get("/")).text
    for name, version in (
        ("worker w:1", "1.2.3"),
        ("worker w:2", "not told"),
        ("web web:1", "1.2.4"),
    ):
        assert f'<th scope="row">{name}</th><td>yes</td><td>{version}</td>' in text


async def test_a_filter_can_be_bookmarked(viewer: httpx.AsyncClient) -> None:
    answer = await viewer.get("/events?state=dead&provider=stripe")
    assert "/events/1" in answer.text
    assert "/events/3" not in answer.text
    assert "<option selected>dead</option>" in answer.text


async def test_the_search_box_finds_an_event_by_any_of_its_ids(viewer: httpx.AsyncClient) -> None:
    for typed in ("evt_1", "event:1"):
        answer = await viewer.get(f"/search?id={typed}")
        assert answer.headers.get("location") == "/events/1"
    assert (await viewer.get("/search?id=nobody")).status_code == 404


async def test_the_overview_says_first_what_needs_a_person(viewer: httpx.AsyncClient) -> None:
    text = (await viewer.get("/")).text
    assert text.index("need a person") < text.index("Events per second")
    assert "dead: 1 event" in text
    assert 'href="/events?state=dead"' in text


async def test_the_banner_says_that_payments_are_tests(viewer: httpx.AsyncClient) -> None:
    assert "Test mode" in (await viewer.get("/")).text


async def test_a_purchase_that_a_tester_made_is_shown_as_one(
    viewer: httpx.AsyncClient, owner: Connection
) -> None:
    await owner.execute(PARK.format("waiting"))
    await set_sandbox(owner, "grant")
    real, test = Sale("google"), Sale("google")
    await Holdings(owner).apply(real.sold(BUYER), test.sold(BUYER, is_sandbox=True))
    await set_sandbox(owner)
    await owner.execute(PARK.format("pending"))
    for sale, is_said in ((real, False), (test, True)):
        number = await owner.fetchval(
            "select id from public.coin_purchases where provider_payment_id = $1", sale.name
        )
        shown = (await viewer.get(f"/approvals/purchases/{number}")).text
        # In the words of `coinfleet purchases show`.
        assert ("A test of Google&#39;s, no money was paid" in shown) == is_said


async def test_an_id_is_found_with_the_marks_that_a_copy_brings(viewer: httpx.AsyncClient) -> None:
    answer = await viewer.get("/search?id=%E2%80%8Bevt_1%EF%BB%BF")
    assert answer.headers["location"].startswith("/events/")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Purchase 1", "/approvals/purchases/1"),
        ("held event #5", "/events/5"),
        ("payment:1", "/payments/1"),
        ("payment 1", "/payments/1"),
        ('"evt_1".', "/events/1"),
        ("(evt_1)", "/events/1"),
        ("https://dashboard.stripe.com/test/events/evt_1?tab=x#y", "/events/1"),
    ],
)
async def test_an_id_is_found_as_pages_and_people_write_it(
    viewer: httpx.AsyncClient, typed: str, found: str
) -> None:
    answer = await viewer.get(f"/search?id={quote(typed)}")
    assert answer.headers.get("location") == found


@pytest.mark.parametrize("typed", ["purchase 99999", "purchase", "https://", "://", '""', "()"])
async def test_what_only_looks_like_an_id_is_found_nowhere(
    viewer: httpx.AsyncClient, typed: str
) -> None:
    assert (await viewer.get(f"/search?id={quote(typed)}")).status_code == 404


@pytest.mark.parametrize("path", ["/events?type=%00", "/events?type=" + "x" * 1_001])
async def test_whoever_is_refused_a_field_is_still_signed_in(
    viewer: httpx.AsyncClient, path: str
) -> None:
    answer = await viewer.get(path)
    assert answer.status_code == 400
    assert "viewer of this machine" in answer.text
    assert "sign in</a>" not in answer.text.lower()


async def test_a_held_event_leads_to_where_it_is_decided(viewer: httpx.AsyncClient) -> None:
    without, bought = [(await viewer.get(f"/events/{each}")).text for each in (HELD_EVENT, 4)]
    assert f'href="/approvals/events/{HELD_EVENT}"' in without
    assert 'href="/approvals/purchases/1"' in bought
    assert 'href="/payments/' in bought


async def test_the_audit_log_shows_what_was_done_by_a_clock_that_was_ahead(
    viewer: httpx.AsyncClient, owner: Connection
) -> None:
    await owner.execute(
        "insert into fleet.operator_actions (action, who, typed_by, reason, detail, acted_at)"
        " values ('replay', 'x', 'x', 'done before the clock was set back', '{}',"
        " clock_timestamp() + interval '1 day')"
    )
    assert "done before the clock was set back" in (await viewer.get("/audit")).text
