"""Events of another Stripe account are refused, whatever their type."""

from __future__ import annotations

import pytest

from db.facts import Verdict
from tests.tasks.providers.stripe.events import NOT_OURS, PAYMENT, PURCHASE, intent, interpret
from tests.tasks.providers.stripe.events import session as session_event
from workers.cli.simulate import stripe as made

# `user_id` is the account in API versions before 2017-05-25.
FIELDS = ("account", "context", "user_id")
THEIRS, OURS, CONNECTED = "acct_theirs1", "acct_ours1", "acct_connected1"
EVENTS = {
    "intent": intent(),
    "session": session_event(),
    "async session": made.checkout_session_async_payment_succeeded(PAYMENT),
    "refund": made.refund_event(PAYMENT, refund_id="re_1", amount_minor=1),
    "cumulative": made.charge_refunded(PAYMENT, amount_refunded=1),
    "dispute": made.dispute_event(PAYMENT, dispute_id="dp_1"),
    "not ours": made.payment_intent_succeeded(NOT_OURS),
    "unknown type": made.stripe_event(PAYMENT, "account.updated", {}),
    "unreadable object": made.stripe_event(PAYMENT, "payment_intent.succeeded", {}),
    "thin": {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "livemode": False,
        "created": "2026-11-22T05:28:00.000Z",
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/1"},
    },
}


def mismatch(account: str) -> Verdict:
    return Verdict(state="rejected", reason="account_mismatch", detail=account)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("field", FIELDS)
def test_an_event_of_another_account_is_refused_whatever_its_type(kind: str, field: str) -> None:
    event = EVENTS[kind] | {field: THEIRS}
    assert interpret(event) == mismatch(THEIRS)
    assert interpret(event, accounts=[OURS, CONNECTED]) == mismatch(THEIRS)
    # In the other mode too: the account is what a person must know.
    assert interpret(event, livemode=True) == mismatch(THEIRS)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("field", FIELDS)
def test_an_event_of_a_listed_account_counts(kind: str, field: str) -> None:
    event = EVENTS[kind] | {field: CONNECTED}
    assert interpret(event, accounts=[OURS, CONNECTED]) == interpret(EVENTS[kind])


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_that_names_no_account_counts(kind: str) -> None:
    event = EVENTS[kind] | dict.fromkeys(FIELDS)
    assert interpret(event, accounts=[CONNECTED]) == interpret(EVENTS[kind])


def test_account_and_context_must_both_be_listed() -> None:
    event = intent() | {"account": CONNECTED, "context": THEIRS}
    assert interpret(event, accounts=[CONNECTED]) == mismatch(THEIRS)
    event = intent() | {"account": THEIRS, "context": CONNECTED}
    assert interpret(event, accounts=[CONNECTED]) == mismatch(THEIRS)
    event = intent() | {"account": CONNECTED, "context": f"org_1/{CONNECTED}"}
    assert interpret(event, accounts=[CONNECTED]) == PURCHASE


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        (f"org_1/{CONNECTED}", True),
        (f"{OURS}/{CONNECTED}", True),
        (f"{CONNECTED}/{THEIRS}", False),
        (f"{CONNECTED}/", False),
        (f"{CONNECTED},{THEIRS}", False),
        (CONNECTED.upper(), False),
        (f" {CONNECTED}", False),
        (CONNECTED[:-1], False),
    ],
)
def test_a_path_of_accounts_is_the_last_ones(path: str, *, counts: bool) -> None:
    fact = interpret(intent() | {"context": path}, accounts=[CONNECTED])
    assert fact == (PURCHASE if counts else mismatch(path))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [*("", "acct\x00", "é"), 0, 1, False, True, 1.5, [], [CONNECTED], {}, {"object": "account"}],
    ids=repr,
)
def test_an_account_that_cannot_be_read_is_not_ours(field: str, value: object) -> None:
    assert interpret(intent() | {field: value}, accounts=[CONNECTED]) == mismatch("unreadable id")


@pytest.mark.parametrize("field", FIELDS)
def test_an_account_given_as_an_object_is_named_and_refused(field: str) -> None:
    event = intent() | {field: {"id": CONNECTED, "object": "account"}}
    assert interpret(event, accounts=[CONNECTED]) == mismatch(CONNECTED)
