"""Signs as Apple does: a chain of certificates of our own, transactions and notifications.

The chain has Apple's curves and extensions, and ends in a root that only tests and the embedded
fleet trust. Its key is derived from public text: it is no secret, and proves nothing elsewhere.
"""

from __future__ import annotations

import json
import uuid
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha512
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLE_ID = "dev.coinfleet.app"
APP_APPLE_ID = 1_234_567_890
# By these extensions Apple marks the certificates that sign for the App Store.
ISSUER_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
LEAF_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.11.1")
_NULL = b"\x05\x00"
_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_UNTIL = datetime(2039, 1, 1, tzinfo=UTC)


def key_of(text: str, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    """Return the private key that belongs to a text."""
    return ec.derive_private_key(
        int.from_bytes(sha512(text.encode()).digest()[: curve.key_size // 8]) >> 1, curve
    )


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that signs, and the chain that stands in its header."""

    key: ec.EllipticCurvePrivateKey
    x5c: tuple[bytes, ...]
    """DER."""

    def sign(self, payload: Mapping[str, Any] | bytes, **header: Any) -> str:
        """Return a compact JWS; `header` adds fields to the protected header."""
        fields = {"alg": "ES256", "x5c": [b64encode(each).decode() for each in self.x5c], **header}
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        content = f"{encode(json.dumps(fields).encode())}.{encode(body)}"
        r, s = decode_dss_signature(self.key.sign(content.encode(), ec.ECDSA(SHA256())))
        return f"{content}.{encode(r.to_bytes(32) + s.to_bytes(32))}"


class Chain:
    """A root and what it issues; of one name always the same root key."""

    def __init__(self, name: str = "coinfleet development only") -> None:
        self._name = name
        self._key = key_of(f"{name}: root", ec.SECP384R1())
        subject = _named(f"{name} root")
        self._root = (
            _builder(subject, subject, self._key.public_key(), _FROM, _UNTIL)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, SHA384())
        )

    @property
    def root(self) -> bytes:
        """The root certificate, DER."""
        return self._root.public_bytes(Encoding.DER)

    def leaf(
        self,
        no: int = 1,
        *,
        valid_from: datetime = _FROM,
        valid_until: datetime = _UNTIL,
        leaf_is_marked: bool = True,
        issuer_is_marked: bool = True,
    ) -> Leaf:
        """Return a leaf; each `no` has a key and a header of its own."""
        issuer_key = key_of(f"{self._name}: issuer", ec.SECP384R1())
        builder = (
            _builder(
                _named(f"{self._name} issuer"),
                self._root.subject,
                issuer_key.public_key(),
                _FROM,
                _UNTIL,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if issuer_is_marked:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(ISSUER_MARK, _NULL), critical=False
            )
        issuer = builder.sign(self._key, SHA384())
        key = key_of(f"{self._name}: leaf {no}", ec.SECP256R1())
        builder = (
            _builder(
                _named(f"{self._name} leaf {no}"),
                issuer.subject,
                key.public_key(),
                valid_from,
                valid_until,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                critical=False,
            )
        )
        if leaf_is_marked:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(LEAF_MARK, _NULL), critical=False
            )
        leaf = builder.sign(issuer_key, SHA384())
        return Leaf(
            key, tuple(each.public_bytes(Encoding.DER) for each in (leaf, issuer, self._root))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleSigner:
    """Writes transactions and notifications of one app, as Apple words and signs them."""

    leaf: Leaf
    bundle_id: str = BUNDLE_ID
    app_apple_id: int = APP_APPLE_ID
    environment: str = "Production"

    def transaction(self, transaction_id: str, at: datetime, **fields: Any) -> dict[str, Any]:
        """Return a consumable's transaction as of `at`; None in `fields` leaves a field out."""
        whole = {
            "transactionId": transaction_id,
            "originalTransactionId": transaction_id,
            "bundleId": self.bundle_id,
            "productId": "coins_100",
            "purchaseDate": in_ms(at),
            "originalPurchaseDate": in_ms(at),
            "quantity": 1,
            "type": "Consumable",
            "inAppOwnershipType": "PURCHASED",
            "signedDate": in_ms(at),
            "environment": self.environment,
            "transactionReason": "PURCHASE",
            "storefront": "USA",
            "storefrontId": "143441",
            "price": 990,
            "currency": "USD",
            **fields,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def payload(
        self,
        notification_type: str,
        transaction: Mapping[str, Any] | None,
        at: datetime,
        *,
        subtype: str | None = None,
        event_id: str | None = None,
        **data: Any,
    ) -> dict[str, Any]:
        """Return a notification that is not signed yet; `data` adds to what it tells."""
        told = {
            "appAppleId": self.app_apple_id,
            "bundleId": self.bundle_id,
            "bundleVersion": "1",
            "environment": self.environment,
            **data,
        }
        if transaction is not None:
            told["signedTransactionInfo"] = self.leaf.sign(transaction)
        whole = {
            "notificationType": notification_type,
            "subtype": subtype,
            "notificationUUID": event_id or str(uuid.uuid4()),
            "data": {name: value for name, value in told.items() if value is not None},
            "version": "2.0",
            "signedDate": in_ms(at),
        }
        return {name: value for name, value in whole.items() if value is not None}

    def notify(
        self,
        notification_type: str,
        transaction: Mapping[str, Any] | None,
        at: datetime,
        **fields: Any,
    ) -> bytes:
        """Return the body of a webhook; `fields` are those of `payload`."""
        return self.body(self.payload(notification_type, transaction, at, **fields))

    def body(self, payload: Mapping[str, Any]) -> bytes:
        """Return the body of a webhook with this payload."""
        return json.dumps({"signedPayload": self.leaf.sign(payload)}).encode()

    def submission(self, transaction: Mapping[str, Any]) -> bytes:
        """Return what a client submits."""
        return json.dumps({"signed_transaction": self.leaf.sign(transaction)}).encode()


def in_ms(at: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def encode(content: bytes) -> str:
    """Return a part of a JWS."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    valid_from: datetime,
    valid_until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
