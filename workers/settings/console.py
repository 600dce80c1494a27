"""The settings of the console: where it listens, and how people prove who they are."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from workers.settings.sign_in import Address
from workers.settings.values import BaseAddress, ListenAddresses, PostgresAddress, console_secret


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
        raise ValueError("must be the name of a header, as Cf-Access-Jwt-Assertion")
    return value.lower()


HeaderName: TypeAlias = Annotated[str, AfterValidator(_header_name)]

_OF_A_PROXY = ("console_jwt_header", "console_jwks_url", "console_jwt_audience")


class ConsoleSettings(BaseModel):
    """People sign in at Supabase Auth, or a proxy has done it; embedded, by a printed link."""

    console_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_console."""
    console_host: ListenAddresses = "127.0.0.1"
    """Address that `console` listens on; 0.0.0.0 in a container, behind a proxy with TLS."""
    console_port: int = Field(default=8001, ge=1, le=65535)
    """Port that `console` listens on."""
    console_origin: BaseAddress | None = None
    """The address by which people open it, if that is a proxy's: https://console.example.com"""

    supabase_url: BaseAddress | None = None
    """The project where people sign in: https://<project>.supabase.co"""
    supabase_anon_key: str | None = Field(default=None, min_length=1)
    """The project's public key (anon, or publishable)."""
    console_jwt_header: HeaderName | None = None
    """The header into which an identity-aware proxy puts its token."""
    console_jwks_url: Address | None = None
    """Where the public keys of that proxy are."""
    console_jwt_audience: str | None = Field(default=None, min_length=1)
    """Whom a token of the proxy must be for; others may have tokens of the same proxy."""
    console_approval_aal: Literal["aal1", "aal2"] = "aal1"
    """`aal2`: whoever approves has signed in with a second factor."""
    console_link_secret: str | None = console_secret()
    """Signs the links that `coinfleet up` prints; it makes a new one at each start."""

    @model_validator(mode="after")
    def _ways_of_signing_in_are_whole(self) -> Self:
        if bool(self.supabase_url) != bool(self.supabase_anon_key):
            raise ValueError("SUPABASE_URL and SUPABASE_ANON_KEY: set both or neither")
        found = [name for name in _OF_A_PROXY if getattr(self, name)]
        if found and len(found) < len(_OF_A_PROXY):
            missing = ", ".join(name.upper() for name in _OF_A_PROXY if name not in found)
            raise ValueError(f"{missing}: missing, because {found[0].upper()} is set")
        return self

    @property
    def console_url(self) -> str:
        """The address by which people open the console."""
        if self.console_origin is not None:
            return self.console_origin
        host = self.console_host.split(",")[0]
        return f"http://{f'[{host}]' if ':' in host else host}:{self.console_port}"

    @property
    def is_console_secure(self) -> bool:
        """Whether cookies are sent over TLS only: everywhere but on this machine."""
        if self.console_origin is not None:
            return urlsplit(self.console_origin).scheme == "https"
        return self.console_host not in ("127.0.0.1", "::1", "localhost")
