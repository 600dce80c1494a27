"""The mock providers of the fleet, if it runs with them: told what was paid, asked what was heard.

Finds them by the file with which the fleet says where it runs. Without mock providers a run sends
what it can sign, and asks nobody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import msgspec

from db.errors import CoinfleetError
from tasks.providers.app import App
from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.stripe import Stripe
from workers.cli.simulate.heard import Message
from workers.embedded import DataFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workers.settings import Settings

TIMEOUT_S = 30.0


class MockSilent(CoinfleetError):
    """A mock provider does not answer."""


class _Heard(msgspec.Struct):
    type: str
    data: dict[str, object]


class Mocks:
    """The mock providers at these ports of this machine."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    @classmethod
    def of_fleet(cls, settings: Settings) -> Mocks | None:
        """Return those of the fleet on the data folder; None if it runs without."""
        fleet = DataFolder(settings.coinfleet_data_dir).read_fleet()
        if fleet is None or not fleet.mock_ports:
            return None
        return cls(fleet.mock_ports)

    @property
    def hear(self) -> bool:
        """Whether the app is told what happens."""
        return App.name in self._ports

    async def pay(self, amounts: Mapping[str, int]) -> None:
        """Let Stripe know of payments: minor units by payment intent."""
        await self._ask(Stripe.name, "/mock/payments", msgspec.json.encode(amounts))

    async def tell_apple(self, bodies: Iterable[bytes]) -> None:
        """Let Apple know what it sends, so that it lists it and can be answered."""
        if Apple.name in self._ports:
            body = b"[" + b",".join(bodies) + b"]"
            await self._ask(Apple.name, "/mock/notifications", body)

    @property
    def sells_for_google(self) -> bool:
        """Whether there is a Google that can be asked of its purchases."""
        return Google.name in self._ports

    async def sell(self, sales: Sequence[Mapping[str, Any]]) -> str:
        """Let Google know of sales; return a token that proves its pushes for an hour."""
        await self._ask(Google.name, "/mock/sales", msgspec.json.encode(sales))
        return (await self._ask(Google.name, "/mock/token", None)).decode()

    async def heard(self) -> list[Message]:
        """Return all that the app has taken."""
        answer = await self._ask(App.name, "/heard", None)
        return [
            Message(each.type, each.data) for each in msgspec.json.decode(answer, type=list[_Heard])
        ]

    async def _ask(self, provider: str, path: str, body: bytes | None) -> bytes:
        request = Request(f"http://127.0.0.1:{self._ports[provider]}{path}", data=body)

        def ask() -> bytes:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - this machine
                found: bytes = answer.read()
                return found

        try:
            return await asyncio.to_thread(ask)
        except OSError as error:
            raise MockSilent(
                f"the mock provider {provider} does not answer ({error}): does the fleet still run?"
            ) from error
