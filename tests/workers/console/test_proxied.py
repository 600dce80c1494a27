"""Who comes in by an identity-aware proxy, for how long, and under which name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.servers.key_set import SigningKey, key_set, signed
from tests.workers.console.site import Site, post, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.clusters import Database

HEADER = "cf-access-jwt-assertion"
AUDIENCE = "the console"
NOW = int(time.time())


@pytest_asyncio.fixture(scope="module")
async def key() -> SigningKey:
    return SigningKey("proxy key")


@pytest_asyncio.fixture(scope="module")
async def console(console_database: Database, key: SigningKey) -> AsyncIterator[Site]:
    """A console that stands behind a proxy."""
    async with (
        key_set(key) as keys,
        site(
            console_database,
            console_jwt_header=HEADER,
            console_jwks_url=keys.url,
            console_jwt_audience=AUDIENCE,
        ) as running,
    ):
        yield running


async def is_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/audit")).status_code == 200


def token(key: SigningKey, role: str | None = "operator", **changes: Any) -> str:
    metadata = {} if role is None else {"coinfleet_role": role}
    given = {"aud": AUDIENCE, "app_metadata": metadata, "email": "dora@example.com"}
    return signed(key, **given | changes)


async def test_a_proxys_token_signs_in_without_a_form(console: Site, key: SigningKey) -> None:
    browser = console.browser(**{HEADER: token(key)})
    page = await browser.get("/")
    assert page.status_code == 200
    assert "dora@example.com <small>operator" in page.text
    assert await is_in(browser)


async def test_a_session_of_a_proxy_is_nothing_without_its_token(
    console: Site, key: SigningKey
) -> None:
    browser = console.browser(**{HEADER: token(key)})
    await browser.get("/")
    del browser.headers[HEADER]
    assert not await is_in(browser)


async def test_a_role_that_was_taken_away_is_gone_with_the_next_token(
    console: Site, key: SigningKey
) -> None:
    browser = console.browser(**{HEADER: token(key, "approver")})
    assert "<small>approver" in (await browser.get("/")).text
    browser.headers[HEADER] = token(key, "viewer")
    assert "<small>viewer" in (await browser.get("/")).text


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"exp": NOW - 3_600},
        {"nbf": NOW + 3_600},
        {"role": None, "app_metadata": {}},
        {"app_metadata": {"coinfleet_role": "admin"}},
        {"app_metadata": {}, "user_metadata": {"coinfleet_role": "approver"}},
        {"sub": ""},
        {"sub": "a" * 201},
        {"sub": "  "},
        {"iat": NOW + 3_600},
        {"iat": -(10**18)},
    ],
    # A time in a name would give every process of the tests other names.
    ids="-".join,
)
async def test_a_token_that_is_not_for_the_console_signs_nobody_in(
    console: Site, key: SigningKey, changes: dict[str, Any]
) -> None:
    browser = console.browser(**{HEADER: token(key, **changes)})
    assert (await browser.get("/audit")).status_code == 303


@pytest.mark.parametrize("email", ["  ", "a\0b", "ann@example.com\u200b"])
async def test_a_proxys_address_that_can_not_be_told_apart_is_no_name_either(
    console: Site, key: SigningKey, email: str
) -> None:
    subject = f"subject of {email!r}"
    browser = console.browser(**{HEADER: token(key, sub=subject, email=email)})
    assert subject.replace("'", "&#39;") in (await browser.get("/audit")).text


async def test_a_token_of_another_key_signs_nobody_in(console: Site) -> None:
    for forged in (token(SigningKey("proxy key")), "x.y.z", "none"):
        assert not await is_in(console.browser(**{HEADER: forged}))


async def test_where_no_proxy_is_named_its_token_is_nothing(
    console_database: Database, key: SigningKey
) -> None:
    async with site(console_database) as running:
        assert not await is_in(running.browser(**{HEADER: token(key, "approver")}))


async def test_who_signed_out_is_not_brought_back_by_the_same_token(
    console: Site, key: SigningKey
) -> None:
    same = token(key, sub="fay", email="fay@example.com")
    browser = console.browser(**{HEADER: same})
    assert await is_in(browser)
    await post(browser, "/sign-out")
    assert not await is_in(console.browser(**{HEADER: same}))
    later = token(key, sub="fay", email="fay@example.com", iat=int(time.time()) + 5)
    assert await is_in(console.browser(**{HEADER: later}))
