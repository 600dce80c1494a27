"""What is stored, what is refused, and that hostile bytes cause no server error; over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook as StandardWebhook
from stripe import WebhookSignature

from tests.workers.receiving.serving import (
    APP_SECRET,
    STRIPE_SECRET,
    Web,
    a_gift,
    a_purchase,
    authentic,
    inbox,
    serving,
)
from workers.cli.simulate.events import Webhook, app_webhook, gift_sent
from workers.receiving.receiver import BODY_BYTES_MAX
from workers.serving.body import DISCARDED_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Database


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    """A receiver whose database and queue work."""
    async with serving(database.url("web"), redis_url) as web:
        yield web


# What is stored


async def test_a_webhook_is_committed_before_it_is_acknowledged(web: Web, db: Connection) -> None:
    webhook = a_purchase()
    response = await web.post(webhook)
    assert (response.status_code, response.json()) == (200, {"result": "stored"})
    assert await inbox(db) == [
        {
            "provider": "stripe",
            "provider_event_id": "evt_1_payment_intent_succeeded",
            "event_type": "payment_intent.succeeded",
            "payload": webhook.body,
            "state": "pending",
            "reason": None,
        }
    ]


async def test_a_body_signed_by_stripes_own_library_is_stored(web: Web, db: Connection) -> None:
    body = json.dumps({"id": "evt_by_hand", "object": "event", "type": "payment_intent.succeeded"})
    signature = WebhookSignature.generate_signature_header(body, STRIPE_SECRET)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    response = await web.client.post("/webhooks/stripe", content=body, headers=headers)
    assert response.status_code == 200
    assert [row["provider_event_id"] for row in await inbox(db)] == ["evt_by_hand"]


async def test_a_body_signed_by_the_standard_webhooks_library_is_stored(
    web: Web, db: Connection
) -> None:
    body = a_gift("gift-by-hand").body
    now = datetime.now(UTC)
    other = "whsec_" + b64encode(b"the secret of last month, 32 byt").decode()
    headers = {
        "webhook-id": "gift-by-hand",
        "webhook-timestamp": str(int(now.timestamp())),
        # While the app changes its secret it signs with both.
        "webhook-signature": " ".join(
            StandardWebhook(secret).sign("gift-by-hand", now, body.decode())
            for secret in (other, APP_SECRET)
        ),
    }
    response = await web.client.post("/webhooks/app", content=body, headers=headers)
    assert (response.status_code, response.json()) == (200, {"result": "stored"})
    assert [row["provider_event_id"] for row in await inbox(db)] == ["gift-by-hand"]
    headers["webhook-signature"] = StandardWebhook(other).sign("gift-by-hand", now, body.decode())
    response = await web.client.post("/webhooks/app", content=body, headers=headers)
    assert response.status_code == 400


@pytest.mark.requirement("C3", "H1")
async def test_a_second_delivery_is_acknowledged_and_stores_nothing(
    web: Web, db: Connection
) -> None:
    webhook = a_purchase()
    await web.post(webhook)
    response = await web.post(webhook)
    assert (response.status_code, response.json()) == (200, {"result": "seen"})
    assert len(await inbox(db)) == 1


@pytest.mark.requirement("H1")
async def test_deliveries_at_the_same_moment_are_stored_once(web: Web, db: Connection) -> None:
    webhooks = [a_gift(f"gift-{number}") for number in range(20)] * 3
    responses = await asyncio.gather(*(web.post(webhook) for webhook in webhooks))
    assert {response.status_code for response in responses} == {200}
    results = [response.json()["result"] for response in responses]
    assert (results.count("stored"), results.count("seen")) == (20, 40)
    assert len(await inbox(db)) == 20


async def test_two_receivers_with_the_same_events_in_opposite_order_store_each_once(
    web: Web, database: Database, redis_url: str, db: Connection
) -> None:
    webhooks = [a_gift(f"gift-{number}") for number in range(100)]
    async with serving(database.url("web"), redis_url) as other:
        responses = await asyncio.gather(
            *(web.post(webhook) for webhook in webhooks),
            *(other.post(webhook) for webhook in reversed(webhooks)),
        )
    assert {response.status_code for response in responses} == {200}
    assert len(await inbox(db)) == 100


async def test_an_app_event_id_with_another_body_is_a_conflict(web: Web, db: Connection) -> None:
    await web.post(a_gift(quantity=1))
    response = await web.post(a_gift(quantity=2))
    assert (response.status_code, response.json()) == (409, {"result": "conflict"})
    assert len(await inbox(db)) == 1


async def test_a_stripe_event_with_another_count_of_deliveries_is_a_repetition(
    web: Web, db: Connection
) -> None:
    first = a_purchase()
    await web.post(first)
    again = authentic(first.body.replace(b'"pending_webhooks": 1', b'"pending_webhooks": 0'))
    assert again.body != first.body
    response = await web.post(again)
    assert (response.status_code, response.json()) == (200, {"result": "seen"})
    assert (await inbox(db))[0]["payload"] == first.body


@pytest.mark.parametrize("body", [b"", b"not json", b"\x00\xff", b'{"id": "\\ud800"}', b"[" * 9999])
async def test_an_authentic_body_that_cannot_be_read_is_acknowledged_and_kept(
    web: Web, db: Connection, body: bytes
) -> None:
    response = await web.post(authentic(body))
    assert (response.status_code, response.json()) == (200, {"result": "malformed"})
    assert await inbox(db) == [
        {
            "provider": "stripe",
            "provider_event_id": hashlib.sha256(body).hexdigest(),
            "event_type": "unreadable",
            "payload": body,
            "state": "rejected",
            "reason": "malformed",
        }
    ]


# What is refused


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/app"])
async def test_what_is_not_authentic_is_refused(web: Web, db: Connection, path: str) -> None:
    response = await web.client.post(path, content=b"{}")
    assert (response.status_code, response.json()) == (400, {"result": "not_authentic"})
    assert await inbox(db) == []


@pytest.mark.parametrize("late_s", [-301, 302])
async def test_a_timestamp_more_than_five_minutes_off_is_refused(web: Web, late_s: int) -> None:
    event = gift_sent(sender_id=uuid4(), recipient_id=uuid4(), gift_type="rose")
    late = app_webhook("gift-1", event, secret=APP_SECRET, at_s=time.time() + late_s)
    assert (await web.post(late)).status_code == 400


async def test_a_signature_of_one_provider_is_refused_by_another(web: Web) -> None:
    gift = a_gift()
    assert (await web.post(Webhook("/webhooks/stripe", gift.headers, gift.body))).status_code == 400


@pytest.mark.parametrize("path", ["/webhooks/nobody", "/webhooks/", "/webhooks"])
async def test_an_unknown_provider_is_not_found(web: Web, path: str) -> None:
    assert (await web.client.post(path, content=b"{}")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_another_method_is_not_allowed(web: Web, method: str) -> None:
    response = await web.client.request(method, "/webhooks/stripe")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_body_of_256_kib_is_accepted(web: Web) -> None:
    assert (await web.post(authentic(b"x" * BODY_BYTES_MAX))).status_code == 200


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 1024 * 1024])
async def test_a_larger_body_is_too_large(web: Web, db: Connection, size: int) -> None:
    head = f"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n".encode()
    assert (await web.send(head + b"x" * size)).startswith(b"HTTP/1.1 413")
    assert await inbox(db) == []


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 10**18])
async def test_a_sender_that_asks_first_need_not_send_a_larger_body(web: Web, size: int) -> None:
    head = f"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n"
    answer = await web.send(head.encode() + b"expect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_larger_body_that_is_announced_and_never_sent_is_too_large(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.serving.body.BODY_TIMEOUT_S", 0.05)
    head = b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 262145\r\n\r\n"
    assert (await web.send(head + b"x")).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 1024 * 1024])
async def test_a_larger_body_in_chunks_is_too_large(web: Web, size: int) -> None:
    head = b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = await web.send(head + chunk * (size // 0x10000 + 1) + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_without_end_is_refused(web: Web) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")

    async def drip() -> None:
        for _ in range(10 * DISCARDED_BYTES_MAX // len(chunk)):
            writer.write(chunk)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await drip()
    writer.close()


async def test_a_content_length_that_is_too_short_is_not_believed(web: Web) -> None:
    webhook = a_purchase()
    short = webhook.request.replace(
        b"content-length: %d" % len(webhook.body), b"content-length: %d" % (len(webhook.body) - 9)
    )
    assert (await web.send(short)).startswith(b"HTTP/1.1 400")


async def test_a_sender_that_closes_in_the_middle_harms_nobody(web: Web, db: Connection) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(a_purchase("1").request[:-9])
    await writer.drain()
    writer.close()
    assert (await web.post(a_purchase("2"))).status_code == 200
    assert len(await inbox(db)) == 1


# Hostile bytes


HEADER_NAMES = st.sampled_from(
    [
        b"stripe-signature",
        b"webhook-id",
        b"webhook-timestamp",
        b"webhook-signature",
        b"content-type",
        b"content-encoding",
    ]
)
# Any value that HTTP allows: all but NUL and line ends.
HEADER_VALUES = st.one_of(
    st.binary(max_size=60).map(lambda value: bytes(b for b in value if b not in b"\x00\r\n")),
    st.sampled_from(
        [
            f"t={int(time.time())},v1=".encode() + b"\xc3\xa4" * 32,
            f"t={int(time.time())}".encode(),
            b"t=\xd9\xa1,v1=",
            str(int(time.time())).encode(),
            b"1e400",
            b"v1,\xff\xff",
            b"v1",
            b"gzip",
        ]
    ),
)


# Each example is a request that is stored and committed: on a busy machine that takes its time.
AT_ANY_SPEED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@AT_ANY_SPEED
@given(
    path=st.sampled_from([b"/webhooks/stripe", b"/webhooks/app", b"/webhooks/%00", b"/%ff", b"/"]),
    headers=st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=4),
    body=st.binary(max_size=50),
)
async def test_hostile_requests_are_never_answered_with_a_server_error(
    web: Web, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    lines = [b"POST %s HTTP/1.1" % path, b"host: x", b"connection: close"]
    lines += [b"content-length: %d" % len(body)]
    lines += [b"%s: %s" % header for header in headers]
    answer = await web.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    assert answer[9:12] in (b"400", b"404", b"405")


# The queue's client uses the global `random` in the doorbell's thread, sometimes while hypothesis
# makes a body, and hypothesis blames a strategy for it.
@pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)
@AT_ANY_SPEED
@given(
    body=st.binary(max_size=100)
    | st.builds(
        lambda name, kind: json.dumps({"id": name, "type": kind}).encode(),
        st.text(max_size=300) | st.integers() | st.none(),
        st.text(max_size=300) | st.floats(),
    )
)
async def test_any_authentic_body_is_acknowledged(web: Web, body: bytes) -> None:
    assert (await web.post(authentic(body))).status_code == 200


async def test_the_paths_of_a_provider_that_is_not_enabled_are_unknown(
    database: Database, redis_url: str
) -> None:
    async with serving(database.url("web"), redis_url, providers_enabled=("app",)) as web:
        response = await web.post(a_purchase())
        assert (response.status_code, response.json()) == (404, {"result": "unknown_provider"})
        assert (await web.post(a_gift())).status_code == 200
        page = (await web.client.get("/")).text
    assert "/webhooks/app" in page
    assert "/webhooks/stripe" not in page
