"""Public keys: fetched once however many ask, kept through an outage, and never a shared secret."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, get_args

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tasks.sign_in.keys import (
    FAILED_PAUSE_S,
    KEPT_S_MAX,
    UNKNOWN_PAUSE_S,
    PublicKeys,
    _fresh_s,
)
from tasks.sign_in.refusals import KeysUnavailable, NotSignedIn
from tasks.sign_in.tokens import AccessTokens
from tests.servers.key_set import USER, Fault, KeySet, SigningKey, key_set, rsa_key, signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OURS, NEXT = SigningKey("ours"), SigningKey("next")


class Clock:
    """Time that the test lets pass."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Time that the test lets pass."""
    return Clock()


@pytest_asyncio.fixture(scope="module")
async def host() -> AsyncIterator[KeySet]:
    """A key set for the tests of this module: starting and ending a server takes a while."""
    async with key_set() as served:
        yield served


@pytest.fixture
def served(host: KeySet) -> KeySet:
    """A key set that has one key and works."""
    host.entries, host.fault, host.fetches = [OURS.entry], None, 0
    host.cache_control = "public, max-age=600"
    return host


@pytest_asyncio.fixture
async def keys(served: KeySet, clock: Clock) -> AsyncIterator[PublicKeys]:
    """Our side, which has fetched nothing yet."""
    keys = PublicKeys(served.url, clock=clock)
    # The rate of our own is tested elsewhere.
    keys._api._interval_s = 0
    yield keys
    await keys.close()


async def refused(keys: PublicKeys, kid: str) -> type[Exception]:
    with pytest.raises((NotSignedIn, KeysUnavailable)) as raised:
        await keys.find(kid)
    return type(raised.value)


async def fetched(keys: PublicKeys) -> None:
    """Wait for the fetch that goes on beside."""
    assert keys._fetching is not None
    await keys._fetching


async def test_a_token_of_the_project_is_read(keys: PublicKeys, served: KeySet) -> None:
    rsa = rsa_key("rsa")
    served.entries.append(rsa.entry)
    tokens = AccessTokens(keys, audience="authenticated")
    for key in (OURS, rsa):
        headers = {b"authorization": f"Bearer {signed(key)}".encode()}
        assert await tokens.read_subject(headers, now_s=1_700_000_000) == USER


async def test_many_who_come_at_once_are_served_by_one_fetch(
    keys: PublicKeys, served: KeySet, clock: Clock
) -> None:
    await asyncio.gather(*(keys.find("ours") for _ in range(50)))
    clock.now_s += 599
    await keys.find("ours")
    assert served.fetches == 1


async def test_keys_are_fetched_again_when_they_are_old_and_nobody_waits_for_it(
    keys: PublicKeys, served: KeySet, clock: Clock
) -> None:
    await keys.find("ours")
    served.entries = [NEXT.entry]
    clock.now_s += 601
    # Answered by what is known.
    await keys.find("ours")
    await fetched(keys)
    assert served.fetches == 2
    await keys.find("next")
    # A key that was revoked counts no more.
    assert await refused(keys, "ours") is NotSignedIn
    assert served.fetches == 2


async def test_unknown_keys_are_asked_for_once_a_minute_at_most(
    keys: PublicKeys, served: KeySet, clock: Clock
) -> None:
    await keys.find("ours")
    clock.now_s += UNKNOWN_PAUSE_S + 1
    for number in range(100):
        clock.now_s += 0.1
        assert await refused(keys, f"unknown {number}") is NotSignedIn
    assert served.fetches == 2
    # A key that is new is found with the next.
    served.entries.append(NEXT.entry)
    assert await refused(keys, "next") is NotSignedIn
    clock.now_s += UNKNOWN_PAUSE_S + 1
    await keys.find("next")
    assert served.fetches == 3


@pytest.mark.parametrize("fault", get_args(Fault))
async def test_without_keys_nobody_is_refused_for_good(
    keys: PublicKeys, served: KeySet, clock: Clock, fault: Fault
) -> None:
    served.fault = fault
    for _ in range(20):
        assert await refused(keys, "ours") is KeysUnavailable
    assert served.fetches == 1
    served.fault = None
    clock.now_s += FAILED_PAUSE_S + 1
    await keys.find("ours")


async def test_an_outage_signs_nobody_out_and_is_said_once(
    keys: PublicKeys, served: KeySet, clock: Clock
) -> None:
    await keys.find("ours")
    served.fault = "unavailable"
    with capture_logs() as logs:
        for _ in range(10):
            clock.now_s += 700
            await keys.find("ours")
            await fetched(keys)
        # This one may be new: nobody knows.
        assert await refused(keys, "next") is KeysUnavailable
        served.fault = None
        clock.now_s += 700
        await keys.find("ours")
        await fetched(keys)
    assert [line["event"] for line in logs] == ["sign_in_keys_unreachable", "sign_in_keys_back"]
    assert "503" in logs[0]["reason"]


async def test_keys_that_could_not_be_fetched_for_a_day_count_no_more(
    keys: PublicKeys, served: KeySet, clock: Clock
) -> None:
    await keys.find("ours")
    served.fault = "unavailable"
    clock.now_s += KEPT_S_MAX + 1
    assert await refused(keys, "ours") is KeysUnavailable
    served.fault = None
    clock.now_s += FAILED_PAUSE_S + 1
    await keys.find("ours")


async def test_an_answer_that_does_not_end_is_given_up(keys: PublicKeys) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = PublicKeys(f"http://127.0.0.1:{port}/keys")
    slow._api._timeout_s = 0.1
    try:
        assert await refused(slow, "ours") is KeysUnavailable
    finally:
        await slow.close()
        server.close()


async def test_whoever_gives_up_leaves_the_fetch_to_the_others(
    keys: PublicKeys, served: KeySet
) -> None:
    first = asyncio.create_task(keys.find("ours"))
    second = asyncio.create_task(keys.find("ours"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).algorithm == "ES256"
    assert served.fetches == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "bad", "alg": "HS256"},
        OURS.entry | {"kid": "bad", "alg": "HS256"},
        OURS.entry | {"kid": "bad", "alg": "ES384"},
        OURS.entry | {"kid": "bad", "use": "enc"},
        OURS.entry | {"kid": "bad", "x": "AA"},
        OURS.entry | {"kid": "bad", "x": 7},
        OURS.entry | {"kid": "bad", "crv": "P-384"},
        rsa_key("bad", bits=1_024).entry,
        {"kid": "bad"},
        {"kid": ["bad"], "kty": "EC"},
    ],
)
async def test_a_key_that_can_not_be_used_does_not_hide_the_others(
    keys: PublicKeys, served: KeySet, entry: dict[str, object]
) -> None:
    served.entries = [entry, OURS.entry]
    await keys.find("ours")
    assert await refused(keys, "bad") is NotSignedIn


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        *(("max-age=900", 900), ("public,max-age=900, immutable", 900), ("", 600)),
        *(("max-age=1", 60), ("max-age=999999999", 3_600), ("s-maxage=900", 600)),
        *(("no-store", 600), ("max-age=-1", 600)),
    ],
)
def test_keys_are_fresh_for_as_long_as_they_say_within_bounds(told: str, seconds: float) -> None:
    assert _fresh_s(told) == seconds
