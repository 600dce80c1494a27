"""Google Play's settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel

from tasks.providers.base_address import check_address
from workers.settings.values import BaseAddress, CommaSeparated, api_key, needed_to_receive

_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")
_EMAIL = re.compile(r"[^@\s,]{1,128}@[A-Za-z0-9.-]{1,128}")
_FIELDS = ("client_email", "private_key", "token_uri")


def _package(value: str) -> str:
    if not _PACKAGE.fullmatch(value):
        raise ValueError("each must be a package name, as com.example.app; write commas between")
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
    return value


PackageName: TypeAlias = Annotated[str, AfterValidator(_package)]
Email: TypeAlias = Annotated[str, AfterValidator(_email)]
Address: TypeAlias = Annotated[str, AfterValidator(check_address)]
AccountFile: TypeAlias = Annotated[Path, AfterValidator(_account_file)]


class GoogleSettings(BaseModel):
    """What Google's folder in tasks/providers is built from."""

    google_packages: Annotated[tuple[PackageName, ...], *CommaSeparated] = needed_to_receive(())
    """Package names of the apps whose purchases count, comma-separated."""
    google_push_audience: str | None = needed_to_receive()
    """The audience of the push subscription, as it is set at Google."""
    google_push_email: Email | None = needed_to_receive()
    """The service account that signs pushes, as it is set at Google."""
    google_certificates_url: Address = "https://www.googleapis.com/oauth2/v1/certs"
    """Where Google's certificates are; another address is for tests."""
    google_service_account_file: AccountFile | None = api_key()
    """The key, in JSON, of the account that reads and consumes purchases; without it they wait."""
    google_api_base: BaseAddress = "https://androidpublisher.googleapis.com"
    """Where Google's API is; another address is for tests."""
    google_fetch_price: bool = False
    """True asks for the price of each purchase too, which needs the right to see financial data."""
