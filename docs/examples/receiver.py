"""The app's side: a server that hears what became of gifts and purchases, and checks who says so.

    APP_EVENTS_SECRETS=whsec_… .venv/bin/python docs/examples/receiver.py

Let the fleet tell it: APP_EVENTS_URL=http://127.0.0.1:9000/ and the same secret. A real app keeps
`heard` and `balances` in its database, and changes both in one transaction.
"""

from __future__ import annotations

import os

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ.get("APP_EVENTS_SECRETS", "")
heard: set[str] = set()
balances: dict[str, tuple[int, int]] = {}


async def hear(request: Request) -> Response:
    """Take a message once; an older state of an account is dropped."""
    try:
        message = Webhook(SECRET).verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return Response(status_code=401)
    message_id, data = request.headers["webhook-id"], message["data"]
    if message_id not in heard:
        heard.add(message_id)
        if data["seq"] is not None and data["seq"] > balances.get(data["profile_id"], (0, 0))[0]:
            balances[data["profile_id"]] = (data["seq"], data["coin_balance"])
        print(message["type"], data["coins"], "coins; balance", data["coin_balance"])
    return Response(status_code=204)


app = Starlette(routes=[Route("/", hear, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=9000)
