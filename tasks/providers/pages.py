"""Where a person finds a payment in its provider's own pages. Asks nobody; only says addresses."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.stripe import Stripe


@dataclass(frozen=True, slots=True)
class ProviderPage:
    """An address, and what it is called; `is_of_it` if it is the page of the payment itself."""

    title: str
    url: str
    is_of_it: bool


def page_of(provider: str, name: str, *, is_live: bool) -> ProviderPage | None:
    """Return the page of what has this name at its provider; None if the provider has none.

    Stripe has a page per payment, charge, dispute and so on, found by its id. Google's and Apple's
    pages have no address that is made of an id.
    """
    if provider == Stripe.name:
        mode = "" if is_live else "test/"
        folder = _STRIPES.get(name.partition("_")[0])
        place = f"{folder}/{quote(name, safe='')}" if folder else f"search?query={quote(name)}"
        url = f"https://dashboard.stripe.com/{mode}{place}"
        return ProviderPage("page at Stripe", url, is_of_it=folder is not None)
    if provider == Google.name:
        return ProviderPage(
            "Google Play Console", "https://play.google.com/console/", is_of_it=False
        )
    if provider == Apple.name:
        return ProviderPage(
            "App Store Connect", "https://appstoreconnect.apple.com/", is_of_it=False
        )
    return None


# By how an id begins.
_STRIPES = {
    "pi": "payments",
    "ch": "payments",
    "py": "payments",
    "dp": "disputes",
    "du": "disputes",
}
