"""Apple's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from workers.settings.values import (
    DEVELOPMENT,
    TO_RECEIVE,
    BaseAddress,
    CommaSeparated,
    api_key,
)

_BUNDLE_ID = re.compile(r"[A-Za-z0-9.-]{1,155}")
_ISSUER_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_KEY_ID = re.compile(r"[A-Z0-9]{8,20}")
FILE_BYTES_MAX = 65_536
# The root of the chain that workers/mock_providers/apple_signer.py makes.
DEVELOPMENT_ROOT = Path(__file__).with_name("apple_development_root.pem")


class App(msgspec.Struct, forbid_unknown_fields=True):
    """One of the platform's apps, as APPLE_APPS names it."""

    bundle_id: str
    app_apple_id: int


_APPS = msgspec.json.Decoder(list[App])


def _apps(value: object) -> object:
    """Return Apple's ids of apps by bundle id."""
    if not isinstance(value, str):
        return value
    try:
        apps = _APPS.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        apps = []
    by_bundle_id = {app.bundle_id: app.app_apple_id for app in apps}
    if not apps or not all(
        _BUNDLE_ID.fullmatch(app.bundle_id) and app.app_apple_id > 0 for app in apps
    ):
        raise ValueError(
            'must be JSON: [{"bundle_id": "com.example.app", "app_apple_id": 1234567890}]; the id'
            " is the Apple ID of the app's page in App Store Connect"
        )
    if len(by_bundle_id) < len(apps):
        raise ValueError("names a bundle id twice")
    return by_bundle_id


def _certificate(value: object) -> object:
    """Return the certificate of a file, DER."""
    if not isinstance(value, str):
        return value
    # Here, because it takes long to import, and only Apple needs it.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    content = _content(value)
    is_pem = content.lstrip().startswith(b"-----BEGIN")
    try:
        found = (
            x509.load_pem_x509_certificate(content)
            if is_pem
            else x509.load_der_x509_certificate(content)
        )
    except ValueError:
        raise ValueError("names a file that holds no certificate (DER or PEM)") from None
    return found.public_bytes(Encoding.DER)


def _private_key(value: str) -> str:
    """Return the private key of a file, PEM, as App Store Connect gives it once."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )

    content = _content(value)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ValueError("names a file that holds no key as App Store Connect gives it (.p8)")
    return content.decode()


def _content(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(f"names a file that can't be read ({cause})") from None


def _issuer_id(value: str) -> str:
    if not _ISSUER_ID.fullmatch(value):
        raise ValueError("must be a uuid, as App Store Connect shows it above the keys")
    return value


def _key_id(value: str) -> str:
    if not _KEY_ID.fullmatch(value):
        raise ValueError("must be the 10 capital letters and digits that name the key")
    return value


Apps: TypeAlias = Annotated[Mapping[str, int] | None, NoDecode, BeforeValidator(_apps)]
RootCertificate: TypeAlias = Annotated[bytes, BeforeValidator(_certificate)]
PrivateKey: TypeAlias = Annotated[str, AfterValidator(_private_key)]
IssuerId: TypeAlias = Annotated[str, AfterValidator(_issuer_id)]
KeyId: TypeAlias = Annotated[str, AfterValidator(_key_id)]


def _to_receive(default: Any, *, development: str) -> Any:
    return Field(
        default=default,
        repr=False,
        # No secret: a worker verifies what Apple lists.
        json_schema_extra={TO_RECEIVE: True, DEVELOPMENT: development},
    )


class AppleSettings(BaseModel):
    """What Apple's folder in tasks/providers is built from."""

    apple_apps: Apps = _to_receive(
        None, development='[{"bundle_id": "dev.coinfleet.app", "app_apple_id": 1234567890}]'
    )
    """Apple's id of each of our apps, by its bundle id."""
    apple_root_certificates: Annotated[tuple[RootCertificate, ...], *CommaSeparated] = _to_receive(
        (), development=str(DEVELOPMENT_ROOT)
    )
    """Files with Apple's root certificates, DER or PEM; their content once they are read."""
    apple_issuer_id: IssuerId | None = api_key()
    """Who the key belongs to, as App Store Connect shows it."""
    apple_key_id: KeyId | None = api_key()
    """The name of the key."""
    apple_private_key_file: PrivateKey | None = api_key()
    """The file of the key; its content once it is read. Without it no missed event is found."""
    apple_api_base: BaseAddress = "https://api.storekit.apple.com"
    """Where the API is; another address is for tests."""
    apple_sandbox_api_base: BaseAddress = "https://api.storekit-sandbox.apple.com"
    """The same for Apple's sandbox."""
    apple_customers_consented: bool = False
    """Whether customers agreed that Apple is told what became of their purchases."""

    @model_validator(mode="after")
    def _key_is_whole(self) -> Self:
        parts = {
            "APPLE_ISSUER_ID": self.apple_issuer_id,
            "APPLE_KEY_ID": self.apple_key_id,
            "APPLE_PRIVATE_KEY_FILE": self.apple_private_key_file,
        }
        missing = [name for name, value in parts.items() if value is None]
        if missing and len(missing) < len(parts):
            given = ", ".join(name for name in parts if name not in missing)
            raise ValueError(f"{', '.join(missing)}: missing, and {given} is set")
        return self
