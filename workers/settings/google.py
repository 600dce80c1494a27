"""Google Play's settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, model_validator

from tasks.providers.base_address import check_address
from workers.settings.values import DEVELOPMENT, TO_RECEIVE, BaseAddress, CommaSeparated, api_key

_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_EMAIL = re.compile(r"[^@\s,]{1,128}@[A-Za-z0-9.-]{1,128}")
_SUBSCRIPTION = re.compile(r"projects/[A-Za-z0-9:.-]{1,128}/subscriptions/[A-Za-z0-9._~+%-]{3,255}")
_FIELDS = ("client_email", "private_key", "token_uri")


def _package(value: str) -> str:
    if not _PACKAGE.fullmatch(value):
        raise ValueError("each must be a package name, as com.example.app; write commas between")
    return value


def _audience(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("must be the audience of the push subscription, without blanks")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be the e-mail address of the service account that signs pushes")
    return value


def _account_file(value: Path) -> Path:
    """Check the file of a service account; nothing of it stands in an error."""
    try:
        account = json.loads(value.read_text())
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise ValueError(f"names a file that can't be read ({cause})") from None
    except (ValueError, RecursionError):
        account = None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise ValueError("names a file that is no key of a service account in JSON")
    for field in _FIELDS:
        if not account.get(field):
            raise ValueError(f"names a file without {field}")
    try:
        check_address(str(account["token_uri"]))
    except ValueError as error:
        raise ValueError(f"names a file whose token_uri {error}") from None
    # Here, because it takes long to import, and only a process with the key needs it.
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )

    try:
        load_pem_private_key(str(account["private_key"]).encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("names a file whose private_key can't be read") from None
    return value


def _subscription(value: str) -> str:
    if not _SUBSCRIPTION.fullmatch(value):
        raise ValueError("must be projects/<project>/subscriptions/<name>")
    return value


PackageName: TypeAlias = Annotated[str, AfterValidator(_package)]
Audience: TypeAlias = Annotated[str, AfterValidator(_audience)]
Email: TypeAlias = Annotated[str, AfterValidator(_email)]
SubscriptionName: TypeAlias = Annotated[str, AfterValidator(_subscription)]
Address: TypeAlias = Annotated[str, AfterValidator(check_address)]
AccountFile: TypeAlias = Annotated[Path, AfterValidator(_account_file)]


def _to_receive(default: Any, *, development: str) -> Any:
    # No secret: what a push proves is whose token it carries.
    return Field(
        default=default, repr=False, json_schema_extra={TO_RECEIVE: True, DEVELOPMENT: development}
    )


class GoogleSettings(BaseModel):
    """What Google's folder in tasks/providers is built from."""

    google_packages: Annotated[tuple[PackageName, ...], *CommaSeparated] = _to_receive(
        (), development="dev.coinfleet.app"
    )
    """Package names of the apps whose purchases count, comma-separated."""
    google_push_audience: Audience | None = _to_receive(
        None, development="https://coinfleet.example/pushes"
    )
    """The audience of the push subscription, as it is set at Google."""
    google_push_email: Email | None = _to_receive(None, development="pushes@coinfleet.example")
    """The service account that signs pushes, as it is set at Google."""
    google_certificates_url: Address = "https://www.googleapis.com/oauth2/v1/certs"
    """Where Google's certificates are; another address is for tests."""
    google_service_account_file: AccountFile | None = api_key()
    """The key, in JSON, of the account that reads and consumes purchases; without it they wait."""
    google_api_base: BaseAddress = "https://androidpublisher.googleapis.com"
    """Where Google's API is; another address is for tests."""
    google_fetch_price: bool = False
    """True asks for the price of each purchase too, which needs the right to see financial data."""
    google_push_subscription: SubscriptionName | None = None
    """The push subscription, which `coinfleet doctor` looks at."""
    google_pubsub_base: BaseAddress = "https://pubsub.googleapis.com"
    """Where Pub/Sub's API is, which only `coinfleet doctor` asks; another address is for tests."""

    @model_validator(mode="after")
    def _account_has_apps(self) -> Self:
        # Without them nobody would miss the voids that are never read.
        if self.google_service_account_file and not self.google_packages:
            raise ValueError(
                "GOOGLE_PACKAGES: must name the apps whose purchases the account of"
                " GOOGLE_SERVICE_ACCOUNT_FILE reads"
            )
        return self
