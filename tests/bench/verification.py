"""Row 9: what it costs to verify a notification of Apple's, beside Apple's own library.

CPU time of this process alone; no server takes part. Each notification has two signatures.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier

from tasks.providers.apple import Apple
from tests.bench.measurements import Budget, Row, Sample, interleave
from workers.mock_providers.apple_signer import APP_APPLE_ID, BUNDLE_ID, AppleSigner, Chain

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_BUDGET = Budget(0.5, at_most=True, unit="ms")
COLD_BUDGET = Budget(1.5, at_most=True)
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

    def sample(verify: Callable[[], object]) -> Sample:
        async def taken() -> float:
            began = time.process_time()
            for _ in range(rounds):
                verify()
            return (time.process_time() - began) / rounds * 1e6

        return taken

    reference = sample(by_library)
    with_new = await interleave(sample(cold), reference, pairs=pairs)
    with_known = await interleave(sample(warm), reference, pairs=pairs)
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
    return [warm_row, cold_row]
