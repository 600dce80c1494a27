"""Forwarded."""


class ForwardedTokens:
    """."""

    async def close(self) -> None:
        """."""
