"""Refunds that we make: once per decision, whatever becomes of a request, an answer or a key."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, get_args

import pytest
import pytest_asyncio

from db.outbox.provider_calls import CallId, ProviderCall
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.stripe.api import KeyLacksRight, StripeApi
from tasks.providers.stripe.refunds import make_refund
from workers.mock_providers.stripe import KEY, Fault, Payment, StripeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INTENT = "pi_1"
DECISION = 7
POST, LOOK = ("POST", "/v1/refunds"), ("GET", "/v1/refunds")


@pytest_asyncio.fixture
async def api(stripe: StripeServer) -> AsyncIterator[StripeApi]:
    """Our side, with a payment of 10.00 to refund."""
    stripe.payments[INTENT] = Payment(1_000)
    api = StripeApi(key=KEY, base=stripe.base)
    # Our own rate is tested elsewhere.
    api._http._interval_s = 0
    yield api
    await api.close()


def call(*, is_retry: bool = False, **request: Any) -> ProviderCall:
    """The call that a decision wrote."""
    wanted = {"payment_intent": INTENT, "decision_id": DECISION} | request
    key = f"coinfleet:refund:{wanted['decision_id']}"
    return ProviderCall(CallId(1), "stripe.refund", key, wanted, 1, is_retry)


async def test_a_refund_takes_what_remains_and_names_its_decision(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.add_refund(INTENT, 300)
    made = await make_refund(api, call())
    ours = stripe.refunds[0]
    assert made == {"refund_id": ours["id"], "status": "succeeded"}
    assert (ours["amount"], ours["metadata"]) == (700, {"decision_id": "7"})
    assert stripe.posted_keys == ["coinfleet:refund:7"]
    # The first try has nothing to look for.
    assert stripe.requests == [POST]


async def test_a_refund_that_the_bank_has_not_confirmed_is_made(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.payments[INTENT].refunds_are_pending = True
    assert (await make_refund(api, call()))["status"] == "pending"
    assert (await make_refund(api, call(is_retry=True)))["status"] == "pending"
    assert len(stripe.refunds) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("throttled", ProviderThrottled),
        ("unauthorized", KeyRefused),
        ("forbidden", KeyLacksRight),
        ("conflict", CallFailed),
        ("unavailable", ProviderUnreachable),
        ("failed", ProviderUnreachable),
        ("failed_after", ProviderUnreachable),
        ("empty", ProviderUnreachable),
        ("malformed", ProviderUnreachable),
        ("lost", ProviderUnreachable),
        ("dripped", ProviderUnreachable),
        ("deep", ProviderUnreachable),
        ("proxied", CallFailed),
        ("timed_out", CallFailed),
        ("may_pass", CallFailed),
    ],
)
async def test_whatever_goes_wrong_the_next_try_ends_with_one_refund(
    api: StripeApi, stripe: StripeServer, fault: Fault, error: type[Exception]
) -> None:
    stripe.faults = [fault]
    api._http._timeout_s = 0.5 if fault in ("lost", "dripped") else 20
    with pytest.raises(error) as raised:
        await make_refund(api, call())
    assert type(raised.value) is error
    # Days later: Stripe has forgotten the key.
    stripe.wait(hours=25)
    api._http._timeout_s = 20
    made = await make_refund(api, call(is_retry=True))
    (refund,) = stripe.refunds
    assert (refund["amount"], made["refund_id"]) == (1_000, refund["id"])


@pytest.mark.long_but_first
@pytest.mark.parametrize("seed", range(20))
async def test_any_faults_in_any_order_end_with_one_refund(
    api: StripeApi, stripe: StripeServer, seed: int
) -> None:
    rng = random.Random(seed)
    faults = [fault for fault in get_args(Fault) if fault not in ("lost", "dripped")]
    stripe.payments[INTENT].refunds_are_pending = rng.random() < 0.5
    stripe.faults = rng.choices(faults, k=rng.randint(1, 8))
    made = None
    for attempt in range(40):
        # Once it is there and Stripe works, the next try finds it, whatever is kept under its key.
        must_end = bool(stripe.refunds) and not stripe.faults
        try:
            made = await make_refund(api, call(is_retry=attempt > 0))
            break
        except CallFailed:
            assert not must_end
            # Seconds later, or days: Stripe remembers the key, or has forgotten it.
            stripe.wait(hours=rng.choice([0, 1, 13, 25]))
    (refund,) = stripe.refunds
    assert made is not None
    assert (made["refund_id"], refund["amount"]) == (refund["id"], 1_000)


@pytest.mark.parametrize("fault", ["empty", "malformed", "deep", "failed_after"])
async def test_a_retry_looks_before_it_posts_and_finds_what_was_done(
    api: StripeApi, stripe: StripeServer, fault: Fault
) -> None:
    stripe.faults = [fault]
    with pytest.raises(ProviderUnreachable):
        await make_refund(api, call())
    await make_refund(api, call(is_retry=True))
    assert stripe.requests == [POST, LOOK]


async def test_an_internal_error_that_stripe_keeps_is_outlived_with_one_key(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.faults = ["failed"]
    with pytest.raises(ProviderUnreachable):
        await make_refund(api, call())
    for _ in range(2):
        # The provider works: other calls go on.
        with pytest.raises(CallFailed, match="500 api_error, replayed") as raised:
            await make_refund(api, call(is_retry=True))
        assert type(raised.value) is CallFailed
        stripe.wait(hours=12)
    await make_refund(api, call(is_retry=True))
    assert set(stripe.posted_keys) == {"coinfleet:refund:7"}
    assert stripe.refunded(INTENT) == 1_000
    assert len(stripe.refunds) == 1


async def test_a_throttled_refund_says_for_how_long_stripe_wants_it_to_wait(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.faults = ["throttled"]
    with pytest.raises(ProviderThrottled) as raised:
        await make_refund(api, call())
    assert raised.value.retry_after_s == 7


async def test_a_payment_that_somebody_else_refunded_is_left_as_it_is(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.add_refund(INTENT, 1_000)
    assert await make_refund(api, call()) == {"note": "refunded_by_another"}
    assert stripe.refunded(INTENT) == 1_000


async def test_a_payment_that_is_refunded_already_by_us_is_ours(
    api: StripeApi, stripe: StripeServer
) -> None:
    ours = stripe.add_refund(INTENT, 1_000, decision_id="7")
    assert (await make_refund(api, call()))["refund_id"] == ours["id"]


async def test_a_refund_of_another_decision_is_not_taken_for_ours(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.add_refund(INTENT, 400, decision_id="70")
    made = await make_refund(api, call(is_retry=True))
    assert stripe.refunds[0]["id"] == made["refund_id"]
    assert stripe.refunded(INTENT) == 1_000


async def test_a_disputed_payment_is_left_to_its_dispute(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.payments[INTENT].is_disputed = True
    assert await make_refund(api, call()) == {"note": "left_to_the_dispute"}
    assert stripe.refunds == []


async def test_more_than_remains_is_never_refunded(api: StripeApi, stripe: StripeServer) -> None:
    for decision in (7, 8, 9):
        await make_refund(api, call(decision_id=decision, is_retry=decision == 9))
    assert stripe.refunded(INTENT) == 1_000


async def test_a_key_that_was_used_for_something_else_needs_a_person(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.payments["pi_2"] = Payment(1_000)
    await make_refund(api, call(payment_intent="pi_2"))
    with pytest.raises(CallRefused, match="400 idempotency_error"):
        await make_refund(api, call())
    assert stripe.refunded(INTENT) == 0


async def test_an_unknown_payment_needs_a_person(api: StripeApi) -> None:
    with pytest.raises(CallRefused, match=r"^404 resource_missing$"):
        await make_refund(api, call(payment_intent="pi_nobody_knows"))


@pytest.mark.parametrize("changes", [{"payment_intent": None}, {"payment_intent": "a b"}])
async def test_a_request_that_makes_no_sense_is_refused_before_it_is_sent(
    api: StripeApi, stripe: StripeServer, changes: dict[str, Any]
) -> None:
    with pytest.raises(CallRefused):
        await make_refund(api, call(**changes))
    assert stripe.requests == []


async def test_a_refund_that_failed_at_the_bank_is_made_again_under_another_key(
    api: StripeApi, stripe: StripeServer
) -> None:
    stripe.payments[INTENT].refunds_are_pending = True
    await make_refund(api, call())
    stripe.refunds[0]["status"] = "failed"
    await make_refund(api, call(is_retry=True))
    assert stripe.posted_keys == ["coinfleet:refund:7", "coinfleet:refund:7:1"]
    assert [refund["status"] for refund in stripe.refunds] == ["pending", "failed"]
    # And only once.
    await make_refund(api, call(is_retry=True))
    assert len(stripe.refunds) == 2


@pytest.mark.parametrize(
    "fault", ["throttled", "forbidden", "conflict", "unavailable", "malformed", "proxied"]
)
async def test_no_error_quotes_an_answer_or_the_key(
    api: StripeApi, stripe: StripeServer, fault: Fault
) -> None:
    stripe.faults = [fault]
    with pytest.raises(CallFailed) as raised:
        await make_refund(api, call())
    assert "Jane" not in repr(raised.value)
    assert KEY not in repr(raised.value)
    assert raised.value.__cause__ is None
