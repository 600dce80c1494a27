"""The settings for events that the app itself sends, and for what it is told."""

from __future__ import annotations

import base64
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, Field

from workers.settings.values import FOR_CALLS, CommaSeparated, HttpAddress, webhook_secrets


def _secret(value: str) -> str:
    """Check a secret of the Standard Webhooks specification, which asks for 24 to 64 bytes."""
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    # ValueError: a character that is none of ASCII.
    except ValueError:
        key = b""
    if not value.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError(
            "each must be whsec_ and the base64 of 24 to 64 bytes; write a comma between two"
        )
    return value


Secret: TypeAlias = Annotated[str, AfterValidator(_secret)]
_DEVELOPMENT_KEY = b"coinfleet, for development only!"


class AppSettings(BaseModel):
    """What the app's folder in tasks/providers is built from."""

    app_webhook_secrets: Annotated[tuple[Secret, ...], *CommaSeparated] = webhook_secrets(
        development="whsec_" + base64.b64encode(_DEVELOPMENT_KEY).decode()
    )
    """`whsec_<base64>`, comma-separated; several while one is being replaced."""
    app_events_url: HttpAddress | None = Field(default=None, repr=False)
    """Where the app is told what becomes of gifts and purchases; if unset, it is told nothing."""
    app_events_secrets: Annotated[tuple[Secret, ...], *CommaSeparated] = Field(
        default=(), repr=False, json_schema_extra={FOR_CALLS: False}
    )
    """With which each message to the app is signed; two while one is being replaced."""
