"""What a provider's folder needs to say whether the account there fits the fleet.

A check makes requests that are harmless to repeat. Its findings quote codes and addresses of ours,
never a key or a part of an answer that may name a buyer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.findings import Finding, broken, not_checked
from tasks.providers.base_address import check_base_address
from tasks.providers.calls import KeyRefused, ProviderUnreachable

if TYPE_CHECKING:
    from tasks.findings import Ask
    from tasks.providers.calls import CallFailed

PROBE_TIMEOUT_S = 3.0
# Our `web` answers a webhook's address so, if it is not asked by POST.
METHOD_NOT_ALLOWED = 405


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """A row of the table of checks."""

    name: str
    looks_at: str
    ask: Ask


def without(settings: str) -> Ask:
    """Return the check of somebody who has no key."""

    async def ask() -> list[Finding]:
        fix = "run `coinfleet doctor` with the settings of `worker`"
        return [not_checked(f"no key: {settings} is not set here", fix=fix)]

    return ask


def judge_failure(error: CallFailed, *, provider: str, setting: str) -> Finding:
    """Return what it means that a request failed in a way that other requests will, too."""
    if isinstance(error, KeyRefused):
        return broken(
            "key_refused",
            f"{provider} does not take our key ({error}): refunds and all other calls wait",
            fix=f"make a new key there, and set {setting} for `worker`",
        )
    if isinstance(error, ProviderUnreachable):
        return not_checked(
            f"{provider} gives no answer ({error})",
            fix="see whether this machine may connect there, and whether the provider works",
        )
    return not_checked(f"{provider} does not answer this now ({error})", fix="run it again later")


async def probe_address(
    address: str, *, expected: int = METHOD_NOT_ALLOWED, whose: str = "web"
) -> Finding | None:
    """Return what is wrong with an address at which a process of ours is; None if nothing is.

    It is asked by GET. Where providers send webhooks, `web` refuses that and counts it nowhere.
    """
    # Here, because it takes long to import, and a process that never calls needs none.
    from tasks.providers.http import HttpApi  # noqa: PLC0415

    parts = urlsplit(address)
    try:
        base = check_base_address(f"{parts.scheme}://{parts.netloc}")
    except ValueError as error:
        return broken(
            "address_unsafe", f"{address} can't be used: it {error}", fix="give it https there"
        )
    http = HttpApi(base, headers={}, requests_per_s=10, timeout_s=PROBE_TIMEOUT_S)
    try:
        answer = await http.send("GET", parts.path)
    except ProviderUnreachable as error:
        if "redirect" in str(error):
            return broken(
                "address_redirects",
                f"{address} answers {error}, which no provider follows: no event arrives",
                fix="set the final address, host and path to the letter, at the provider and here",
            )
        return not_checked(
            f"{address} does not answer from here ({error})",
            fix="see from outside whether it does; perhaps it is closed to this machine alone",
        )
    finally:
        await http.close()
    if answer.status != expected:
        return broken(
            "address_not_ours",
            f"{address} answers {answer.status}, and not as our `{whose}` does",
            fix=f"point it to `{whose}` with the path unchanged, through each proxy",
        )
    return None
