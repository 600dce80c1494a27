"""The app: Standard Webhooks, compared with the reference library, and what gifts mean."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from db.facts import Gift, Verdict
from db.inbox.arrivals import Arrival
from db.inbox.batches import ClaimedEvent
from tasks.providers.app import App, sign
from tasks.providers.app.verify import _signature, signing_key
from tasks.providers.signed import TOLERANCE_S, NotAuthentic

SECRET = "whsec_" + b64encode(b"the first key, of 32 bytes.....!").decode()
OTHER_SECRET = "whsec_" + b64encode(b"the other key, of 32 bytes.....!").decode()
NOW_S = 1_763_788_800
SENDER = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")
RECIPIENT = UUID("7f9619ff-8b86-4011-b42d-00c04fc964ff")
DATA = {"sender_id": str(SENDER), "recipient_id": str(RECIPIENT), "gift_type": "rose"}
BODY = json.dumps({"type": "gift.sent", "timestamp": "2026-11-22T05:28:00Z", "data": DATA}).encode()


def library_signs(
    event_id: str = "gift-1", body: bytes = BODY, secret: str = SECRET, at_s: int = NOW_S
) -> dict[bytes, bytes]:
    """Return the headers that the reference library makes."""
    signature = Webhook(secret).sign(event_id, datetime.fromtimestamp(at_s, UTC), body.decode())
    return {
        b"webhook-id": event_id.encode(),
        b"webhook-timestamp": str(at_s).encode(),
        b"webhook-signature": signature.encode(),
    }


def verify(
    headers: dict[bytes, bytes], body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)
) -> Arrival:
    return App(webhook_secrets=secrets).verify(body, headers, now_s=NOW_S)


def interpret(event: Any) -> Any:
    payload = event if isinstance(event, bytes) else msgspec.json.encode(event)
    claimed = ClaimedEvent(
        id=1,  # type: ignore[arg-type]
        provider="app",
        provider_event_id="gift-1",
        event_type="gift.sent",
        payload=payload,
        received_at=datetime.fromtimestamp(NOW_S, UTC),
        attempts=0,
    )
    return App().interpret(claimed)


def test_a_body_signed_by_the_reference_library_is_stored_under_its_webhook_id() -> None:
    arrival = verify(library_signs())
    assert (arrival.provider, arrival.provider_event_id) == ("app", "gift-1")
    assert (arrival.event_type, arrival.state) == ("gift.sent", "pending")
    assert arrival.payload == BODY


def test_our_signatures_are_the_reference_librarys() -> None:
    ours = sign("gift-1", BODY, secret=SECRET, timestamp_s=NOW_S)
    assert {name.encode(): value.encode() for name, value in ours.items()} == library_signs()


def test_any_of_several_secrets_and_signatures_may_match() -> None:
    headers = library_signs(secret=OTHER_SECRET)
    headers[b"webhook-signature"] = b"v1a,x v1,AAAA " + headers[b"webhook-signature"]
    assert verify(headers, secrets=(SECRET, OTHER_SECRET))


def test_a_secret_without_padding_is_the_same_secret() -> None:
    assert verify(library_signs(), secrets=(SECRET.rstrip("="),))


@pytest.mark.parametrize("late_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1])
def test_a_timestamp_older_or_later_than_five_minutes_is_refused(late_s: int) -> None:
    with pytest.raises(NotAuthentic):
        verify(library_signs(at_s=NOW_S + late_s))


@pytest.mark.parametrize(
    "change",
    [
        {b"webhook-id": b"gift-2"},
        {b"webhook-timestamp": b"1763788801"},
        {b"webhook-timestamp": b"1763788800.0"},
        {b"webhook-timestamp": b"-1763788800"},
        {b"webhook-timestamp": b"inf"},
        {b"webhook-timestamp": b""},
        {b"webhook-signature": b""},
        {b"webhook-signature": b"v1"},
        {b"webhook-signature": b"v1,"},
        {b"webhook-signature": b"v1,\xff\xfe"},
        {b"webhook-signature": b"v2," + library_signs()[b"webhook-signature"][3:]},
        {b"webhook-signature": library_signs(secret=OTHER_SECRET)[b"webhook-signature"]},
        {b"webhook-signature": b" " * 5000},
    ],
)
def test_headers_that_prove_nothing_are_refused(change: dict[bytes, bytes]) -> None:
    with pytest.raises(NotAuthentic):
        verify(library_signs() | change)


@pytest.mark.parametrize("missing", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
def test_a_missing_header_is_refused(missing: bytes) -> None:
    headers = library_signs()
    del headers[missing]
    with pytest.raises(NotAuthentic):
        verify(headers)


@given(st.dictionaries(st.sampled_from(list(library_signs())), st.binary(max_size=100)))
def test_only_signed_headers_are_accepted(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(NotAuthentic):
        verify(headers)


@pytest.mark.parametrize("event_id", ["x" * 256, "a\tb", "\u200b"])
def test_an_authentic_body_without_a_usable_id_is_kept_under_its_hash(event_id: str) -> None:
    arrival = verify(library_signs(event_id))
    assert (arrival.state, arrival.reason) == ("rejected", "malformed")
    assert arrival.provider_event_id == hashlib.sha256(BODY).hexdigest()


def test_an_id_that_is_no_text_is_not_usable() -> None:
    signature = _signature(signing_key(SECRET), b"\xff", b"1763788800", BODY)
    arrival = verify(library_signs() | {b"webhook-id": b"\xff", b"webhook-signature": signature})
    assert arrival.provider_event_id == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_ä", ""])
def test_a_secret_that_holds_no_key_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="Standard Webhooks secret"):
        signing_key(secret)


def test_the_quantity_of_a_gift_is_1_unless_it_is_given() -> None:
    assert interpret(BODY) == Gift(sender_id=SENDER, recipient_id=RECIPIENT, gift_type="rose")


def test_a_gift_has_a_quantity_a_stream_and_a_slot() -> None:
    data = DATA | {"quantity": 3, "stream_id": 7, "slot_index": 12, "color": "red", "kind": "x"}
    assert interpret({"type": "gift.sent", "data": data}) == Gift(
        sender_id=SENDER,
        recipient_id=RECIPIENT,
        gift_type="rose",
        quantity=3,
        stream_id=7,
        slot_index=12,
    )


def test_other_events_of_the_app_are_ignored() -> None:
    event = {"type": "gift.unsent", "data": DATA}
    assert interpret(event) == Verdict(state="ignored", reason="unknown_type")


@pytest.mark.parametrize(
    "change",
    [
        {"sender_id": "nobody"},
        {"sender_id": None},
        {"gift_type": ""},
        {"gift_type": "ro\x00se"},
        {"gift_type": 5},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": True},
        {"quantity": "2"},
        {"quantity": 1_000_001},
        {"quantity": 10**30},
        {"stream_id": 2**63},
        {"stream_id": "7"},
        {"slot_index": 0},
        {"slot_index": 13},
    ],
    ids=str,
)
def test_a_gift_that_makes_no_sense_is_malformed(change: dict[str, Any]) -> None:
    event = json.dumps({"type": "gift.sent", "data": DATA | change}).encode()
    assert interpret(event) == Verdict(state="rejected", reason="malformed")


@pytest.mark.parametrize("data", [None, [], "text", {}, 5])
def test_a_gift_without_its_data_is_malformed(data: object) -> None:
    event = {"type": "gift.sent", "data": data}
    assert interpret(event) == Verdict(state="rejected", reason="malformed")


def test_a_gift_event_that_ends_early_is_malformed() -> None:
    assert interpret({"type": "gift.sent"}) == Verdict(state="rejected", reason="malformed")


@given(st.binary(max_size=200))
def test_any_bytes_have_a_meaning(payload: bytes) -> None:
    assert isinstance(interpret(payload), Verdict)
