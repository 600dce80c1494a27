"""The app: gifts that it tells of in Standard Webhooks (standardwebhooks.com).

Refuses to look anything up.
"""

from tasks.providers.app.provider import App
from tasks.providers.app.verify import sign

__all__ = ["App", "sign"]
