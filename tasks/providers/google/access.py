"""Access tokens for Google's API: a service account's key is exchanged for one each hour.

The key is read once. google-auth signs on a thread; what it asks of Google goes through the same
bounds as every other request.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account

from tasks.providers.calls import KeyRefused, ProviderThrottled, ProviderUnreachable
from tasks.providers.http import HttpApi

if TYPE_CHECKING:
    from tasks.providers.http import Answer

SCOPE = "https://www.googleapis.com/auth/androidpublisher"
TIMEOUT_S = 10.0
# A token that ends within a minute is not used any more.
SPARE_S = 60.0
# How long one counts whose answer does not say.
TOKEN_S_DEFAULT = 300.0


class Response:
    """An answer in the form that google-auth reads."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.data = answer.body


class AccessTokens:
    """The access token of a service account, fetched when the last one is about to end.

    Belongs to one event loop. Raises ValueError for a file that holds no key of an account.
    """

    def __init__(self, account: Path, *, scope: str = SCOPE) -> None:
        self._credentials: Any = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
            str(account), scopes=[scope]
        )
        parts = urlsplit(self._credentials._token_uri)  # noqa: SLF001 - nothing else says it
        self._path = parts.path or "/"
        self._http = HttpApi(
            f"{parts.scheme}://{parts.netloc}",
            headers={},
            requests_per_s=1,
            timeout_s=TIMEOUT_S,
        )
        self._token: str | None = None
        self._until = 0.0
        self._turn = asyncio.Lock()

    async def get(self) -> str:
        """Return a token that is good now. Raises CallFailed."""
        async with self._turn:
            if self._token is None or time.monotonic() > self._until - SPARE_S:
                await self._refresh()
            assert self._token is not None  # noqa: S101 - for the type checker
            return self._token

    def forget(self, token: str) -> None:
        """Have a new token fetched, because Google no longer takes this one."""
        if token == self._token:
            self._token = None

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()

        def send(**request: Any) -> Response:
            """Send what google-auth asks for. Runs on its thread, and waits for the loop."""
            sent = self._http.send(
                request["method"], self._path, headers=request["headers"], body=request["body"]
            )
            answer = asyncio.run_coroutine_threadsafe(sent, loop).result()
            # google-auth would sleep and try again.
            if answer.status == 429:
                raise ProviderThrottled("429", retry_after_s=answer.retry_after_s)
            if answer.status >= 500:
                raise ProviderUnreachable(str(answer.status), retry_after_s=answer.retry_after_s)
            return Response(answer)

        began = time.monotonic()
        try:
            await asyncio.to_thread(self._credentials.refresh, send)
        except GoogleAuthError:
            # From None: its text is Google's answer, which names the account.
            raise KeyRefused("no access token for the service account") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProviderUnreachable("200 and no access token") from None
        self._token = self._credentials.token
        expiry = self._credentials.expiry
        # google-auth's times are in UTC and say nothing of it.
        ends_s = expiry.replace(tzinfo=UTC).timestamp() if expiry else time.time() + TOKEN_S_DEFAULT
        lasts_s = ends_s - time.time()
        self._until = began + lasts_s
