"""Accounts."""


class Accounts:
    """."""

    async def close(self) -> None:
        """."""
