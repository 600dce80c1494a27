"""A message as it is sent to the app: signed by the specification, and what each answer means."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from db.outbox.provider_calls import CallId, ProviderCall
from tasks.providers import http
from tasks.providers.app import App
from tasks.providers.app.deliveries import BODY_BYTES_MAX, DELIVER
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    CallsUnwanted,
    ProviderThrottled,
    ProviderUnreachable,
)
from tests.tasks.providers.app.receiver import NEW, OLD, PATH

if TYPE_CHECKING:
    from tests.tasks.providers.app.receiver import Receiver
    from workers.mock_providers.app import Fault

DATA = {"event_id": "evt_1", "profile_id": None, "coins": 100, "coin_balance": 100, "seq": 1}
MESSAGE = {"data": DATA, "type": "purchase.credited", "timestamp": "2026-05-04T12:00:00.000000Z"}


async def send(
    provider: App, message: dict[str, Any] | None = None, *, key: str = "purchase-credited-1"
) -> dict[str, Any]:
    """Send a message as a worker does."""
    request = MESSAGE if message is None else message
    call = ProviderCall(CallId(1), DELIVER, key, request, attempt=1, is_retry=False)
    try:
        return await provider.calls()[DELIVER](call)
    finally:
        await provider.close()


async def test_the_app_takes_a_message_that_it_has_verified(receiver: Receiver) -> None:
    assert await send(receiver.provider()) == {"status": 204}
    (message,) = receiver.app.taken.values()
    assert (message.id, message.type) == ("purchase-credited-1", "purchase.credited")
    assert (message.timestamp, message.data) == (MESSAGE["timestamp"], DATA)
    assert receiver.app.paths == [PATH]
    assert receiver.app.headers[0]["content-type"] == "application/json"


async def test_the_body_has_the_fields_of_the_specification_in_their_order(
    receiver: Receiver,
) -> None:
    await send(receiver.provider())
    ((_, body),) = receiver.app.arrivals
    assert list(json.loads(body)) == ["type", "timestamp", "data"]
    assert len(body) < BODY_BYTES_MAX


async def test_each_attempt_has_the_same_id_and_body_and_a_time_of_its_own(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.app.faults = ["refused"]
    with pytest.raises(CallFailed):
        await send(receiver.provider())
    await send(receiver.provider())
    assert len(set(receiver.app.arrivals)) == 1
    assert len(receiver.app.arrivals) == 2
    times = [int(headers["webhook-timestamp"]) for headers in receiver.app.headers]
    now_s = datetime.now(UTC).timestamp()
    assert all(abs(each - now_s) < 60 for each in times)


async def test_the_time_is_signed_as_it_is_sent_wherever_the_worker_runs(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert await send(receiver.provider()) == {"status": 204}
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("known", [OLD, NEW])
async def test_while_a_secret_is_replaced_both_sign(receiver: Receiver, known: str) -> None:
    receiver.app.secrets = [known]
    assert await send(receiver.provider(OLD, NEW)) == {"status": 204}


async def test_a_wrong_secret_is_a_failure_that_passes(receiver: Receiver) -> None:
    receiver.app.secrets = [NEW]
    with pytest.raises(CallFailed, match="401") as caught:
        await send(receiver.provider(OLD))
    assert type(caught.value) is CallFailed


@pytest.mark.parametrize(
    ("fault", "retry_after", "meaning", "wait_s"),
    [
        ("failed", None, ProviderUnreachable, None),
        ("refused", None, CallFailed, None),
        ("unavailable", None, ProviderUnreachable, None),
        ("unavailable", "120", ProviderThrottled, 120),
        ("throttled", "120", ProviderThrottled, 120),
        ("throttled", None, ProviderThrottled, None),
        ("redirected", None, ProviderUnreachable, None),
        ("gone", None, CallsUnwanted, None),
    ],
)
async def test_an_answer_that_is_no_success_says_what_happens_next(
    receiver: Receiver,
    fault: Fault,
    retry_after: str | None,
    meaning: type[Exception],
    wait_s: float | None,
) -> None:
    receiver.app.faults = [fault]
    receiver.app.retry_after = retry_after
    with pytest.raises(meaning) as caught:
        await send(receiver.provider())
    assert type(caught.value) is meaning
    assert getattr(caught.value, "retry_after_s", None) == wait_s
    # No part of the answer, the address or the secret stands in an error.
    assert "Jane" not in str(caught.value)
    assert "tenant" not in str(caught.value)
    assert receiver.app.taken == {}
    assert len(receiver.app.arrivals) == 1


async def test_of_a_long_answer_only_the_status_counts(receiver: Receiver) -> None:
    receiver.app.faults = ["long"]
    assert await send(receiver.provider()) == {"status": 200}


@pytest.mark.parametrize("fault", ["lost", "dripped"])
async def test_an_answer_that_does_not_end_is_a_failure(
    receiver: Receiver, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.app.faults = [fault]
    provider = receiver.provider()
    monkeypatch.setattr(provider._deliveries._http, "_timeout_s", 0.2)  # type: ignore[union-attr]
    with pytest.raises(ProviderUnreachable, match="no answer in time"):
        await send(provider)


async def test_an_app_that_does_not_listen_is_unreachable() -> None:
    with pytest.raises(ProviderUnreachable, match="ConnectError"):
        await send(App(events_url="http://127.0.0.1:9/", events_secrets=[OLD]))


async def test_a_message_that_was_erased_is_not_sent(receiver: Receiver) -> None:
    with pytest.raises(CallRefused, match="removed"):
        await send(receiver.provider(), {})
    assert receiver.app.arrivals == []


async def test_a_message_above_the_limit_is_not_sent(receiver: Receiver) -> None:
    with pytest.raises(CallRefused, match="too large"):
        await send(receiver.provider(), MESSAGE | {"data": {"event_id": "e" * BODY_BYTES_MAX}})


def test_an_app_without_an_address_or_a_secret_is_told_nothing() -> None:
    assert App().calls() == {}
    assert App(events_url="https://app.example.com").calls() == {}
    assert App(events_secrets=[OLD]).calls() == {}


def test_an_answer_of_the_app_is_awaited_as_long_as_the_specification_says() -> None:
    assert 15 <= http.TIMEOUT_S <= 30
