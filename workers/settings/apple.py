"""Apple's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_settings import NoDecode

from workers.settings.values import (
    DEVELOPMENT,
    FOR_RECEIVING,
    TO_RECEIVE,
    CommaSeparated,
)

_BUNDLE_ID = re.compile(r"[A-Za-z0-9.-]{1,155}")
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


def _content(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(f"names a file that can't be read ({cause})") from None


Apps: TypeAlias = Annotated[Mapping[str, int] | None, NoDecode, BeforeValidator(_apps)]
RootCertificate: TypeAlias = Annotated[bytes, BeforeValidator(_certificate)]


def _to_receive(default: Any, *, development: str) -> Any:
    return Field(
        default=default,
        repr=False,
        json_schema_extra={TO_RECEIVE: True, FOR_RECEIVING: True, DEVELOPMENT: development},
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
