"""Which signed objects are Apple's, and of our apps: webhooks and what clients submit.

A header that is known costs a signature (0.2 ms per object), an unknown one a proof of its
certificates first (15 ms, on a thread). Looks nothing up. Never quotes a part of an object. Only a
process that receives Apple's events imports this module.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import msgspec

from tasks.providers.apple.jws import (
    CLAIMS,
    HEADER,
    decode,
    part_bytes,
    read_payload,
    take_apart,
)
from tasks.providers.apple.objects import (
    ENVIRONMENTS,
    PRODUCTION,
    SANDBOX,
    Envelope,
    Origin,
    TransactionOrigin,
)
from tasks.providers.signed import NotAuthentic, NotVerified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier

    from tasks.providers.apple.jws import Signed
    from tasks.providers.apple.signers import KnownSigners

_ENVELOPE = msgspec.json.Decoder(Envelope)
_TRANSACTION = msgspec.json.Decoder(TransactionOrigin)


class Verifier:
    """Proves signed objects of `apps`, which are Apple's ids of apps by bundle id.

    `roots` are Apple's root certificates, DER.
    """

    def __init__(
        self, *, apps: Mapping[str, int], roots: Sequence[bytes], signers: KnownSigners
    ) -> None:
        self._apps = apps
        self._roots = list(roots)
        self._signers = signers
        # One per app and environment; such a verifier holds no state but the roots.
        self._library = lru_cache(maxsize=64)(self._make_library)

    def is_known(self, text: str) -> bool:
        """Return whether a notification and its transaction need no proof of certificates."""
        try:
            if self._signers.find(take_apart(text).header) is None:
                return False
            data = read_payload(text, _ENVELOPE).data
            if data is None or data.signedTransactionInfo is None:
                return True
            inner = take_apart(data.signedTransactionInfo)
        except NotAuthentic:
            # What can't be read is refused before anything is proved.
            return True
        return self._signers.find(inner.header) is not None

    def check_notification(self, text: str, *, now_s: float) -> Envelope:
        """Return what a notification says of itself. Raises NotAuthentic or NotVerified."""
        payload = self._open(text, self._notification_check, now_s=now_s)
        envelope = decode(payload, _ENVELOPE)
        origin, environment = _origin(envelope)
        bundle_id = self._check_app(origin.bundleId, environment)
        # Apple's sandbox may leave the id of the app out.
        if environment == PRODUCTION and origin.appAppleId != self._apps[bundle_id]:
            raise NotAuthentic("no_match")
        if envelope.data is not None and envelope.data.signedTransactionInfo is not None:
            inner = self.check_transaction(envelope.data.signedTransactionInfo, now_s=now_s)
            if inner.bundleId != bundle_id or inner.environment != environment:
                raise NotAuthentic("no_match")
        return envelope

    def check_transaction(self, text: str, *, now_s: float) -> TransactionOrigin:
        """Return what a transaction says of itself. Raises NotAuthentic or NotVerified."""
        payload = self._open(text, self._transaction_check, now_s=now_s)
        transaction = decode(payload, _TRANSACTION)
        self._check_app(transaction.bundleId, transaction.environment)
        return transaction

    def _open(
        self, text: str, library_check: Callable[[Signed], Callable[[], object]], *, now_s: float
    ) -> bytes:
        """Return the payload that Apple has signed."""
        signed = take_apart(text)
        signer = self._signers.find(signed.header)
        if signer is None:
            header = decode(part_bytes(signed.header), HEADER)
            check = library_check(signed)
            signer = self._signers.learn(signed.header, header, lambda: _ask(check))
        payload = signer.open(signed)
        claims = decode(payload, CLAIMS)
        signed_ms = claims.signedDate
        if signed_ms is None:
            signed_ms = claims.receiptCreationDate
        # Judged by the time of the signature: Apple's history holds what old certificates signed.
        signed_s = int(now_s if signed_ms is None else signed_ms / 1_000)
        if not signer.valid_from_s <= signed_s <= signer.valid_until_s:
            raise NotAuthentic("no_match")
        is_over = claims.exp is not msgspec.UNSET and claims.exp <= now_s
        starts_s = (claims.nbf or 0, claims.iat or 0)
        if is_over or max(starts_s) > now_s or claims.aud:
            raise NotAuthentic("no_match")
        return payload

    def _check_app(self, bundle_id: str | None, environment: str | None) -> str:
        if bundle_id is None or bundle_id not in self._apps or environment not in ENVIRONMENTS:
            raise NotAuthentic("no_match")
        return bundle_id

    def _notification_check(self, signed: Signed) -> Callable[[], object]:
        """Return how the library checks a notification. Raises NotAuthentic for another app's."""
        origin, environment = _origin(read_payload(signed.text, _ENVELOPE))
        verifier = self._library_for(origin.bundleId, environment)
        return partial(verifier.verify_and_decode_notification, signed.text)

    def _transaction_check(self, signed: Signed) -> Callable[[], object]:
        """Return how the library checks a transaction. Raises NotAuthentic for another app's."""
        transaction = read_payload(signed.text, _TRANSACTION)
        verifier = self._library_for(transaction.bundleId, transaction.environment)
        return partial(verifier.verify_and_decode_signed_transaction, signed.text)

    def _library_for(self, bundle_id: str | None, environment: str | None) -> SignedDataVerifier:
        return self._library(self._check_app(bundle_id, environment), environment or "")

    def _make_library(self, bundle_id: str, environment: str) -> SignedDataVerifier:
        # Here, because it takes half a second to import, and is needed for new headers only.
        from appstoreserverlibrary.models.Environment import Environment  # noqa: PLC0415
        from appstoreserverlibrary.signed_data_verifier import (  # noqa: PLC0415
            SignedDataVerifier,
        )

        return SignedDataVerifier(
            self._roots,
            # Its online checks ask Apple about each certificate, and fail whenever Apple does.
            enable_online_checks=False,
            environment=Environment(environment),
            bundle_id=bundle_id,
            app_apple_id=self._apps[bundle_id],
        )


def _ask(check: Callable[[], object]) -> None:
    """Raise NotAuthentic if Apple's library refuses, NotVerified if it fails otherwise."""
    from appstoreserverlibrary.signed_data_verifier import (  # noqa: PLC0415
        VerificationException,
    )

    try:
        check()
    except VerificationException:
        raise NotAuthentic("no_match") from None
    except ExceptionGroup:
        # It gives the fields the types of its own classes only after it has verified the signature,
        # and raises their errors as a group. Our own types decide what such a field means.
        return
    except Exception:  # noqa: BLE001
        # From None: its message may hold a part of the object.
        raise NotVerified from None


def _origin(envelope: Envelope) -> tuple[Origin, str | None]:
    """Return what names the app, and the environment. Raises NotAuthentic."""
    for origin in (envelope.data, envelope.summary):
        if origin is not None:
            return origin, origin.environment
    if (token := envelope.externalPurchaseToken) is not None:
        # It names no environment but in its id.
        is_sandbox = (token.externalPurchaseId or "").startswith("SANDBOX")
        return token, SANDBOX if is_sandbox else PRODUCTION
    if envelope.appData is not None:
        return envelope.appData, envelope.appData.environment
    raise NotAuthentic("no_match")
