"""What proves whose access token a client sends, built from the settings once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.sign_in.signatures import Keys
    from tasks.sign_in.tokens import AccessTokens
    from workers.settings import Settings


def build_access_tokens(settings: Settings) -> AccessTokens | None:
    """Return it; None if no setting names a key, because then nobody can prove anything."""
    if not (settings.supabase_jwks_url or settings.supabase_jwt_secret):
        return None
    # Here, because only a process that reads tokens has a use for them.
    from tasks.sign_in.signatures import SharedSecret  # noqa: PLC0415
    from tasks.sign_in.tokens import AccessTokens  # noqa: PLC0415

    keys: Keys
    if settings.supabase_jwks_url:
        from tasks.sign_in.keys import PublicKeys  # noqa: PLC0415

        keys = PublicKeys(settings.supabase_jwks_url)
    else:
        keys = SharedSecret(str(settings.supabase_jwt_secret))
    return AccessTokens(keys, audience=settings.supabase_jwt_audience)
