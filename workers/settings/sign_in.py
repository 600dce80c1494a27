"""The settings of the app's sign-in: what proves whose access token a client sends."""

from __future__ import annotations

import re
from typing import Annotated, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from tasks.providers.base_address import check_base_address
from workers.settings.values import receiving_secret

# HMAC with SHA-256 asks for a key of at least its own length; Supabase's have 40 bytes or more.
SECRET_BYTES_MIN = 32
_QUOTES = "\"'`"
# No secret, but a line of a file of settings, or a place where a secret was to be put.
_NOT_A_SECRET = re.compile(r"(export\s|set\s|[A-Z][A-Z0-9_]*=[^=]|\$[A-Z{(]|<.*>$)")


def _address(value: str) -> str:
    """Check an address whose origin is https or loopback, without an account or a fragment."""
    value = value.strip()
    if not value.isprintable() or " " in value or "#" in value:
        raise ValueError("has a blank or a # in it")
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("must be an address, as https://x.supabase.co/auth/v1/…") from None
    check_base_address(f"{parts.scheme}://{parts.netloc}")
    return value


def _secret(value: str) -> str:
    if not value.isascii():
        raise ValueError("has a character that is none of ASCII: copy it anew")
    if len(value) < SECRET_BYTES_MIN:
        raise ValueError(f"must have at least {SECRET_BYTES_MIN} characters, as Supabase shows it")
    # All of it is the key: with one character too many it is another key, and no token matches.
    if not value.isprintable() or value != value.strip() or value[0] in _QUOTES:
        raise ValueError(
            "must be the secret alone, as Supabase shows it, without a line break, blanks or"
            " quotation marks around it"
        )
    if _NOT_A_SECRET.match(value):
        raise ValueError("must be the secret alone, not a line of a file of settings")
    return value


Address: TypeAlias = Annotated[str, AfterValidator(_address)]
Secret: TypeAlias = Annotated[str, AfterValidator(_secret)]


class SignInSettings(BaseModel):
    """Where the keys of access tokens are; with none of the two no client's purchase is taken."""

    supabase_jwks_url: Address | None = None
    """The project's public keys: https://<project>.supabase.co/auth/v1/.well-known/jwks.json"""
    supabase_jwt_secret: Secret | None = receiving_secret(
        development="coinfleet, for development only, signs tokens of nobody",
        in_place_of="SUPABASE_JWKS_URL",
    )
    """The legacy secret of a project that still signs with it (HS256)."""
    supabase_jwt_audience: str = Field(default="authenticated", min_length=1)
    """Whom an access token must be for."""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if self.supabase_jwks_url and self.supabase_jwt_secret:
            raise ValueError(
                "SUPABASE_JWT_SECRET: leave it unset where SUPABASE_JWKS_URL is set,"
                " because whoever knows it could sign in as anybody"
            )
        return self
