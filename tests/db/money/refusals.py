"""Refusals of the functions that the API calls."""

from __future__ import annotations

import asyncpg
import pytest

from db.errors import Refused, refusal


async def refused(work: object) -> Refused:
    """Return the business refusal that a call ends in."""
    with pytest.raises(asyncpg.PostgresError) as caught:
        await work  # type: ignore[misc]
    refused = refusal(caught.value)
    assert refused is not None, caught.value
    return refused
