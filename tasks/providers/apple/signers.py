"""Who signs for Apple: a protected header is proved once, by Apple's own library.

A header that was proved is remembered with its key, because the proof costs 15 ms of CPU and a
signature 0.13 ms. What is refused is not remembered, so nobody can fill the memory; how many proofs
are made per second is bounded instead.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections import OrderedDict
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tasks.providers.apple.jws import part_bytes
from tasks.providers.signed import NotAuthentic, NotVerified

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.providers.apple.jws import Header, Signed

# Apple uses one header for months, and two while it replaces a certificate.
HEADERS_MAX = 32
PROOFS_AT_ONCE = 2
# At 15 ms each, a third of a core.
PROOFS_PER_S = 20.0
PROOFS_IN_A_ROW = 20.0
# r and s of the curve P-256.
SIGNATURE_BYTES = 64


class Signer(NamedTuple):
    """The key of a proved header, and the time within which all its certificates are valid."""

    key: ec.EllipticCurvePublicKey
    valid_from_s: float
    valid_until_s: float

    def open(self, signed: Signed) -> bytes:
        """Return the payload if this key has signed it. Raises NotAuthentic."""
        signature = part_bytes(signed.signature)
        if len(signature) != SIGNATURE_BYTES:
            raise NotAuthentic("unreadable")
        half = SIGNATURE_BYTES // 2
        as_der = encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
        content = f"{signed.header}.{signed.payload}".encode()
        try:
            self.key.verify(as_der, content, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise NotAuthentic("no_match") from None
        return part_bytes(signed.payload)


class KnownSigners:
    """The headers that were proved lately, of any app and environment. Safe on several threads.

    `roots` are Apple's root certificates, DER; `clock` is in seconds.
    """

    def __init__(
        self, *, roots: Sequence[bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._roots = [x509.load_der_x509_certificate(root) for root in roots]
        self._clock = clock
        self._lock = Lock()
        self._known: OrderedDict[str, Signer] = OrderedDict()
        self._at_work = BoundedSemaphore(PROOFS_AT_ONCE)
        self._left = PROOFS_IN_A_ROW
        self._counted_at = clock()

    def find(self, header: str) -> Signer | None:
        """Return the signer of a header, as it was sent; None if it must be proved first."""
        with self._lock:
            signer = self._known.get(header)
            if signer is not None:
                self._known.move_to_end(header)
            return signer

    def learn(self, text: str, header: Header, prove: Callable[[], None]) -> Signer:
        """Return the signer of a header after `prove`, which raises unless Apple has signed.

        Takes 15 ms: not for an event loop. Raises what `prove` raises, and NotVerified if too many
        headers are to be proved.
        """
        if not self._at_work.acquire(blocking=False):
            raise NotVerified
        try:
            self._count()
            prove()
        finally:
            self._at_work.release()
        signer = self._read(header)
        with self._lock:
            self._known[text] = signer
            if len(self._known) > HEADERS_MAX:
                self._known.popitem(last=False)
        return signer

    def _count(self) -> None:
        """Take one of the proofs that this moment allows. Raises NotVerified."""
        with self._lock:
            now = self._clock()
            gained = (now - self._counted_at) * PROOFS_PER_S
            self._counted_at = now
            self._left = min(PROOFS_IN_A_ROW, self._left + gained)
            if self._left < 1:
                raise NotVerified
            self._left -= 1

    def _read(self, header: Header) -> Signer:
        """Return the key and the validity of certificates that were proved."""
        leaf, issuer = (
            x509.load_der_x509_certificate(b64decode(each, validate=True))
            for each in header.x5c[:2]
        )
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise NotAuthentic("no_match")
        roots = [root for root in self._roots if root.subject == issuer.issuer]
        chain = [leaf, issuer, *roots]
        return Signer(
            key,
            max(each.not_valid_before_utc.timestamp() for each in chain),
            min(each.not_valid_after_utc.timestamp() for each in chain),
        )
