"""Who comes in: with a password, with a code, by a link; and how somebody is out."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.console.audit import list_deeds
from db.console.sessions import find_session
from tests.conditions import DEADLINE_S
from tests.servers.sign_in_service import ANON_KEY, CODE, sign_in_service
from tests.workers.console.site import BASE, LINK_SECRET, Site, post, site
from workers.console.attempts import CODE_KEPT_S, Attempts, UsedCodes
from workers.console.sign_in.sessions import hash_of
from workers.sign_in_links import Role, make_links

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.servers.sign_in_service import Fault, SignInService


@pytest_asyncio.fixture(scope="module")
async def service() -> AsyncIterator[SignInService]:
    async with sign_in_service() as running:
        running.add("ann@example.com", app_metadata={"coinfleet_role": "viewer"})
        running.add("ben@example.com", app_metadata={"coinfleet_role": "approver"}, has_factor=True)
        running.add("eve@example.com", user_metadata={"coinfleet_role": "approver"})
        running.add("odd@example.com", app_metadata={"coinfleet_role": "admin"})
        running.add(
            "new@example.com",
            app_metadata={"coinfleet_role": "operator"},
            has_factor=True,
            is_factor_verified=False,
        )
        yield running


@pytest_asyncio.fixture(scope="module")
async def console(console_database: Database, service: SignInService) -> AsyncIterator[Site]:
    """A console at which one signs in with a password."""
    async with site(
        console_database,
        supabase_url=service.url,
        supabase_anon_key=ANON_KEY,
        console_approval_aal="aal2",
    ) as running:
        yield running


async def try_to(console: Site, email: str, **fields: str) -> tuple[httpx.AsyncClient, Any]:
    """Send the form; return the browser, and the answer."""
    browser = console.browser()
    given = {"email": email, "password": "correct horse", "code": "", "next": "/events"}
    return browser, await post(browser, "/sign-in", given | fields)


async def is_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/audit")).status_code == 200


async def test_a_password_signs_in_and_leads_to_where_one_wanted_to_go(
    console: Site, service: SignInService
) -> None:
    browser, answer = await try_to(console, "Ann@example.com")
    assert (answer.status_code, answer.headers["location"]) == (303, "/events")
    page = await browser.get("/events")
    assert "ann@example.com" in page.text
    assert "viewer" in page.text
    assert service.open_tokens == {}


async def test_the_cookie_is_for_this_site_alone_and_says_nothing(console: Site) -> None:
    _, answer = await try_to(console, "ann@example.com")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "ann" not in cookie


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password": "wrong"}, "do not belong together"),
        ({"email": "nobody@example.com"}, "do not belong together"),
        ({"email": "", "password": ""}, "do not belong together"),
        ({"email": "ben@example.com"}, "second factor"),
        ({"email": "ben@example.com", "code": "000000"}, "not the code"),
        ({"email": "eve@example.com"}, "no role"),
        ({"email": "odd@example.com"}, "no role"),
    ],
    ids=["password", "address", "nothing", "no code", "wrong code", "own metadata", "unknown role"],
)
async def test_who_proves_nothing_stays_out_and_is_told_what_to_do(
    console: Site, service: SignInService, fields: dict[str, str], said: str
) -> None:
    browser, answer = await try_to(console, **{"email": "ann@example.com", **fields})
    assert answer.status_code == 403
    assert said in answer.text
    assert not await is_in(browser)
    assert service.open_tokens == {}


async def test_a_code_signs_in_with_a_second_factor(console: Site, owner: Connection) -> None:
    browser, answer = await try_to(console, "ben@example.com", code="123 456")
    assert answer.status_code == 303
    assert await is_in(browser)
    assert CODE == "123456"
    aal = await owner.fetchval("select aal from fleet.console_sessions order by id desc limit 1")
    assert aal == "aal2"


@pytest.mark.parametrize(("code", "is_good"), [("222222", True), ("333333", False)])
async def test_the_code_of_any_of_the_persons_apps_signs_in(
    console: Site, service: SignInService, code: str, *, is_good: bool
) -> None:
    member = service.add("two@x.example", has_factor=True, further_codes={uuid4(): "222222"})
    member.app_metadata = {"coinfleet_role": "approver"}
    try:
        browser, answer = await try_to(console, "two@x.example", code=code)
    finally:
        service.members.remove(member)
    assert (answer.status_code == 303) is is_good
    assert await is_in(browser) is is_good
    assert service.open_tokens == {}


async def test_a_code_signs_in_once(console: Site, service: SignInService) -> None:
    # The service takes a code again as long as the app shows it, from whoever looked on, too.
    member = service.add("seen@x.example", app_metadata={"coinfleet_role": "viewer"})
    member.has_factor = True
    await try_to(console, "seen@x.example", code=CODE)
    browser, answer = await try_to(console, "seen@x.example", code=f" {CODE}")
    assert "used already" in answer.text
    assert not await is_in(browser)


def test_a_code_is_forgotten_once_nothing_takes_it_any_more() -> None:
    now = 0.0
    used = UsedCodes(clock=lambda: now)
    ann, ben = uuid4(), uuid4()
    assert used.use(ann, CODE)
    assert used.use(ben, CODE)
    assert not used.use(ann, CODE)
    now = CODE_KEPT_S + 1
    assert used.use(ann, CODE)
    assert len(used._used) == 1


async def test_a_factor_that_was_never_verified_asks_for_no_code(console: Site) -> None:
    browser, _ = await try_to(console, "new@example.com")
    assert await is_in(browser)


@pytest.mark.parametrize("kind", ["phone", "webauthn", "of a later year"])
async def test_a_second_factor_that_can_not_be_asked_for_here_is_not_passed_over(
    console: Site, service: SignInService, kind: str
) -> None:
    metadata = {"coinfleet_role": "approver"}
    service.add(f"{kind}@x.example", app_metadata=metadata, has_factor=True, factor_type=kind)
    browser, answer = await try_to(console, f"{kind}@x.example", code=CODE)
    assert answer.status_code == 403
    assert "app that makes codes" in answer.text
    assert not await is_in(browser)
    assert service.open_tokens == {}


@pytest.mark.parametrize(
    "email", ["", "   ", "a\0b", "ann@example.com\u200b", "\u202eann@x.example"]
)
async def test_an_address_that_can_not_be_told_apart_by_eye_is_no_name(
    console: Site, service: SignInService, email: str
) -> None:
    member = service.add("x@x.example", app_metadata={"coinfleet_role": "viewer"})
    try:
        member.told_email = email
        browser, answer = await try_to(console, "x@x.example")
    finally:
        service.members.remove(member)
    assert answer.status_code == 303
    assert str(member.user_id) in (await browser.get("/audit")).text


@pytest.mark.parametrize("fault", ["unavailable", "no_json", "bad_json", "wrong_key"])
async def test_a_service_that_fails_signs_nobody_in_and_is_not_the_persons_fault(
    console: Site, service: SignInService, fault: Fault
) -> None:
    service.fault = fault
    try:
        browser, answer = await try_to(console, "ann@example.com")
    finally:
        service.fault = None
    assert "does not answer" in answer.text
    assert not await is_in(browser)


async def test_why_the_service_can_not_be_asked_is_logged_once_and_its_return_too(
    console: Site, service: SignInService
) -> None:
    await try_to(console, "ann@example.com")
    with capture_logs() as logged:
        service.fault = "wrong_key"
        try:
            await try_to(console, "ann@example.com")
            await try_to(console, "ann@example.com")
        finally:
            service.fault = None
        await try_to(console, "ann@example.com")
    said = [line for line in logged if line["event"].startswith("sign_in_service")]
    assert [line["event"] for line in said] == [
        "sign_in_service_unreachable",
        "sign_in_service_back",
    ]
    assert "SUPABASE_ANON_KEY" in said[0]["reason"]


async def test_a_refused_sign_in_is_in_the_audit_log_and_a_strangers_address_is_not(
    console: Site, owner: Connection
) -> None:
    await try_to(console, "ann@example.com")
    await try_to(console, " ANN@example.com", password="wrong")
    await try_to(console, "stranger@evil.example", password="wrong")
    await try_to(console, "ben@example.com", code="000001")
    found = [(each.action, each.subject, each.reason) for each in (await list_deeds(owner))[:3]]
    assert found == [
        ("sign-in refused", "as ben@example.com", "code"),
        ("sign-in refused", "with an address that never signed in", "credentials"),
        ("sign-in refused", "as ann@example.com", "credentials"),
    ]


def test_a_guesser_keeps_out_nobody_who_is_elsewhere() -> None:
    attempts = Attempts(clock=lambda: 0.0)
    tries = [attempts.begin("ann@x.example", "there") for _ in range(10)]
    assert [each is not None for each in tries] == [True] * 5 + [False] * 5
    assert attempts.begin("Ann@x.example", "here")
    for number in range(100):
        attempts.begin(f"{number}@x.example", "there")
    assert attempts.begin("ben@x.example", "there") is None
    assert attempts.begin("ben@x.example", "here")
    for number in range(100):
        attempts.begin("ann@x.example", f"from {number}")
    assert attempts.begin("ann@x.example", "here") is None


async def test_tries_at_the_same_time_are_counted_before_their_answers(
    console: Site, service: SignInService
) -> None:
    before = len(service.asked)
    service.answers_after = asyncio.Event()
    try:
        tries = [asyncio.create_task(try_to(console, "many@example.com")) for _ in range(12)]
        async with asyncio.timeout(DEADLINE_S):
            for each in islice(asyncio.as_completed(tries), 7):
                _, answer = await each
                assert "wait a minute" in answer.text
        service.answers_after.set()
        await asyncio.gather(*tries)
    finally:
        service.answers_after = None
    assert len(service.asked) - before == 5


async def test_who_signs_in_often_is_not_one_who_fails(console: Site) -> None:
    for _ in range(7):
        _, answer = await try_to(console, "ann@example.com")
        assert answer.status_code == 303


async def test_who_signs_in_anew_leaves_no_session_behind(console: Site) -> None:
    browser, _ = await try_to(console, "ann@example.com")
    former = dict(browser.cookies)
    given = {"email": "ann@example.com", "password": "correct horse", "next": "/"}
    await post(browser, "/sign-in", given)
    assert await is_in(browser)
    again = console.browser()
    again.cookies.update(former)
    assert not await is_in(again)


async def test_a_link_opened_in_a_browser_ends_what_was_there(console: Site) -> None:
    browser = await console.signed_in("viewer")
    former = dict(browser.cookies)
    link = make_links(BASE, LINK_SECRET)[Role.APPROVER]
    await browser.get(urlsplit(link).path)
    again = console.browser()
    again.cookies.update(former)
    assert not await is_in(again)


async def test_who_fails_too_often_is_not_asked_about_for_a_minute(
    console: Site, service: SignInService
) -> None:
    for _ in range(5):
        await try_to(console, "guess@example.com")
    before = len(service.asked)
    _, answer = await try_to(console, "Guess@example.com")
    assert "wait a minute" in answer.text
    assert len(service.asked) == before


async def test_who_signs_out_is_out_with_the_same_cookie_too(console: Site) -> None:
    browser, _ = await try_to(console, "ann@example.com")
    cookies = dict(browser.cookies)
    assert (await post(browser, "/sign-out")).status_code == 303
    again = console.browser()
    again.cookies.update(cookies)
    assert not await is_in(again)


async def test_who_is_revoked_is_out_at_the_next_request(console: Site, owner: Connection) -> None:
    browser, _ = await try_to(console, "ann@example.com")
    assert await is_in(browser)
    ended = await owner.fetchval(
        "select fleet.revoke_console_sessions('ANN@example.com', 'owner@db')"
    )
    assert ended >= 1
    assert not await is_in(browser)


async def test_a_session_ends_by_itself(console: Site, owner: Connection) -> None:
    browser, _ = await try_to(console, "ann@example.com")
    await owner.execute("update fleet.console_sessions set expires_at = clock_timestamp()")
    assert not await is_in(browser)


async def test_who_is_signed_in_still_looks_when_the_database_takes_no_writes(
    console: Site, owner: Connection
) -> None:
    browser, _ = await try_to(console, "ann@example.com")
    await owner.execute("update fleet.console_sessions set last_seen_at = '-infinity'")
    pool = console.app._app.state.desk.pool  # type: ignore[attr-defined]
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        found = await find_session(connection, hash_of(browser.cookies["coinfleet"]))
    assert found is not None


@pytest.mark.parametrize("token", ["", "x", "a" * 4_000, "..", "\\"])
async def test_a_cookie_that_was_made_up_is_nobody(console: Site, token: str) -> None:
    browser = console.browser(cookie=f"coinfleet={token}")
    assert (await browser.get("/")).status_code == 303


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil", "x"])
async def test_nobody_is_sent_to_another_site(console: Site, following: str) -> None:
    _, answer = await try_to(console, "ann@example.com", next=following)
    assert answer.headers["location"] == "/"


async def test_a_name_stays_with_its_person_and_another_gets_another(
    console: Site, service: SignInService
) -> None:
    first = service.add("cleo@example.com", app_metadata={"coinfleet_role": "viewer"})
    browser, _ = await try_to(console, "cleo@example.com")
    first.email = "renamed@example.com"
    service.add("cleo@example.com", app_metadata={"coinfleet_role": "viewer"})
    renamed, _ = await try_to(console, "renamed@example.com")
    other, _ = await try_to(console, "cleo@example.com")
    assert "cleo@example.com <small>" in (await browser.get("/")).text
    assert "cleo@example.com <small>" in (await renamed.get("/")).text
    assert "cleo@example.com (" in (await other.get("/")).text


# By a link


async def test_a_link_of_another_start_signs_nobody_in(console: Site) -> None:
    browser = console.browser()
    answer = await browser.get("/sign-in/link/InZpZXdlciI.izK0AbJxvenVZhanKnw71vs5Iz4")
    assert answer.status_code == 403
    assert "coinfleet console links" in answer.text
    assert not await is_in(browser)
