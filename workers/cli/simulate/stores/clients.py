"""The app on a phone: signed in as a profile, it submits purchases that it made in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import msgspec

from workers.cli.simulate.events import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from workers.cli.simulate.plan import Secrets

TOKEN_LIVES_S = 3_600


def submission(
    provider: str, body: Mapping[str, str], profile_id: UUID, secrets: Secrets, at_s: float
) -> Webhook:
    """Return what a client sends, with an access token as Supabase's sign-in makes it."""
    claims = {
        "sub": str(profile_id),
        "aud": secrets.audience,
        "role": "authenticated",
        "iat": int(at_s),
        "exp": int(at_s) + TOKEN_LIVES_S,
    }
    token = jwt.encode(claims, secrets.sign_in, algorithm="HS256")
    headers = {"authorization": f"Bearer {token}"}
    return Webhook(f"/purchases/{provider}", headers, msgspec.json.encode(body))
