"""Stripe's signature, compared with Stripe's own library."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import SignatureVerificationError, WebhookSignature

from tasks.providers.signed import TOLERANCE_S, NotAuthentic
from tasks.providers.stripe import Stripe, sign

pytestmark = pytest.mark.requirement("C11")

SECRET = "whsec_first"
OTHER_SECRET = "whsec_second"
NOW_S = 1_763_788_800
BODY = json.dumps({"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"}).encode()


def stripe_signs(body: bytes = BODY, secret: str = SECRET, at_s: int = NOW_S) -> bytes:
    """Return the header that Stripe's library makes."""
    return WebhookSignature.generate_signature_header(body.decode(), secret, at_s).encode()


def verify(header: bytes | None, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)):  # noqa: ANN201
    headers = {} if header is None else {b"stripe-signature": header}
    return Stripe(webhook_secrets=secrets).verify(body, headers, now_s=NOW_S)


def test_a_body_signed_by_stripes_library_is_stored_as_it_was_signed() -> None:
    arrival = verify(stripe_signs())
    assert arrival.provider == "stripe"
    assert arrival.provider_event_id == "evt_1"
    assert arrival.event_type == "payment_intent.succeeded"
    assert arrival.payload == BODY
    assert arrival.payload_sha256 == hashlib.sha256(BODY).digest()
    assert arrival.state == "pending"


def test_our_signatures_are_stripes() -> None:
    ours = sign(BODY, secret=SECRET, timestamp_s=NOW_S)
    assert ours == {"stripe-signature": stripe_signs().decode()}


def test_any_of_several_secrets_may_have_signed() -> None:
    assert verify(stripe_signs(secret=OTHER_SECRET), secrets=(SECRET, OTHER_SECRET))


def test_any_of_several_signatures_may_match() -> None:
    old, new = stripe_signs(secret="whsec_old"), stripe_signs()
    assert verify(old + b"," + new.partition(b",")[2])


def test_other_schemes_beside_v1_are_passed_over() -> None:
    assert verify(stripe_signs() + b",v0=6ffbb59b2300aae63f272406069a9788")


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        (b",v1=", b", v1="),
        (b",v1=", b" , v1="),
        (b",v1=", b",\tv1="),
        (b",v1=", b",  v1 = "),
        (b"t=", b" t="),
        (b"t=", b"t= "),
        (b",v1=", b", v0=00, v1="),
    ],
)
def test_blanks_around_the_parts_of_a_signature_say_nothing(
    written: bytes, rewritten: bytes
) -> None:
    assert verify(stripe_signs().replace(written, rewritten, 1))
    assert verify(stripe_signs().replace(written, rewritten, 1) + b" ")


@pytest.mark.parametrize("rewritten", [b"t=17 637 888 00", b"t=1763788800 0", b"t=\n1763788800"])
def test_a_timestamp_with_blanks_inside_is_refused(rewritten: bytes) -> None:
    with pytest.raises(NotAuthentic):
        verify(stripe_signs().replace(b"t=1763788800", rewritten))


@pytest.mark.parametrize("late_s", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_a_timestamp_within_five_minutes_counts(late_s: int) -> None:
    assert verify(stripe_signs(at_s=NOW_S + late_s))


@pytest.mark.parametrize("late_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1, 10**9])
def test_a_timestamp_older_or_later_than_five_minutes_is_refused(late_s: int) -> None:
    with pytest.raises(NotAuthentic):
        verify(stripe_signs(at_s=NOW_S + late_s))


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"t=1763788800",
        stripe_signs(secret=OTHER_SECRET),
        stripe_signs().replace(b"v1=", b"v0="),
        stripe_signs().replace(b"t=", b"T="),
        b"t=9999999999999999999999," + stripe_signs(),
        b"t=\xd9\xa1," + stripe_signs(),
        b"t=1763788800,v1=\xff\xfe\x00",
        b"t=1763788800,v1=" + "ä".encode() * 32,
        stripe_signs() + b",v1=" + b"0" * 5000,
        b"," * 4000,
    ],
)
def test_a_header_that_proves_nothing_is_refused(header: bytes | None) -> None:
    with pytest.raises(NotAuthentic):
        verify(header)


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(NotAuthentic):
        verify(stripe_signs(), BODY + b" ")


def test_without_a_secret_nothing_is_authentic() -> None:
    with pytest.raises(NotAuthentic):
        verify(stripe_signs(), secrets=())


@given(header=st.binary(max_size=300))
def test_only_a_signature_is_accepted(header: bytes) -> None:
    with pytest.raises(NotAuthentic):
        verify(header)


@given(
    prefix=st.sampled_from([b"", b"v0=1,", b"v1=00,", b"t=1,", b"x,"]),
    secret=st.sampled_from([SECRET, OTHER_SECRET]),
    late_s=st.integers(-400, 400),
    suffix=st.sampled_from([b"", b",v1=11", b",t=5", b"=,", b",,"]),
)
def test_what_we_accept_stripes_library_accepts_too(
    prefix: bytes, secret: str, late_s: int, suffix: bytes
) -> None:
    header = prefix + stripe_signs(secret=secret, at_s=NOW_S + late_s) + suffix
    try:
        verify(header)
    except NotAuthentic:
        return
    try:
        # Without a tolerance, because with one the library reads the clock.
        assert WebhookSignature.verify_header(BODY, header.decode(), SECRET)
    except SignatureVerificationError:
        pytest.fail("Stripe's library refuses this header")


@given(body=st.binary(max_size=200))
def test_any_authentic_bytes_become_an_inbox_row(body: bytes) -> None:
    signature = hmac.new(SECRET.encode(), b"%d." % NOW_S + body, hashlib.sha256).hexdigest()
    arrival = verify(f"t={NOW_S},v1={signature}".encode(), body)
    assert arrival.payload == body
    assert (arrival.state, arrival.reason) == ("rejected", "malformed")
    assert arrival.provider_event_id == hashlib.sha256(body).hexdigest()


UNUSABLE = [
    b'{"id": "evt_1"',
    b'{"type": "t"}',
    b'{"id": "evt_1"}',
    b'{"id": 1, "type": "t"}',
    b'{"id": "", "type": "t"}',
    b'{"id": "evt_\\u0000", "type": "t"}',
    b'{"id": "evt_\\ud800", "type": "t"}',
    b'{"id": "evt_\\n", "type": "t"}',
    b'{"id": "evt_1", "type": "t\\u0000"}',
    b'{"id": "' + b"x" * 256 + b'", "type": "t"}',
    b'{"id": "evt_1", "type": "t", "data": NaN}',
    b'{"id": "evt_\xff", "type": "t"}',
    b"[" * 100_000,
    b'{"id": "evt_1", "type": "t", "data": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b"[]",
    b"null",
    b"",
]


@pytest.mark.parametrize("body", UNUSABLE, ids=range(len(UNUSABLE)))
def test_an_authentic_body_without_a_usable_id_is_kept_under_its_hash(body: bytes) -> None:
    header = sign(body, secret=SECRET, timestamp_s=NOW_S)["stripe-signature"].encode()
    arrival = verify(header, body)
    assert (arrival.state, arrival.reason) == ("rejected", "malformed")
    assert arrival.provider_event_id == hashlib.sha256(body).hexdigest()
    assert arrival.payload == body


def test_an_id_of_255_characters_is_usable() -> None:
    body = json.dumps({"id": "ä" * 255, "type": "t"}).encode()
    header = sign(body, secret=SECRET, timestamp_s=NOW_S)["stripe-signature"].encode()
    assert verify(header, body).provider_event_id == "ä" * 255


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        (None, "missing"),
        (b"", "missing"),
        (b"t=1", "unreadable"),
        (b"v1=", "unreadable"),
        (b"x" * 5_000, "unreadable"),
        (b"t=1,v1=00", "no_match"),
        (b"v1=00", "no_match"),
    ],
)
def test_a_refused_signature_says_its_cause(header: bytes | None, cause: str) -> None:
    headers = {} if header is None else {b"stripe-signature": header}
    with pytest.raises(NotAuthentic) as refused:
        Stripe(webhook_secrets=["whsec_secret"]).verify(b"{}", headers, now_s=0.0)
    assert (refused.value.cause, refused.value.late_s) == (cause, None)


@pytest.mark.parametrize("late_s", [TOLERANCE_S + 1, -TOLERANCE_S - 1, 86_400])
def test_a_good_signature_that_is_stale_says_how_late_it_is(late_s: int) -> None:
    now_s = 1_800_000_000
    signed = sign(b"{}", secret="whsec_secret", timestamp_s=now_s - late_s)
    headers = {name.encode(): value.encode() for name, value in signed.items()}
    with pytest.raises(NotAuthentic) as refused:
        Stripe(webhook_secrets=["whsec_secret"]).verify(b"{}", headers, now_s=now_s)
    assert (refused.value.cause, refused.value.late_s) == ("stale", late_s)
    # The time of a forged one says nothing about a clock.
    with pytest.raises(NotAuthentic) as refused:
        Stripe(webhook_secrets=["whsec_another"]).verify(b"{}", headers, now_s=now_s)
    assert refused.value.cause == "no_match"
