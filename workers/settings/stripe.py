"""Stripe's settings."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel

from workers.settings.values import CommaSeparated, webhook_secrets

# Stripe's own secrets have 32 characters or more; a shorter value is a placeholder, or a part of
# a secret. A value with any other character was meant as several secrets: it matches nothing.
_SECRET = re.compile(r"whsec_[A-Za-z0-9_+/=-]{10,250}")
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
