"""The app: Standard Webhooks (standardwebhooks.com), and what its events mean."""

from tasks.providers.app.provider import PROVIDER, interpret, sign, signing_key, verify

__all__ = ["PROVIDER", "interpret", "sign", "signing_key", "verify"]
