"""Access tokens: only those that the project signed for a user of now; any bytes are answered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.sign_in.refusals import NotSignedIn
from tasks.sign_in.signatures import TOKEN_BYTES_MAX, Key, SharedSecret
from tasks.sign_in.tokens import AccessTokens
from tests.servers.key_set import USER, SigningKey, claims, signed

SECRET = "a legacy secret of a project".ljust(64, ".")
OURS = SigningKey("ours")
PEM = OURS.private.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


class FixedKeys:
    """One public key."""

    async def find(self, kid: str | None) -> Key:
        if kid != OURS.kid:
            raise NotSignedIn("no_match")
        return Key("ES256", OURS.private.public_key())

    async def close(self) -> None: ...


PUBLIC = AccessTokens(FixedKeys(), audience="authenticated")
SHARED = AccessTokens(SharedSecret(SECRET), audience="authenticated")


async def read(tokens: AccessTokens, header: str | bytes, *, now_s: float | None = None) -> UUID:
    raw = header.encode() if isinstance(header, str) else header
    return await tokens.read_subject({b"authorization": raw}, now_s=now_s or time.time())


async def cause_of(tokens: AccessTokens, header: str | bytes, **when: float) -> str:
    with pytest.raises(NotSignedIn) as refused:
        await read(tokens, header, **when)
    # Nothing of the token may come into a log by the error.
    assert str(refused.value) == str(NotSignedIn("missing"))
    return refused.value.cause


def shared(**changes: Any) -> str:
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256")


def forged(header: dict[str, Any], *, key: bytes | None, **changes: Any) -> str:
    """A token whose header says anything; signed by HMAC, or not at all."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims(**changes))
    ]
    text = b".".join(parts)
    signature = hmac.digest(key, text, hashlib.sha256) if key else b""
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def test_the_subject_of_a_good_token_is_the_profile() -> None:
    assert await read(PUBLIC, f"Bearer {signed(OURS)}") == USER
    assert await read(SHARED, f"Bearer {shared()}") == USER


async def test_the_scheme_may_be_in_any_case_and_an_audience_one_of_several() -> None:
    assert await read(PUBLIC, f"bearer  {signed(OURS, aud=['x', 'authenticated'])} ") == USER


async def test_a_user_id_may_be_in_any_case() -> None:
    assert await read(PUBLIC, f"Bearer {signed(OURS, sub=str(USER).upper())}") == USER


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"exp": 1_000}, "expired"),
        ({"nbf": int(time.time()) + 3_600}, "expired"),
        ({"role": "anon", "sub": None}, "not_a_user"),
        ({"role": "anon"}, "not_a_user"),
        ({"role": "service_role"}, "not_a_user"),
        ({"role": None}, "not_a_user"),
        ({"aud": "another"}, "not_a_user"),
        ({"aud": []}, "not_a_user"),
        ({"aud": None}, "not_a_user"),
        ({"sub": "viewer@example.com"}, "not_a_user"),
        ({"sub": None}, "not_a_user"),
        ({"exp": None}, "not_a_user"),
        ({"exp": "4102444800"}, "not_a_user"),
        ({"exp": True}, "not_a_user"),
        ({"exp": [1]}, "not_a_user"),
    ],
)
async def test_a_token_of_nobody_or_of_another_time_is_refused(
    changes: dict[str, Any], cause: str
) -> None:
    for tokens, token in ((PUBLIC, signed_anyhow), (SHARED, shared_anyhow)):
        assert await cause_of(tokens, f"Bearer {token(**changes)}") == cause


def signed_anyhow(**changes: Any) -> str:
    """A token with claims that the library itself would not write."""
    payload = json.dumps(claims(**changes)).encode()
    return jwt.PyJWS().encode(payload, OURS.private, "ES256", headers={"kid": OURS.kid})


def shared_anyhow(**changes: Any) -> str:
    return jwt.PyJWS().encode(json.dumps(claims(**changes)).encode(), SECRET, "HS256")


async def test_a_token_ends_when_it_says_so() -> None:
    token = f"Bearer {signed(OURS, exp=2_000)}"
    assert await read(PUBLIC, token, now_s=1_999) == USER
    # Two clocks may differ a little.
    assert await read(PUBLIC, token, now_s=2_009) == USER
    assert await cause_of(PUBLIC, token, now_s=2_010) == "expired"


@pytest.mark.parametrize(
    "payload", [b"[]", b"{}", b"null", b"\xff\xfe", b"{" * 3_000, b'{"exp": 1e999}', b""]
)
async def test_signed_bytes_that_are_no_claims_are_refused(payload: bytes) -> None:
    token = jwt.PyJWS().encode(payload, OURS.private, "ES256", headers={"kid": OURS.kid})
    assert await cause_of(PUBLIC, f"Bearer {token}") == "not_a_user"


@pytest.mark.parametrize(
    "token",
    [
        forged({"alg": "none", "kid": "ours"}, key=None),
        forged({"alg": "None", "kid": "ours"}, key=None),
        # The public key is no secret: it must not serve as one.
        forged({"alg": "HS256", "kid": "ours"}, key=PEM),
        forged({"alg": "HS256", "kid": "ours"}, key=SECRET.encode()),
        forged({"alg": "RS256", "kid": "ours"}, key=PEM),
        forged({"kid": "ours"}, key=PEM),
        signed(SigningKey("ours")),
    ],
)
async def test_a_token_that_another_key_or_algorithm_signed_is_refused(token: str) -> None:
    assert await cause_of(PUBLIC, f"Bearer {token}") == "no_match"


@pytest.mark.parametrize(
    "token",
    [
        forged({"alg": "none"}, key=None),
        forged({"alg": "HS256"}, key=b"x" * 40),
        jwt.encode(claims(), SECRET, algorithm="HS512"),
        signed(OURS),
    ],
)
async def test_with_a_shared_secret_nothing_else_counts(token: str) -> None:
    assert await cause_of(SHARED, f"Bearer {token}") == "no_match"


async def test_a_token_that_was_changed_is_refused() -> None:
    head, payload, signature = signed(OURS).split(".")
    another = signed(OURS, sub=str(UUID(int=1))).split(".")[1]
    assert await cause_of(PUBLIC, f"Bearer {head}.{another}.{signature}") == "no_match"
    for cut in (signature[:-4], signature[:-3], signature + "AAAA", ""):
        cause = await cause_of(PUBLIC, f"Bearer {head}.{payload}.{cut}")
        assert cause in ("no_match", "unreadable")


async def test_a_good_token_of_far_too_many_bytes_is_refused() -> None:
    assert await read(PUBLIC, f"Bearer {signed(OURS, app_metadata='a' * 4_000)}") == USER
    large = signed(OURS, app_metadata="a" * TOKEN_BYTES_MAX)
    assert await cause_of(PUBLIC, f"Bearer {large}") == "unreadable"


@pytest.mark.parametrize("kid", [None, "another", "", "\n", "x" * 300])
async def test_a_token_must_name_its_key(kid: str | None) -> None:
    token = forged({"alg": "ES256"} | ({} if kid is None else {"kid": kid}), key=PEM)
    assert await cause_of(PUBLIC, f"Bearer {token}") in ("unreadable", "no_match")


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("", "missing"),
        ("Bearer", "unreadable"),
        ("Bearer ", "unreadable"),
        ("Basic dXNlcjpwYXNz", "unreadable"),
        ("Bearer abc", "unreadable"),
        ("Bearer a.b.c", "unreadable"),
        ("Bearer ...", "unreadable"),
        (f"Bearer {'a' * (TOKEN_BYTES_MAX + 1)}", "unreadable"),
        (b"Bearer \xff\xfe.\x00.\x80", "unreadable"),
        (f"Bearer {base64.urlsafe_b64encode(b'[' * 5_000).decode()}.e30.", "unreadable"),
        (f"Bearer {base64.urlsafe_b64encode(b'[1]').decode()}.e30.", "unreadable"),
    ],
)
async def test_a_header_that_is_no_token_is_refused(header: str | bytes, cause: str) -> None:
    assert await cause_of(PUBLIC, header) == cause


GOOD = f"Bearer {signed(OURS)}".encode()


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 40))
@example(b"", 0, 0)
async def test_any_bytes_are_a_refusal_and_never_an_error(
    inserted: bytes, at: int, removed: int
) -> None:
    for header in (b"Bearer " + inserted, GOOD[:at] + inserted + GOOD[at + removed :]):
        try:
            assert await read(PUBLIC, header) == USER
        except NotSignedIn:
            continue
