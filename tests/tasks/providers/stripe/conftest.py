"""Fixtures of the tests of Stripe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.tasks.providers.stripe.server import StripeServer, stripe_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    """Stripe's API, without payments."""
    async with stripe_server() as stripe:
        yield stripe
