"""Stripe's settings."""

from __future__ import annotations

import re
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, model_validator

from workers.settings.values import BaseAddress, CommaSeparated, api_key, webhook_secrets

# Stripe's own secrets have 32 characters or more; a shorter value is a placeholder, or a part of
# a secret. A value with any other character was meant as several secrets: it matches nothing.
_SECRET = re.compile(r"whsec_[A-Za-z0-9_+/=-]{10,250}")
# A secret or a restricted key, of one mode.
_API_KEY = re.compile(r"(sk|rk)_(live|test)_(?!\w*(sk|rk)_(live|test)_)[A-Za-z0-9_]{10,250}")
_ACCOUNT = re.compile(r"(acct|org)_[A-Za-z0-9_]{1,200}")


def _secret(value: str) -> str:
    if not _SECRET.fullmatch(value) or value.count("whsec_") > 1:
        raise ValueError(
            "each must be whsec_ and at least 10 letters and digits, as Stripe shows it;"
            " write a comma between two"
        )
    return value


def _account(value: str) -> str:
    if not _ACCOUNT.fullmatch(value):
        raise ValueError("each must be an account's id, as acct_1AbcDef; write a comma between two")
    return value


def _api_key(value: str) -> str:
    if not _API_KEY.fullmatch(value):
        raise ValueError(
            "must be sk_ or rk_, then live_ or test_, then the key, as Stripe shows it"
        )
    return value


ApiKey: TypeAlias = Annotated[str, AfterValidator(_api_key)]
Secret: TypeAlias = Annotated[str, AfterValidator(_secret)]
Account: TypeAlias = Annotated[str, AfterValidator(_account)]


class StripeSettings(BaseModel):
    """What Stripe's folder in tasks/providers is built from, and its simulator."""

    stripe_webhook_secrets: Annotated[tuple[Secret, ...], *CommaSeparated] = webhook_secrets(
        development="whsec_coinfleet_development_only"
    )
    """As Stripe shows them, comma-separated; several while one is being replaced."""
    stripe_livemode: bool = False
    """True takes live events and refuses test events; false does the opposite."""
    stripe_accounts: Annotated[tuple[Account, ...], *CommaSeparated] = ()
    """Ids of Stripe accounts whose events count although they name an account."""
    stripe_api_key: ApiKey | None = api_key()
    """For refunds, for what a thin event names, and to find missed events; without it all wait."""
    stripe_api_base: BaseAddress = "https://api.stripe.com"
    """Where Stripe's API is; another address is for tests."""

    @model_validator(mode="after")
    def _key_is_of_the_mode(self) -> Self:
        if self.stripe_api_key and ("_live_" in self.stripe_api_key[:8]) != self.stripe_livemode:
            raise ValueError("STRIPE_API_KEY: is not of the mode that STRIPE_LIVEMODE says")
        return self
