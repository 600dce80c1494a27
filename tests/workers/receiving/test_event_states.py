"""GET /events/app/{id}: the app asks what became of an event of its own; nobody else may."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from standardwebhooks import Webhook as ReferenceWebhook

from tasks.providers import app
from tests.workers.receiving.serving import APP_SECRET, NOBODY, Web, a_gift, a_purchase, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from db.connections.pool import Connection
    from tests.clusters import Database

PROCESSED_AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    """A receiver whose database and queue are there."""
    async with serving(database.url("web"), redis_url) as web:
        yield web


def signed(
    *, question_id: str = "question-1", body: bytes = b"", secret: str = APP_SECRET, ago_s: int = 0
) -> dict[str, str]:
    """The headers of a question."""
    return app.sign(question_id, body, secret=secret, timestamp_s=int(time.time()) - ago_s)


async def ask(web: Web, event_id: str, **changes: Any) -> httpx.Response:
    return await web.client.get(f"/events/app/{event_id}", headers=signed(**changes))


async def test_the_app_learns_what_became_of_its_event(web: Web, db: Connection) -> None:
    await web.post(a_gift("gift-1"))
    response = await ask(web, "gift-1")
    assert response.status_code == 200
    assert response.json() == {
        "id": "gift-1",
        "state": "pending",
        "reason": None,
        "processed_at": None,
    }
    await db.execute(
        "update fleet.inbox_events set state = 'rejected', reason = 'insufficient_coins',"
        " processed_at = $1",
        PROCESSED_AT,
    )
    assert (await ask(web, "gift-1")).json() == {
        "id": "gift-1",
        "state": "rejected",
        "reason": "insufficient_coins",
        "processed_at": "2026-11-27T08:30:00Z",
    }


async def test_a_question_signed_by_the_reference_library_is_answered(web: Web) -> None:
    await web.post(a_gift("gift-1"))
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "question-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": ReferenceWebhook(APP_SECRET).sign("question-1", now, ""),
    }
    assert (await web.client.get("/events/app/gift-1", headers=headers)).status_code == 200


async def test_an_id_may_hold_what_a_path_means_otherwise(web: Web) -> None:
    event_id = "gift/1?a=b#c d%2F"
    await web.post(a_gift(event_id))
    response = await ask(web, quote(event_id, safe=""))
    assert response.json()["id"] == event_id


async def test_an_event_that_was_never_stored_is_unknown(web: Web) -> None:
    response = await ask(web, "gift-1")
    assert (response.status_code, response.json()) == (404, {"result": "unknown_event"})


@pytest.mark.parametrize("typed", ["gift-1%00", "%00", "gift-1%0A", "gift-1%ED%A0%80"])
async def test_an_id_that_no_event_can_have_is_unknown(web: Web, typed: str) -> None:
    await web.post(a_gift("gift-1"))
    response = await ask(web, typed)
    assert (response.status_code, response.json()) == (404, {"result": "unknown_event"})


async def test_nobody_asks_for_another_providers_event(web: Web) -> None:
    await web.post(a_purchase("1"))
    assert (await ask(web, "evt_1_payment_intent_succeeded")).status_code == 404
    for provider in ("stripe", "nobody"):
        path = f"/events/{provider}/evt_1_payment_intent_succeeded"
        response = await web.client.get(path, headers=signed())
        assert (response.status_code, response.json()) == (404, {"result": "unknown_provider"})


async def test_a_question_that_is_not_authentic_is_refused(web: Web) -> None:
    await web.post(a_gift("gift-1"))
    for changes in (
        {"secret": "whsec_" + "A" * 32},
        {"ago_s": 301},
        {"ago_s": -400},
        {"body": b"{}"},
        {"question_id": ""},
    ):
        response = await ask(web, "gift-1", **changes)
        assert (response.status_code, response.json()) == (400, {"result": "not_authentic"})


async def test_a_question_that_is_not_signed_or_for_another_id_is_refused(web: Web) -> None:
    for headers in ({}, signed() | {"webhook-id": "another"}):
        assert (await web.client.get("/events/app/gift-1", headers=headers)).status_code == 400


async def test_without_the_database_the_app_is_to_ask_again(redis_url: str) -> None:
    async with serving(f"postgresql://x@{NOBODY}/x", redis_url) as web:
        response = await ask(web, "gift-1")
    assert (response.status_code, response.json()) == (503, {"result": "not_read"})
    assert int(response.headers["retry-after"]) > 0


async def test_a_question_stores_nothing(web: Web, db: Connection) -> None:
    await ask(web, "gift-1")
    assert await db.fetchval("select count(*) from fleet.inbox_events") == 0


async def test_the_page_of_paths_names_whom_it_answers(web: Web) -> None:
    page = (await web.client.get("/")).text
    assert "GET  /events/app/ID" in page
    assert "/events/stripe" not in page
