"""Apple's own library as the judge: on mutated notifications it and the provider agree.

A mutated payload is signed anew by the trusted leaf, or by a bad one, or not at all, so that each
step of the verification meets each fault.
"""

from __future__ import annotations

import json
import random
from base64 import b64encode, urlsafe_b64decode
from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier, VerificationException
from cattrs.errors import BaseValidationError

from tasks.providers.signed import NotAuthentic, NotVerified
from tests.tasks.providers.apple.apps import AT, NOW_S, chain, leaf, new_apple, signer
from workers.mock_providers.apple_signer import APP_APPLE_ID, BUNDLE_ID, encode, in_ms

if TYPE_CHECKING:
    from tasks.providers.apple import Apple
    from workers.mock_providers.apple_signer import Leaf

VALUES: list[Any] = [
    None, "", "x", "Sandbox", "Production", "Xcode", "LocalTesting", BUNDLE_ID, BUNDLE_ID.upper(),
    APP_APPLE_ID, str(APP_APPLE_ID), 0, -1, 1.5, 2**63, 2**70, True, [], {}, ["x"], {"x": 1},
    in_ms(AT), in_ms(AT) + 0.5, in_ms(AT) * 1_000, 1, "a\u0000b", "\ud800",
]  # fmt: skip
FIELDS = [
    "notificationType", "subtype", "notificationUUID", "signedDate", "version", "data", "summary",
    "externalPurchaseToken", "appData", "exp", "nbf", "iat", "aud", "sub", "jti",
]  # fmt: skip
DATA_FIELDS = ["appAppleId", "bundleId", "environment", "status", "signedTransactionInfo"]
HOLDERS = ["data", "summary", "externalPurchaseToken", "appData"]
TIMES = ["exp", "nbf", "iat", "signedDate", "receiptCreationDate"]
INNER_FIELDS = [
    "bundleId", "environment", "transactionId", "signedDate", "quantity", "type", "price", "exp",
    "revocationPercentage", "appAccountToken", "inAppOwnershipType", "receiptCreationDate",
]  # fmt: skip


class Oracle:
    """Apple's library for our app, in both environments."""

    def __init__(self) -> None:
        self._of = [
            SignedDataVerifier(
                [chain().root],
                enable_online_checks=False,
                environment=each,
                bundle_id=BUNDLE_ID,
                app_apple_id=APP_APPLE_ID,
            )
            for each in (Environment.PRODUCTION, Environment.SANDBOX)
        ]

    def verdict(self, jws: str) -> str:
        """Return `accepted`, `refused`, or `type`: it is signed, and its classes don't take it."""
        found = {self._verdict(verifier, jws) for verifier in self._of}
        return next(each for each in ("accepted", "type", "refused") if each in found)

    def _verdict(self, verifier: SignedDataVerifier, jws: str) -> str:
        try:
            told = verifier.verify_and_decode_notification(jws)
            if told.data and told.data.signedTransactionInfo is not None:
                verifier.verify_and_decode_signed_transaction(told.data.signedTransactionInfo)
        except VerificationException:
            return "refused"
        except BaseValidationError:
            return "type"
        return "accepted"


def mutate(dice: random.Random, bad: list[Leaf]) -> str:
    """Return a notification with up to three faults, of which some do no harm."""
    outer_leaf = dice.choice([leaf(), leaf(), leaf(), *bad])
    inner_leaf = dice.choice([leaf(), leaf(), leaf(2), *bad])
    environment = dice.choice(["Production", "Sandbox"])
    inner = signer(environment).transaction("1", AT)
    payload = signer(environment).payload("REFUND", None, AT)
    for _ in range(dice.choice([0, 1, 1, 2, 3])):
        target, names = dice.choice(
            [(payload, FIELDS), (payload.get("data"), DATA_FIELDS), (inner, INNER_FIELDS)]
        )
        if not isinstance(target, dict):
            continue
        name = dice.choice([*names, *target])
        if dice.random() < 0.3:
            target.pop(name, None)
        else:
            target[name] = deepcopy(dice.choice(VALUES))
    data = payload.get("data")
    if isinstance(data, dict) and dice.random() < 0.8:
        data.setdefault("signedTransactionInfo", inner_leaf.sign(inner))
    jws = outer_leaf.sign(payload)
    return damage(dice, jws) if dice.random() < 0.2 else jws


def damage(dice: random.Random, jws: str) -> str:
    """Return the object with a character changed, removed or added, or under another header."""
    at = dice.randrange(len(jws))
    match dice.randrange(4):
        case 0:
            return jws[:at] + dice.choice("Aa0-_.=+/ ") + jws[at + 1 :]
        case 1:
            return jws[:at] + jws[at + dice.choice([1, 2, 50]) :]
        case 2:
            return jws[:at] + dice.choice("Aa0-_.=+/ ") + jws[at:]
        case _:
            x5c = [b64encode(each).decode() for each in leaf().x5c]
            fields = {"alg": dice.choice(["none", "HS256", "ES384", "ES256"]), "x5c": x5c}
            return ".".join([encode(json.dumps(fields).encode()), *jws.split(".")[1:]])


def verdict(apple: Apple, jws: str) -> str:
    """Return what the provider says of a notification."""
    body = json.dumps({"signedPayload": jws}).encode()
    try:
        apple.verify(body, {}, now_s=NOW_S)
    except NotAuthentic:
        return "refused"
    except NotVerified:
        return "later"
    return "accepted"


def compare(seed: int, count: int) -> None:
    """Compare the verdicts of a provider that knows the leaves, and now and then of a new one."""
    dice = random.Random(seed)
    oracle, known = Oracle(), new_apple()
    for each in (leaf(), leaf(2)):
        known.verify(signer(of=each).notify("TEST", None, AT), {}, now_s=NOW_S)
    bad = [leaf(1, "foreign"), chain().leaf(7, leaf_is_marked=False)]
    counts = Counter[str]()
    for no in range(count):
        jws = mutate(dice, bad)
        expected = oracle.verdict(jws)
        found = verdict(known if no % 4 else new_apple(), jws)
        # Proofs of unknown headers are few per second; the question here is only what they say.
        if found == "later":
            found = verdict(new_apple(), jws)
        counts[expected] += 1
        if expected == "type" or (expected == "accepted" and is_lenient(jws)):
            continue
        assert found == expected, describe(jws)
    assert min(counts["accepted"], counts["refused"]) > count / 10


def is_lenient(jws: str) -> bool:
    """Return whether Apple's library passes over a value that no payload of Apple's has."""
    payload = read(jws)
    data = payload.get("data")
    parts = [payload]
    if isinstance(data, dict) and isinstance(data.get("signedTransactionInfo"), str):
        parts.append(read(data["signedTransactionInfo"]))
    # Another alphabet; half of a character; a time that is no number; an id of the app with
    # decimals; something else where an object belongs, or two of which Apple writes one.
    return (
        not set("=+/ ").isdisjoint(jws)
        or "\\ud800" in json.dumps(parts)
        or any(type(each.get(name, 0)) not in {int, float} for each in parts for name in TIMES)
        or (isinstance(data, dict) and type(data.get("appAppleId", 0)) is not int)
        or any(not isinstance(payload.get(name) or {}, dict) for name in HOLDERS)
        or sum(payload.get(name) is not None for name in HOLDERS) > 1
        or any(payload.get(name) in ("", [], 0) for name in HOLDERS)
    )


def describe(jws: str) -> str:
    """Return what a notification says, for the message of a failure."""
    try:
        return json.dumps(read(jws))
    except ValueError:
        return jws


def read(jws: str) -> dict[str, Any]:
    """Return the payload of an object."""
    part = jws.split(".")[1]
    found = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(found, dict)
    return found


def test_apples_library_agrees_on_mutated_notifications() -> None:
    compare(seed=1, count=120)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_apples_library_agrees_on_a_thousand_mutated_notifications(seed: int) -> None:
    compare(seed=100 + seed, count=1_000)
