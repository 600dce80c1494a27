"""Pushes of Pub/Sub, signed as Google signs them."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt

from workers.mock_providers.google.keys import signing_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.mock_providers.google.keys import SigningKey

AUDIENCE = "https://coinfleet.example.com/pushes"
PUSH_EMAIL = "pushes@example.iam.gserviceaccount.com"
SUBSCRIPTION = "projects/example/subscriptions/play-coinfleet"
TOPIC = "projects/example/topics/play"
PLAY = "serviceAccount:google-play-developer-notifications@system.gserviceaccount.com"


def pubsub_of(endpoint: str, *, email: str | None, audience: str | None) -> dict[str, Any]:
    """Return what Pub/Sub answers of a subscription that is in order, by the path after /v1/."""
    return {
        SUBSCRIPTION: {
            "name": SUBSCRIPTION,
            "topic": TOPIC,
            "pushConfig": {
                "pushEndpoint": endpoint,
                "oidcToken": {"serviceAccountEmail": email, "audience": audience},
            },
            "ackDeadlineSeconds": 10,
            "retainAckedMessages": True,
            "messageRetentionDuration": "604800s",
            "state": "ACTIVE",
        },
        f"{TOPIC}:getIamPolicy": {
            "etag": "BwU",
            "bindings": [{"role": "roles/pubsub.publisher", "members": [PLAY]}],
        },
    }


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a token of now; a change to None leaves a claim out."""
    now = int(time.time())
    told = {
        "aud": AUDIENCE,
        "azp": "113774264463038321964",
        "email": PUSH_EMAIL,
        "email_verified": True,
        "exp": now + 3_600,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": "113774264463038321964",
    }
    return {name: value for name, value in (told | changes).items() if value is not None}


def signed_token(key: SigningKey | None = None, **changes: Any) -> str:
    """Return a token that Google signed."""
    key = key or signing_key("current")
    return jwt.encode(claims(**changes), key.private, algorithm="RS256", headers={"kid": key.kid})


def push_of(data: Mapping[str, Any] | bytes, *, message_id: str = "1", **more: Any) -> bytes:
    """Return the body of a push with this data."""
    told = data if isinstance(data, bytes) else json.dumps(data).encode()
    published = datetime.now(UTC).isoformat()
    message = {
        "data": b64encode(told).decode(),
        "messageId": message_id,
        "message_id": message_id,
        "publishTime": published,
        "publish_time": published,
    }
    return json.dumps({"message": message, "subscription": SUBSCRIPTION} | more).encode()


def signed_push(
    data: Mapping[str, Any] | bytes, *, message_id: str = "1", token: str | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a push."""
    headers = {
        "authorization": f"Bearer {token or signed_token()}",
        "content-type": "application/json",
    }
    return push_of(data, message_id=message_id), headers
