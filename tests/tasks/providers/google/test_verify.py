"""Which pushes are Google's: its token, for us, by our service account, and not expired."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import google.auth.jwt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasks.providers.google import Google
from tasks.providers.google.certificates import read_certificate
from tasks.providers.google.tokens import TOKEN_BYTES_MAX, TOKENS_MAX, PushTokens
from tasks.providers.signed import NotAuthentic, NotVerified
from workers.mock_providers.google import AUDIENCE, PACKAGE, PUSH_EMAIL, claims, push_of
from workers.mock_providers.google.keys import signing_key
from workers.mock_providers.google.pushes import signed_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.mock_providers.google import GoogleServer

pytestmark = pytest.mark.requirement("C11")

NOW_S = time.time()
TEST = {
    "version": "1.0",
    "packageName": PACKAGE,
    "eventTimeMillis": "1795000000000",
    "testNotification": {"version": "1.0"},
}
BODY = push_of(TEST, message_id="42")


def provider(server: GoogleServer) -> Google:
    """The provider as `web` has it."""
    return Google(
        packages=(PACKAGE,),
        push_audience=AUDIENCE,
        push_email=PUSH_EMAIL,
        certificates_url=f"{server.base}/oauth2/v1/certs",
    )


def knowing(server: GoogleServer) -> Google:
    """The provider in a process that has run for a while: it has the certificates."""
    by = provider(server)
    certificates = by._tokens._certificates  # type: ignore[union-attr]
    key = signing_key("current")
    known = read_certificate(key.certificate)
    assert known is not None
    certificates._certificates = {key.kid: known}
    certificates._fresh_until = float("inf")
    certificates._tried_at = time.monotonic()
    return by


def bearer(token: str | bytes) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + (token.encode() if isinstance(token, str) else token)}


async def verify(
    by: Google, headers: Mapping[bytes, bytes], body: bytes = BODY, *, later_s: float = 0
) -> Any:
    """Verify as `web` does, slowly: on a thread, so that the server can answer."""
    return await asyncio.to_thread(partial(by.verify, body, headers, now_s=time.time() + later_s))


async def cause(by: Google, headers: Mapping[bytes, bytes], *, later_s: float = 0) -> str:
    """Why a push is not authentic."""
    with pytest.raises(NotAuthentic) as refused:
        await verify(by, headers, later_s=later_s)
    return refused.value.cause


async def test_a_push_of_google_is_authentic(google: GoogleServer) -> None:
    arrival = await verify(provider(google), bearer(signed_token()))
    assert (arrival.provider, arrival.provider_event_id) == ("google", "42")
    assert (arrival.event_type, arrival.state, arrival.payload) == ("test", "pending", BODY)


async def test_the_issuer_may_be_without_a_scheme(google: GoogleServer) -> None:
    await verify(provider(google), bearer(signed_token(iss="accounts.google.com")))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aud": "https://other.example.com"}, "no_match"),
        ({"aud": [AUDIENCE]}, "unreadable"),
        ({"aud": None}, "unreadable"),
        ({"email": "attacker@example.com"}, "no_match"),
        ({"email": None}, "unreadable"),
        ({"email_verified": False}, "no_match"),
        ({"email_verified": None}, "unreadable"),
        ({"email_verified": "true"}, "unreadable"),
        ({"iss": "https://accounts.example.com"}, "no_match"),
        ({"iss": None}, "unreadable"),
        ({"exp": int(NOW_S) - 60}, "stale"),
        ({"exp": None}, "unreadable"),
        ({"iat": int(NOW_S) + 9_000}, "stale"),
        ({"iat": None}, "unreadable"),
        ({"nested": json.loads("[" * 400 + "]" * 400)}, None),
    ],
)
async def test_what_a_token_must_say(
    google: GoogleServer, changes: dict[str, Any], expected: str | None
) -> None:
    by = knowing(google)
    told = bearer(signed_token(**changes))
    if expected is None:
        await verify(by, told)
    else:
        assert await cause(by, told) == expected


def _unsigned(header: object, payload: object, signature: bytes = b"x") -> str:
    """A token whose parts are these."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode()
        for part in (header, payload, signature)
    ]
    return b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()


def _hostile_tokens() -> dict[str, tuple[str, str]]:
    """Tokens that nobody at Google signed, and why each is refused."""
    key = signing_key("current")
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good = signed_token()
    # PyJWT refuses to sign with a public key, so this is done by hand.
    header = _unsigned({"alg": "HS256", "kid": key.kid}, claims()).rsplit(".", 1)[0]
    hs256 = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    mac = urlsafe_b64encode(hs256.sign(header.encode(), public)).rstrip(b"=").decode()
    without_kid = jwt.encode(claims(), key.private, algorithm="RS256")
    numeric = jwt.encode(claims(), "", algorithm="none")
    exp_as_text = jwt.PyJWS().encode(
        json.dumps(claims() | {"exp": "soon"}).encode(),
        key.private,
        algorithm="RS256",
        headers={"kid": key.kid},
    )
    other = signing_key("other")
    forged = jwt.encode(claims(), other.private, algorithm="RS256", headers={"kid": key.kid})
    deep_header = b'{"alg":"RS256","kid":' + b"[" * 1_000
    deep_claims = jwt.PyJWS().encode(
        b'{"exp":' + b"[" * 1_000, key.private, algorithm="RS256", headers={"kid": key.kid}
    )
    return {
        "of another key": (forged, "no_match"),
        "altered": (good[:-8] + "AAAAAAAA", "no_match"),
        "none": (_unsigned({"alg": "none", "kid": key.kid}, claims(), b""), "no_match"),
        "none, without a kid": (numeric, "unreadable"),
        "HS256 with the public key": (f"{header}.{mac}", "no_match"),
        "without a kid": (without_kid, "unreadable"),
        "kid is a number": (_unsigned({"alg": "RS256", "kid": 7}, claims()), "unreadable"),
        "kid is long": (_unsigned({"alg": "RS256", "kid": "k" * 200}, claims()), "unreadable"),
        "exp is a text": (exp_as_text, "unreadable"),
        "deep header": (_unsigned(deep_header, claims()), "unreadable"),
        "deep claims": (deep_claims, "unreadable"),
        "truncated": (good[: len(good) // 2], "unreadable"),
        "two parts": (good.rsplit(".", 1)[0], "unreadable"),
        "no token": ("a.b.c", "unreadable"),
        "too long": (good + "A" * TOKEN_BYTES_MAX, "unreadable"),
        "empty": ("", "unreadable"),
        "claims are a list": (
            jwt.PyJWS().encode(b"[]", key.private, algorithm="RS256", headers={"kid": key.kid}),
            "unreadable",
        ),
    }


HOSTILE = _hostile_tokens()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_token_is_refused(google: GoogleServer, name: str) -> None:
    token, expected = HOSTILE[name]
    assert await cause(knowing(google), bearer(token)) == expected
    assert google.certificate_fetches == 0


async def test_a_token_of_another_kind_is_no_reason_to_fetch(google: GoogleServer) -> None:
    by = knowing(google)
    by._tokens._certificates._tried_at -= 61  # type: ignore[union-attr]
    for algorithm in ("none", "HS256", "RS512"):
        token = _unsigned({"alg": algorithm, "kid": "unknown"}, claims())
        assert await cause(by, bearer(token)) == "no_match"
    # Signed well, and called otherwise.
    key = signing_key("current")
    named = _unsigned({"alg": "none", "kid": key.kid}, claims()).rpartition(".")[0]
    signature = urlsafe_b64encode(key.private.sign(named.encode(), PKCS1v15(), SHA256()))
    assert await cause(by, bearer(f"{named}.{signature.decode().rstrip('=')}")) == "no_match"
    assert google.certificate_fetches == 0


async def test_a_push_without_a_token_is_refused(google: GoogleServer) -> None:
    by = provider(google)
    assert await cause(by, {}) == "missing"
    assert await cause(by, {b"authorization": b"Basic abc"}) == "unreadable"
    assert await cause(by, bearer(b"\xff\xfe.\x00.\x00")) == "unreadable"
    assert google.certificate_fetches == 0


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "too long"])
def test_googles_library_refuses_them_too(name: str) -> None:
    key = signing_key("current")
    token, _ = HOSTILE[name]
    if name == "without a kid":
        pytest.skip("Google's library tries all keys")
    with pytest.raises(Exception):  # noqa: B017 - it raises errors of many kinds
        google.auth.jwt.decode(  # type: ignore[no-untyped-call]
            token, certs={key.kid: key.certificate}, audience=AUDIENCE
        )


def test_googles_library_takes_what_we_take() -> None:
    key = signing_key("current")
    told = google.auth.jwt.decode(  # type: ignore[no-untyped-call]
        signed_token(), certs={key.kid: key.certificate}, audience=AUDIENCE
    )
    assert told["email"] == PUSH_EMAIL


async def test_a_token_counts_until_it_expires_and_not_after(google: GoogleServer) -> None:
    by, told = provider(google), bearer(signed_token())
    await verify(by, told)
    await verify(by, told, later_s=3_500)
    assert await cause(by, told, later_s=3_700) == "stale"


async def test_tokens_that_are_remembered_are_few(google: GoogleServer) -> None:
    tokens = PushTokens(
        audience=AUDIENCE, email=PUSH_EMAIL, certificates_url=f"{google.base}/oauth2/v1/certs"
    )
    for number in range(TOKENS_MAX + 5):
        check = partial(tokens.check, bearer(signed_token(sub=str(number))), now_s=time.time())
        await asyncio.to_thread(check)
    assert len(tokens._good) == TOKENS_MAX


async def test_certificates_are_fetched_once(google: GoogleServer) -> None:
    by = provider(google)
    first, second = bearer(signed_token(sub="1")), bearer(signed_token(sub="2"))
    assert by.is_slow(BODY, first)
    await verify(by, first)
    assert not by.is_slow(BODY, first)
    assert not by.is_slow(BODY, second)
    await verify(by, second)
    assert google.certificate_fetches == 1


async def test_a_burst_of_unknown_keys_is_one_fetch(google: GoogleServer) -> None:
    by = provider(google)
    await verify(by, bearer(signed_token()))
    by._tokens._certificates._tried_at -= 61  # type: ignore[union-attr]
    unknown = [_unsigned({"alg": "RS256", "kid": f"k{no}"}, claims()) for no in range(50)]
    for token in unknown:
        assert await cause(by, bearer(token)) == "no_match"
    assert google.certificate_fetches == 2
    assert not any(by.is_slow(BODY, bearer(token)) for token in unknown)


async def test_a_new_key_is_found(google: GoogleServer) -> None:
    by = provider(google)
    await verify(by, bearer(signed_token()))
    google.certificates.append(signing_key("next"))
    by._tokens._certificates._tried_at -= 61  # type: ignore[union-attr]
    await verify(by, bearer(signed_token(signing_key("next"))))


async def test_without_certificates_nobody_knows(
    google: GoogleServer, capfd: pytest.CaptureFixture[str]
) -> None:
    google.certificates_status = 503
    by = provider(google)
    with pytest.raises(NotVerified):
        await verify(by, bearer(signed_token()))
    with pytest.raises(NotVerified):
        await verify(by, bearer(signed_token(sub="2")))
    assert google.certificate_fetches == 1
    google.certificates_status = 200
    by._tokens._certificates._tried_at -= 6  # type: ignore[union-attr]
    await verify(by, bearer(signed_token()))


async def test_known_certificates_outlast_an_outage(google: GoogleServer) -> None:
    google.cache_control = "max-age=60"
    by = provider(google)
    await verify(by, bearer(signed_token()))
    google.certificates_status = 500
    certificates = by._tokens._certificates  # type: ignore[union-attr]
    certificates._fresh_until -= 61
    certificates._tried_at -= 61
    assert by.is_slow(BODY, bearer(signed_token(sub="2")))
    await verify(by, bearer(signed_token(sub="2")))
    assert google.certificate_fetches == 2


async def test_an_expired_certificate_proves_nothing(google: GoogleServer) -> None:
    old = signing_key("old", ends_in=timedelta(hours=-1))
    google.certificates = [old, signing_key("current")]
    assert await cause(provider(google), bearer(signed_token(old))) == "no_match"


@pytest.mark.parametrize("told", [b"", b"[]", b'{"a": 1}', b'{"a": "no certificate"}', b"[" * 999])
async def test_certificates_that_cannot_be_read_are_none(
    google: GoogleServer, told: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.responses import Response  # noqa: PLC0415

    monkeypatch.setattr(type(google), "_certificates", lambda _: Response(told))
    with pytest.raises(NotVerified):
        await verify(provider(google), bearer(signed_token()))


def test_without_its_settings_no_push_is_authentic() -> None:
    with pytest.raises(NotAuthentic):
        Google().verify(BODY, bearer(signed_token()), now_s=time.time())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[" * 2_000,
        b"\xff" * 10,
        push_of(b"another service's text"),
        push_of(b"{}"),
        push_of({**TEST, "eventTimeMillis": 1_795_000_000_000}),
        push_of({**TEST, "eventTimeMillis": "1" * 20}),
        push_of(b"[" * 2_000),
        push_of(TEST, message_id=""),
        push_of(TEST, message_id="\n"),
        b'{"message": {"messageId": "1", "data": "no base64!"}}',
        b'{"message": {"messageId": 1, "data": "e30="}}',
    ],
)
async def test_an_authentic_push_that_cannot_be_read_is_stored(
    google: GoogleServer, body: bytes
) -> None:
    arrival = await verify(knowing(google), bearer(signed_token()), body)
    assert (arrival.state, arrival.reason) == ("rejected", "malformed")
    assert len(arrival.provider_event_id) == 64
