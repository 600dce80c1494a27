"""Keys that the mock of Google signs with, and the key of a service account that may ask it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT_FILE = "google_service_account.json"
ACCOUNT_EMAIL = "coinfleet@example.iam.gserviceaccount.com"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, its id, and its certificate as PEM text."""

    kid: str
    private: rsa.RSAPrivateKey
    certificate: str


@cache
def signing_key(kid: str, *, ends_in: timedelta = timedelta(days=14)) -> SigningKey:
    """Return the key with this id; making one takes a tenth of a second, so it is made once."""
    private = rsa.generate_private_key(65_537, 2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + ends_in)
        .sign(private, hashes.SHA256())
    )
    return SigningKey(kid, private, certificate.public_bytes(Encoding.PEM).decode())


@cache
def account_key() -> rsa.RSAPrivateKey:
    """Return the private key of the service account."""
    return rsa.generate_private_key(65_537, 2_048)


def read_account_key(folder: Path) -> rsa.RSAPublicKey:
    """Return the public key of the service account whose file is in the folder."""
    told = json.loads((folder / ACCOUNT_FILE).read_text())
    private = load_pem_private_key(told["private_key"].encode(), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)  # noqa: S101 - for the type checker
    return private.public_key()


def account_file(folder: Path, base: str) -> Path:
    """Write the key of the service account, as the Google Cloud console gives it; return where."""
    private = account_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "example",
        "private_key_id": "0123456789abcdef",
        "private_key": private.decode(),
        "client_email": ACCOUNT_EMAIL,
        "client_id": "1234567890",
        "token_uri": f"{base}/token",
    }
    path = folder / ACCOUNT_FILE
    path.touch(mode=0o600)
    path.write_text(json.dumps(account))
    return path
