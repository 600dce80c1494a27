"""What is Apple's and of our app, and what is not; hostile input for every step."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasks.providers.apple import Apple
from tasks.providers.signed import NotAuthentic, NotVerified
from tests.tasks.providers.apple.apps import AT, NOW_S, chain, leaf, new_apple, signer
from workers.mock_providers.apple_signer import encode, in_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.mock_providers.apple_signer import Leaf

pytestmark = pytest.mark.requirement("C11")

SOLD = signer().notify("ONE_TIME_CHARGE", signer().transaction("1", AT), AT, event_id="uuid-1")


def warm() -> Apple:
    """Return a provider that knows the header of our signer."""
    apple = new_apple()
    apple.verify(SOLD, {}, now_s=NOW_S)
    return apple


@pytest.fixture(params=["cold", "warm"])
def apple(request: pytest.FixtureRequest) -> Apple:
    """A provider that has not seen our signer's header, and one that has."""
    return new_apple() if request.param == "cold" else warm()


def refused(apple: Apple, body: bytes) -> bool:
    """Return whether a webhook is refused as not authentic."""
    try:
        apple.verify(body, {}, now_s=NOW_S)
    except NotAuthentic:
        return True
    return False


def signed_body(jws: str) -> bytes:
    """Return a webhook of this signed object."""
    return json.dumps({"signedPayload": jws}).encode()


def outer() -> dict[str, Any]:
    """Return the payload of a good notification."""
    return signer().payload("ONE_TIME_CHARGE", signer().transaction("1", AT), AT)


def test_a_notification_that_apple_signed_is_stored_under_its_uuid(apple: Apple) -> None:
    stored = apple.verify(SOLD, {}, now_s=NOW_S)
    assert (stored.provider, stored.provider_event_id) == ("apple", "uuid-1")
    assert (stored.event_type, stored.state, stored.payload) == ("ONE_TIME_CHARGE", "pending", SOLD)


def test_a_subtype_stands_behind_the_type(apple: Apple) -> None:
    body = signer().notify("SUBSCRIBED", None, AT, subtype="INITIAL_BUY")
    assert apple.verify(body, {}, now_s=NOW_S).event_type == "SUBSCRIBED.INITIAL_BUY"


@pytest.mark.parametrize("environment", ["Production", "Sandbox"])
def test_both_environments_are_taken_side_by_side(apple: Apple, environment: str) -> None:
    of = signer(environment)
    assert not refused(apple, of.notify("ONE_TIME_CHARGE", of.transaction("1", AT), AT))


def test_apples_sandbox_may_leave_out_the_id_of_the_app(apple: Apple) -> None:
    assert not refused(apple, signer("Sandbox").notify("TEST", None, AT, appAppleId=None))
    assert refused(apple, signer().notify("TEST", None, AT, appAppleId=None))


def of_summary(**fields: Any) -> dict[str, Any]:
    """Return a notification about renewals."""
    data = {"bundleId": "dev.coinfleet.app", "appAppleId": 1_234_567_890, **fields}
    return {
        "notificationType": "RENEWAL_EXTENSION",
        "notificationUUID": "s-1",
        "summary": data,
        "signedDate": in_ms(AT),
    }


def of_token(external_id: str) -> dict[str, Any]:
    """Return a notification about a purchase outside the store."""
    data = {"bundleId": "dev.coinfleet.app", "appAppleId": 1_234_567_890}
    return {
        "notificationType": "EXTERNAL_PURCHASE_TOKEN",
        "notificationUUID": "t-1",
        "externalPurchaseToken": {**data, "externalPurchaseId": external_id},
        "signedDate": in_ms(AT),
    }


def test_notifications_without_data_are_of_an_app_too(apple: Apple) -> None:
    assert not refused(apple, signer().body(of_summary(environment="Production")))
    assert not refused(apple, signer().body(of_token("SANDBOX_1")))
    assert not refused(apple, signer().body(of_token("1")))
    assert refused(apple, signer().body(of_summary(environment="Xcode")))
    assert refused(apple, signer().body({"notificationType": "TEST", "notificationUUID": "u"}))


def test_an_id_that_cannot_be_read_is_stored_as_malformed(apple: Apple) -> None:
    for bad in (None, 7, "", "x" * 256, "a\nb"):
        body = signer().body({**outer(), "notificationUUID": bad})
        stored = apple.verify(body, {}, now_s=NOW_S)
        assert (stored.state, stored.reason) == ("rejected", "malformed")


@pytest.mark.parametrize("field", ["quantity", "price", "purchaseDate", "productId"])
def test_a_good_signature_counts_whatever_types_the_fields_have(apple: Apple, field: str) -> None:
    odd = signer().transaction("1", AT, **{field: {"odd": ["many"]}})
    assert not refused(apple, signer().notify("ONE_TIME_CHARGE", odd, AT))


# --- another's app or environment --------------------------------------------------------------


OTHERS: list[tuple[str, Any]] = [
    ("bundleId", "com.example.other"),
    ("bundleId", None),
    ("bundleId", 7),
    ("environment", "Xcode"),
    ("environment", "LocalTesting"),
    ("environment", None),
]


@pytest.mark.parametrize(
    ("level", "name", "value"),
    [
        *((level, *other) for level in ("outer", "inner", "both") for other in OTHERS),
        *((level, "environment", "Sandbox") for level in ("outer", "inner")),
        *(("outer", "appAppleId", value) for value in (1, "abc", 2**70)),
    ],
)
def test_what_is_of_another_app_or_environment_is_refused(
    apple: Apple, level: str, name: str, value: Any
) -> None:
    fields = {name: value} if level in {"inner", "both"} else {}
    transaction = signer().transaction("1", AT, **fields)
    data = {name: value} if level in {"outer", "both"} else {}
    assert refused(apple, signer().notify("ONE_TIME_CHARGE", transaction, AT, **data))


# --- another's signature -----------------------------------------------------------------------


def bad_signers() -> dict[str, Leaf]:
    """Return signers whose certificates prove nothing."""
    good, foreign = leaf(), leaf(1, "foreign")
    der = b"0" * 500
    return {
        "a foreign root": foreign,
        "a foreign root under our root's name": replace(
            foreign, x5c=(*foreign.x5c[:2], good.x5c[2])
        ),
        "a foreign leaf under our issuer": replace(foreign, x5c=(foreign.x5c[0], *good.x5c[1:])),
        "another key": replace(good, key=foreign.key),
        "the leaf alone": replace(good, x5c=good.x5c[:1]),
        "two certificates": replace(good, x5c=good.x5c[:2]),
        "four certificates": replace(good, x5c=(*good.x5c, good.x5c[2])),
        "no certificates": replace(good, x5c=()),
        "the issuer twice": replace(good, x5c=(good.x5c[0], good.x5c[2], good.x5c[1])),
        "no certificate at all": replace(good, x5c=(der, der, der)),
        "the leaf's mark is missing": chain().leaf(7, leaf_is_marked=False),
        "the issuer's mark is missing": chain().leaf(8, issuer_is_marked=False),
        "expired when it signed": chain().leaf(9, valid_until=AT - timedelta(seconds=1)),
        "not valid yet when it signed": chain().leaf(10, valid_from=AT + timedelta(seconds=1)),
    }


@pytest.mark.parametrize("case", bad_signers())
def test_what_another_signed_is_refused(apple: Apple, case: str) -> None:
    bad = signer(of=bad_signers()[case])
    transaction = bad.transaction("1", AT)
    assert refused(apple, bad.notify("ONE_TIME_CHARGE", transaction, AT))
    # Only the transaction within is another's.
    data = {"signedTransactionInfo": bad.leaf.sign(transaction)}
    assert refused(apple, signer().notify("ONE_TIME_CHARGE", None, AT, **data))


def headers() -> dict[str, Callable[[str], str]]:
    """Return ways to change the protected header of a good object."""
    key = leaf().key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    x5c = [b64encode(each).decode() for each in leaf().x5c]

    def with_header(fields: Any, jws: str) -> str:
        return ".".join([encode(json.dumps(fields).encode()), *jws.split(".")[1:]])

    def with_hmac(jws: str) -> str:
        content = ".".join(
            [encode(json.dumps({"alg": "HS256", "x5c": x5c}).encode()), jws.split(".")[1]]
        )
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        return f"{content}.{encode(mac.sign(content.encode(), key))}"

    return {
        "none": lambda jws: with_header({"alg": "none", "x5c": x5c}, jws),
        "none and no signature": lambda jws: (
            with_header({"alg": "none", "x5c": x5c}, jws).rsplit(".", 1)[0] + "."
        ),
        "HS256 with the public key": with_hmac,
        "RS256": lambda jws: with_header({"alg": "RS256", "x5c": x5c}, jws),
        "no alg": lambda jws: with_header({"x5c": x5c}, jws),
        "crit": lambda _: leaf().sign(outer(), crit=["b64"], b64=False),
        "unencoded payload": lambda _: leaf().sign(outer(), b64=False),
        "a list": lambda jws: with_header([1], jws),
        "deep": lambda jws: ".".join([encode(b"[" * 9_000), *jws.split(".")[1:]]),
        "too long": lambda _: leaf().sign(outer(), kid="x" * 20_000),
        "x5c of numbers": lambda jws: with_header({"alg": "ES256", "x5c": [1, 2, 3]}, jws),
        "an x5u beside": lambda jws: with_header(
            {"alg": "ES256", "x5c": x5c, "x5u": "https://example.com"}, jws
        ),
    }


@pytest.mark.parametrize("case", headers())
def test_a_header_that_apple_would_not_write_is_refused(apple: Apple, case: str) -> None:
    assert refused(apple, signed_body(headers()[case](leaf().sign(outer()))))


def damages() -> dict[str, Callable[[str], str]]:
    """Return ways to damage a good object."""

    def part(no: int, change: Callable[[str], str]) -> Callable[[str], str]:
        def damage(jws: str) -> str:
            parts = jws.split(".")
            parts[no] = change(parts[no])
            return ".".join(parts)

        return damage

    return {
        "empty": lambda _: "",
        "no dot": lambda _: "x",
        "two parts": lambda jws: jws.rsplit(".", 1)[0],
        "four parts": lambda jws: jws + ".",
        "truncated": lambda jws: jws[:-10],
        "no signature": part(2, lambda _: ""),
        "a signature of zeros": part(2, lambda _: encode(bytes(64))),
        "a signature as DER": part(2, lambda s: encode(b"0\x06\x02\x01\x01\x02\x01\x01") + s[:4]),
        "65 bytes": part(2, lambda _: encode(bytes(65))),
        "altered payload": part(1, lambda s: s[:50] + ("A" if s[50] != "A" else "B") + s[51:]),
        "padded": part(1, lambda s: s + "="),
        "standard alphabet": part(1, lambda s: s.replace("-", "+").replace("_", "/") + "+"),
        "blanks": lambda jws: f" {jws}",
        "a line break": part(1, lambda s: s[:40] + "\n" + s[40:]),
        "not ASCII": part(1, lambda s: s + "é"),
    }


@pytest.mark.parametrize("case", damages())
def test_a_damaged_object_is_refused(apple: Apple, case: str) -> None:
    assert refused(apple, signed_body(damages()[case](leaf().sign(outer()))))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'"x"', b"{", b"[" * 50_000, b"\xff\xfe{}", b'{"data": ' * 5_000, b"null"],
    ids=["empty", "list", "text", "open", "deep", "no UTF-8", "deep objects", "null"],
)
def test_a_signed_payload_that_names_no_app_is_refused(apple: Apple, content: bytes) -> None:
    assert refused(apple, signed_body(leaf().sign(content)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"signedPayload": 7}',
        b'{"signedPayload": null}',
        b'{"signedPayload": "\xff"}',
        b'{"signedPayload": "' + b"x" * 250_000 + b'"}',
        b'{"signedPayload": "' + b"." * 250_000 + b'"}',
    ],
    ids=["empty", "nothing", "list", "bytes", "deep", "number", "null", "no UTF-8", "long", "dots"],
)
def test_a_body_of_another_shape_is_refused(apple: Apple, body: bytes) -> None:
    assert not apple.is_slow(body, {})
    assert refused(apple, body)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        *({name: None} for name in ("exp", "nbf", "iat", "sub", "jti")),
        {"nbf": NOW_S + 600},
        {"iat": NOW_S + 600},
        {"aud": "somebody"},
        {"exp": "never"},
        {"signedDate": "soon"},
        *({"signedDate": at} for at in (10**40, -1)),
    ],
    ids=str,
)
def test_a_payload_for_another_time_or_reader_is_refused(
    apple: Apple, claims: dict[str, Any]
) -> None:
    assert refused(apple, signer().body({**outer(), **claims}))


def test_nothing_is_authentic_without_settings() -> None:
    for unset in (Apple(), Apple(apps={"dev.coinfleet.app": 1_234_567_890})):
        assert not unset.is_slow(SOLD, {})
        assert refused(unset, SOLD)


# --- certificates ------------------------------------------------------------------------------


def test_a_certificate_counts_at_the_time_of_the_signature() -> None:
    until = AT + timedelta(days=1)
    expiring = signer(of=chain().leaf(20, valid_until=until))
    apple = new_apple()
    in_time = expiring.notify("TEST", None, AT)
    assert not refused(apple, in_time)
    # Years later, from Apple's history.
    assert apple.verify(in_time, {}, now_s=NOW_S + 1e8).state == "pending"
    assert not apple.is_slow(in_time, {})
    assert refused(apple, expiring.notify("TEST", None, until + timedelta(seconds=1)))
    assert refused(new_apple(), expiring.notify("TEST", None, until + timedelta(seconds=1)))
    assert refused(apple, expiring.notify("TEST", None, datetime(2019, 1, 1, tzinfo=UTC)))


def test_without_a_date_a_certificate_counts_now() -> None:
    expiring = signer(of=chain().leaf(21, valid_until=AT + timedelta(days=1)))
    undated = {**expiring.payload("TEST", None, AT)}
    del undated["signedDate"]
    apple = new_apple()
    apple.verify(expiring.notify("TEST", None, AT), {}, now_s=NOW_S)
    body = expiring.body(undated)
    assert apple.verify(body, {}, now_s=NOW_S).state == "pending"
    with pytest.raises(NotAuthentic):
        apple.verify(body, {}, now_s=NOW_S + 7 * 86_400)


def test_only_a_new_header_is_slow_and_only_once() -> None:
    apple = new_apple()
    first, second = signer(), signer(of=leaf(2))
    assert apple.is_slow(SOLD, {})
    apple.verify(SOLD, {}, now_s=NOW_S)
    for no in range(6):
        of = (first, second)[no % 2]
        body = of.notify("ONE_TIME_CHARGE", of.transaction(str(no), AT), AT)
        assert apple.is_slow(body, {}) == (no == 1)
        assert not refused(apple, body)


def test_a_transaction_under_a_new_header_is_slow_too() -> None:
    apple = warm()
    transaction = leaf(3).sign(signer().transaction("1", AT))
    body = signer().notify("REFUND", None, AT, signedTransactionInfo=transaction)
    assert apple.is_slow(body, {})
    assert not refused(apple, body)
    assert not apple.is_slow(body, {})


def test_a_refused_header_is_not_remembered_and_costs_a_share_of_the_proofs() -> None:
    apple = warm()
    foreign = signer(of=leaf(1, "foreign")).notify("TEST", None, AT)
    answers = []
    for _ in range(40):
        assert apple.is_slow(foreign, {})
        try:
            apple.verify(foreign, {}, now_s=NOW_S)
        except NotAuthentic:
            answers.append(NotAuthentic)
        except NotVerified:
            answers.append(NotVerified)
    assert answers[0] is NotAuthentic
    assert answers[-1] is NotVerified
    # Who is known is not harmed.
    assert not refused(apple, SOLD)


def test_a_refusal_says_nothing_of_what_was_sent() -> None:
    foreign = signer(of=leaf(1, "foreign")).notify("TEST", None, AT)
    for apple in (new_apple(), warm()):
        for body in (foreign, SOLD[:-20], b"x"):
            with pytest.raises(NotAuthentic) as refused:
                apple.verify(body, {}, now_s=NOW_S)
            assert str(refused.value) == str(NotAuthentic(refused.value.cause))
            assert refused.value.__cause__ is None
