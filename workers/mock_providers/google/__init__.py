"""Google as the fleet meets it: its API and its token endpoint, its certificates, and its pushes.

Written from Google's documentation and from answers that others recorded, not from the product.
"""

from workers.mock_providers.google.keys import account_file
from workers.mock_providers.google.pushes import AUDIENCE, PUSH_EMAIL, claims, push_of, signed_push
from workers.mock_providers.google.server import (
    GoogleHost,
    GoogleServer,
    google_host,
    google_server,
)
from workers.mock_providers.google.store import PACKAGE, Item, Sold, Store

__all__ = [
    "AUDIENCE",
    "PACKAGE",
    "PUSH_EMAIL",
    "GoogleHost",
    "GoogleServer",
    "Item",
    "Sold",
    "Store",
    "account_file",
    "claims",
    "google_host",
    "google_server",
    "push_of",
    "signed_push",
]
