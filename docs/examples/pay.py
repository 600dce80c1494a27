"""One payment by hand: a buyer, a price, and a webhook signed as Stripe signs it.

    .venv/bin/python docs/examples/pay.py

It needs the fleet that `make run` starts. It prints `stored` and 100 coins the first time, `seen`
and 100 coins after that: the second webhook is the same event. Only the database client comes
from a package, so that everything that goes over the wire can be read here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import asyncpg

BUYER = "00000000-0000-4000-8000-000000000001"
COINFLEET = Path(sys.executable).with_name("coinfleet")


def settings() -> dict[str, str]:
    """Return the address, the port and the secret that the fleet of the data folder uses."""
    folder = Path(os.environ.get("COINFLEET_DATA_DIR", ".coinfleet"))
    try:
        fleet = json.loads((folder / "fleet.json").read_text())
    except FileNotFoundError:
        sys.exit(f"no fleet runs on {folder.resolve()}: start one with `make run`")
    port = os.environ.get("PORT") or fleet["port"]
    secrets = os.environ.get("STRIPE_WEBHOOK_SECRETS") or "whsec_coinfleet_development_only"
    return {
        "database_url": subprocess.check_output([COINFLEET, "database-url"], text=True).strip(),
        "url": f"http://127.0.0.1:{port}/webhooks/stripe",
        "secret": secrets.partition(",")[0],
    }


def paid_event(now_s: int) -> str:
    """Return the body of Stripe's event that says that the buyer paid 9.99 USD for 100 coins."""
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "currency": "usd",
        "amount": 999,
        "amount_received": 999,
        "latest_charge": "ch_1",
        "created": now_s,
        "metadata": {"profile_id": BUYER, "sku": "coins_100"},
    }
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": now_s,
        "livemode": False,
        "data": {"object": intent},
    }
    return json.dumps(event)


def signature_header(body: str, secret: str, now_s: int) -> str:
    """Return the value of `Stripe-Signature`: the time, and an HMAC of the time and the body."""
    signed = f"{now_s}.{body}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={digest}"


def send(body: str, *, url: str, secret: str, now_s: int) -> str:
    """Send the body with its signature; return the answer."""
    signature = signature_header(body, secret, now_s)
    request = urllib.request.Request(  # noqa: S310 -- a fleet on this machine
        url, body.encode(), {"Stripe-Signature": signature, "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- as above
        text: str = answer.read().decode()
    return text


async def main() -> None:
    """Make the buyer and the price, pay, and wait for the coins."""
    fleet = settings()
    database = await asyncpg.connect(fleet["database_url"])
    try:
        await database.execute(
            "insert into auth.users (id) values ($1) on conflict do nothing", BUYER
        )
        await database.execute(
            "insert into coin_packages (provider, sku, coin_amount, amount_minor, currency)"
            " values ('stripe', 'coins_100', 100, 999, 'usd') on conflict do nothing"
        )
        now_s = int(time.time())
        print(send(paid_event(now_s), url=fleet["url"], secret=fleet["secret"], now_s=now_s))
        coins = 0
        for _ in range(100):
            coins = await database.fetchval(
                "select coin_balance from profiles where id = $1", BUYER
            )
            if coins:
                break
            await asyncio.sleep(0.1)
        print(f"{coins} coins")
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
