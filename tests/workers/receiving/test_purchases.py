"""POST /purchases/{provider}: who is signed in may submit a purchase; it goes into the inbox."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import jwt
import pytest_asyncio
from structlog.testing import capture_logs

from tasks.providers.provider import Provider
from tasks.providers.signed import NotAuthentic, arrival
from tests.servers.key_set import USER, SigningKey, claims, key_set, signed
from tests.workers.receiving.serving import NOBODY, Web, a_gift, inbox, serving
from workers.receiving.allowance import PER_MINUTE
from workers.receiving.receiver import BODY_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from uuid import UUID

    import httpx

    from db.connections.pool import Connection
    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent
    from tests.clusters import Database

SECRET = "a secret of a project".ljust(64, ".")
WRONG = b'{"transaction": "of another shop"}'


class Store(Provider):
    """A store whose clients submit `{"transaction": id}`."""

    name = "apple"
    body_is_fixed = False
    takes_submissions = True

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        raise NotAuthentic

    def interpret(self, event: ClaimedEvent) -> Fact:
        raise NotImplementedError

    def read_submission(self, body: bytes, *, profile_id: UUID, now_s: float) -> Arrival:
        if body == WRONG:
            raise NotAuthentic
        try:
            told = json.loads(body)["transaction"]
        except (ValueError, KeyError, TypeError):
            raise NotAuthentic("unreadable") from None
        payload = json.dumps({"profile_id": str(profile_id), "body": json.loads(body)})
        return arrival(
            self.name,
            event_id=f"client:{profile_id}:{told}",
            event_type="client.purchase",
            body=payload.encode(),
        )


def enabled(_settings: object) -> dict[str, Provider]:
    return {"apple": Store(), "quiet": Quiet()}


class Quiet(Store):
    """A provider that takes no submissions."""

    name = "quiet"
    takes_submissions = False


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    """A receiver of one store, in a project that still signs with its secret."""
    with patch("workers.receiving.application.build_enabled_providers", enabled):
        async with serving(database.url("web"), redis_url, supabase_jwt_secret=SECRET) as web:
            yield web


def bearer(secret: str = SECRET, **changes: Any) -> dict[str, str]:
    token = jwt.encode(claims(**changes), secret, algorithm="HS256")
    return {"authorization": f"Bearer {token}"}


async def submit(
    web: Web,
    body: bytes = b'{"transaction": "2000001"}',
    *,
    path: str = "/purchases/apple",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    return await web.client.post(
        path, content=body, headers=bearer() if headers is None else headers
    )


async def test_a_purchase_is_stored_once_under_the_profile_that_submits_it(
    web: Web, db: Connection
) -> None:
    for result in ("stored", "seen"):
        response = await submit(web)
        assert (response.status_code, response.json()) == (202, {"result": result})
    (event,) = await inbox(db)
    body = json.dumps({"profile_id": str(USER), "body": {"transaction": "2000001"}}).encode()
    assert event == {
        "provider": "apple",
        "provider_event_id": f"client:{USER}:2000001",
        "event_type": "client.purchase",
        "payload": body,
        "state": "pending",
        "reason": None,
    }


async def test_another_body_of_the_same_purchase_is_seen(web: Web, db: Connection) -> None:
    await submit(web)
    response = await submit(web, b'{"transaction": "2000001", "signed": "anew"}')
    assert (response.status_code, response.json()) == (202, {"result": "seen"})
    assert len(await inbox(db)) == 1


async def test_without_a_good_token_nothing_is_stored(web: Web, db: Connection) -> None:
    for headers in (
        {},
        {"authorization": "Basic dXNlcjpwYXNz"},
        bearer("x" * 64),
        bearer(exp=1_000),
        bearer(aud="another"),
        bearer(role="anon"),
    ):
        response = await submit(web, headers=headers)
        assert (response.status_code, response.json()) == (401, {"result": "not_signed_in"})
        assert response.headers["www-authenticate"] == "Bearer"
    assert await inbox(db) == []


async def test_a_body_that_is_not_authentic_is_refused(web: Web, db: Connection) -> None:
    for body in (WRONG, b"", b"[]", b"{", b"\xff\xfe"):
        response = await submit(web, body)
        assert (response.status_code, response.json()) == (400, {"result": "not_authentic"})
    assert await inbox(db) == []


async def test_a_body_over_the_limit_is_refused(web: Web) -> None:
    response = await submit(web, b"x" * (BODY_BYTES_MAX + 1))
    assert (response.status_code, response.json()) == (413, {"result": "too_large"})


async def test_whoever_submits_too_often_is_told_when_to_come_again(
    web: Web, db: Connection
) -> None:
    for nth in range(PER_MINUTE):
        assert (await submit(web, b'{"transaction": "%d"}' % nth)).status_code == 202
    response = await submit(web, b'{"transaction": "one more"}')
    assert (response.status_code, response.json()) == (429, {"result": "too_often"})
    assert 1 <= int(response.headers["retry-after"]) <= 60
    # Nobody else waits for that.
    other = bearer(sub="00000000-0000-4000-8000-000000000001")
    assert (await submit(web, headers=other)).status_code == 202
    assert len(await inbox(db)) == PER_MINUTE + 1


async def test_what_is_refused_counts_too(web: Web) -> None:
    for _ in range(PER_MINUTE):
        assert (await submit(web, WRONG)).status_code == 400
    assert (await submit(web)).status_code == 429


async def test_only_providers_that_take_submissions_have_the_path(web: Web) -> None:
    for name in ("quiet", "stripe", "nobody"):
        response = await submit(web, path=f"/purchases/{name}")
        assert (response.status_code, response.json()) == (404, {"result": "unknown_provider"})
    page = (await web.client.get("/")).text
    assert "POST /purchases/apple" in page
    assert "/purchases/quiet" not in page


async def test_without_a_key_for_tokens_there_is_no_such_path(
    database: Database, redis_url: str
) -> None:
    with patch("workers.receiving.application.build_enabled_providers", enabled):
        async with serving(database.url("web"), redis_url) as web:
            assert (await submit(web)).status_code == 404
            assert "/purchases/" not in (await web.client.get("/")).text


async def test_a_project_with_public_keys_is_asked_for_them(
    database: Database, redis_url: str
) -> None:
    ours = SigningKey("ours")
    async with key_set(ours) as project:
        project.fault = "unavailable"
        with patch("workers.receiving.application.build_enabled_providers", enabled):
            async with serving(
                database.url("web"), redis_url, supabase_jwks_url=project.url
            ) as web:
                headers = {"authorization": f"Bearer {signed(ours)}"}
                response = await submit(web, headers=headers)
                assert (response.status_code, response.json()) == (
                    *(503, {"result": "sign_in_unknown"}),
                )
                assert int(response.headers["retry-after"]) > 0
                # The legacy secret proves nothing here.
                assert (await submit(web)).status_code == 401
                project.fault = None
                tokens = web.server.lifespan.state["submissions"].tokens
                tokens._signatures._keys._tried_at = float("-inf")
                assert (await submit(web, headers=headers)).status_code == 202


async def test_without_the_database_the_client_is_to_send_it_again(redis_url: str) -> None:
    with patch("workers.receiving.application.build_enabled_providers", enabled):
        async with serving(
            f"postgresql://x@{NOBODY}/x", redis_url, supabase_jwt_secret=SECRET
        ) as web:
            response = await submit(web)
    assert (response.status_code, response.json()) == (503, {"result": "not_stored"})
    assert int(response.headers["retry-after"]) > 0


async def test_submissions_are_counted_by_answer_and_refusals_by_cause(web: Web) -> None:
    await submit(web)
    await submit(web)
    await submit(web, headers={})
    await submit(web, WRONG)
    text = (await web.client.get("/metrics")).text
    counted = "coinfleet_purchases_submitted_total"
    for result in ("stored", "seen", "token_missing", "no_match"):
        assert f'{counted}{{provider="apple",result="{result}"}} 1.0' in text
    # A client that sends rubbish says nothing of a provider's secret.
    counts = [
        line for line in text.splitlines() if line.startswith("coinfleet_webhooks_received_t")
    ]
    assert counts
    assert all(line.endswith(" 0.0") for line in counts)


async def test_no_token_and_no_body_come_into_a_log(web: Web) -> None:
    headers = bearer()
    token = headers["authorization"].split()[1]
    with capture_logs() as logs:
        await submit(web, headers=headers)
        await submit(web, WRONG, headers=headers)
        await submit(web, headers={"authorization": f"Bearer {token[:-1]}"})
        await submit(web, b"[" * 100_000, headers=headers)
    written = repr(logs)
    for secret in (token, token.split(".")[2], "2000001", "another shop"):
        assert secret not in written


async def test_webhooks_go_on_beside(database: Database, redis_url: str) -> None:
    async with serving(database.url("web"), redis_url, supabase_jwt_secret=SECRET) as web:
        assert (await web.post(a_gift(f"gift-{time.time()}"))).status_code == 200
