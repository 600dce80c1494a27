"""The app of `make run` says once what it hears."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
from structlog.testing import capture_logs

from tasks.providers import app
from workers.mock_providers.app_listener import SECRET, MockListener
from workers.mock_providers.serving import serving
from workers.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_message_is_logged_once_and_one_of_somebody_else_never(tmp_path: Path) -> None:
    sender: Any = None
    body = json.dumps(
        {"type": "purchase.credited", "timestamp": "2026-11-27T12:00:00Z", "data": {"coins": 5}}
    ).encode()
    now_s = int(time.time())
    ours = app.sign("purchase-1", body, secret=SECRET, timestamp_s=now_s)
    theirs = app.sign("purchase-2", body, secret="whsec_" + "A" * 32, timestamp_s=now_s)
    server = MockListener().make_server(Settings(), sender, tmp_path)
    with capture_logs() as logs:
        async with serving(server) as base, httpx.AsyncClient(base_url=base) as client:
            answers = [
                await client.post("/coins", content=body, headers=headers)
                for headers in (ours, ours, theirs)
            ]
            heard = (await client.get("/heard")).json()
    assert [answer.status_code for answer in answers] == [204, 204, 401]
    assert [(line["event"], line["type"], line["coins"]) for line in logs] == [
        ("app_heard", "purchase.credited", 5)
    ]
    assert [message["id"] for message in heard] == ["purchase-1"]
