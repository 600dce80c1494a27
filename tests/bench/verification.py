"""Rows 9 and 10: what it costs to verify Apple's notifications and Google's pushes.

Each stands beside the store's own library.

CPU time of this process alone; no server takes part. A notification of Apple's has two signatures,
a push of Google's one, in a token that Pub/Sub sends with many.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

import google.auth.jwt
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier

from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.google.certificates import read_certificate
from tests.bench.measurements import Budget, Row, Sample, interleave
from workers.mock_providers.apple_signer import APP_APPLE_ID, BUNDLE_ID, AppleSigner, Chain
from workers.mock_providers.google import AUDIENCE, PACKAGE, PUSH_EMAIL, push_of
from workers.mock_providers.google.keys import signing_key
from workers.mock_providers.google.pushes import signed_token

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_BUDGET = Budget(0.5, at_most=True, unit="ms")
COLD_BUDGET = Budget(1.5, at_most=True)
KNOWN_TOKEN_BUDGET = Budget(0.5, at_most=True)
NEW_TOKEN_BUDGET = Budget(1.5, at_most=True)
ROUNDS = 40


def sides(chain: Chain) -> tuple[Callable[[], object], Callable[[], object], Callable[[], object]]:
    """Return what verifies one notification: the library, we with a new header, and a known one."""
    at = datetime.now(UTC)
    signer = AppleSigner(leaf=chain.leaf())
    body = signer.notify("ONE_TIME_CHARGE", signer.transaction("1", at), at)
    jws = json.loads(body)["signedPayload"]
    library = SignedDataVerifier(
        [chain.root],
        enable_online_checks=False,
        environment=Environment.PRODUCTION,
        bundle_id=BUNDLE_ID,
        app_apple_id=APP_APPLE_ID,
    )

    def by_library() -> object:
        told = library.verify_and_decode_notification(jws)
        assert told.data is not None
        assert told.data.signedTransactionInfo is not None
        return library.verify_and_decode_signed_transaction(told.data.signedTransactionInfo)

    def new() -> Apple:
        return Apple(apps={BUNDLE_ID: APP_APPLE_ID}, root_certificates=[chain.root])

    def verify(apple: Apple) -> object:
        assert apple.is_slow(body, {}) is not (apple is known)
        return apple.verify(body, {}, now_s=at.timestamp())

    known = new()
    known.verify(body, {}, now_s=at.timestamp())
    return by_library, lambda: verify(new()), lambda: verify(known)


async def measure(*, pairs: int, rounds: int = ROUNDS) -> list[Row]:
    """Compare the library with a header that is new, and with one that is known."""
    by_library, cold, warm = sides(Chain("bench"))

    reference = _sample(by_library, rounds)
    with_new = await interleave(_sample(cold, rounds), reference, pairs=pairs)
    with_known = await interleave(_sample(warm, rounds), reference, pairs=pairs)
    what = "Apple: a notification verified, its header"
    cold_row = Row.of_ratio(9, f"{what} new", with_new, budget=COLD_BUDGET, unit="µs")
    warm_row = Row(
        9,
        f"{what} known",
        median(with_known.ours) / 1_000,
        WARM_BUDGET,
        f"{median(with_known.ours):,.0f} µs",
        f"{median(with_known.reference):,.0f} µs",
    )
    return [warm_row, cold_row, *await measure_google(pairs=pairs, rounds=rounds)]


def google_sides() -> tuple[Callable[[], object], Callable[[], object], Callable[[], object]]:
    """Return what verifies one push: the library, we with a new token, and a known one."""
    key, now_s = signing_key("current"), time.time()
    token = signed_token(key)
    body = push_of({"packageName": PACKAGE, "eventTimeMillis": "1", "testNotification": {}})
    headers = {b"authorization": b"Bearer " + token.encode()}
    certificates = {key.kid: key.certificate}

    def by_library() -> object:
        # It neither looks at the issuer nor at the e-mail address, nor at the body.
        return google.auth.jwt.decode(  # type: ignore[no-untyped-call]
            token, certs=certificates, audience=AUDIENCE
        )

    known = Google(push_audience=AUDIENCE, push_email=PUSH_EMAIL)
    tokens = known._tokens
    assert tokens is not None
    certificate = read_certificate(key.certificate)
    assert certificate is not None
    tokens._certificates._certificates = {key.kid: certificate}
    tokens._certificates._fresh_until = float("inf")

    def verify() -> object:
        assert not known.is_slow(body, headers)
        return known.verify(body, headers, now_s=now_s)

    def verify_new() -> object:
        tokens._good.clear()
        return verify()

    return by_library, verify_new, verify


async def measure_google(*, pairs: int, rounds: int) -> list[Row]:
    """Compare the library with a token that is new, and with one that is known."""
    by_library, new, known = google_sides()
    reference = _sample(by_library, rounds)
    with_new = await interleave(_sample(new, rounds), reference, pairs=pairs)
    with_known = await interleave(_sample(known, rounds), reference, pairs=pairs)
    what = "Google: a push verified, its token"
    return [
        Row.of_ratio(10, f"{what} known", with_known, budget=KNOWN_TOKEN_BUDGET, unit="µs"),
        Row.of_ratio(10, f"{what} new", with_new, budget=NEW_TOKEN_BUDGET, unit="µs"),
    ]


def _sample(verify: Callable[[], object], rounds: int) -> Sample:
    async def taken() -> float:
        began = time.process_time()
        for _ in range(rounds):
            verify()
        return (time.process_time() - began) / rounds * 1e6

    return taken
