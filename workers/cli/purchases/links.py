"""The provider's own page of a payment, for whoever decides about it."""

from __future__ import annotations

from tasks.providers.pages import ProviderPage, page_of

__all__ = ["ProviderPage", "page_of"]
