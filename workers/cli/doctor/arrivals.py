"""Whether each provider ever told us anything, and whether that can be used.

Asks the database alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.health.heard import LATELY, read_age, read_heard, read_refused
from db.health.webs import read_webs
from tasks.findings import Finding, attention, not_checked, ok
from tasks.providers import PROVIDERS

if TYPE_CHECKING:
    from workers.cli.doctor.examining import Context

# A fleet that was set up today may have heard of nobody yet.
YOUNG = timedelta(days=1)
FIX = "set our address there (Google: the topic) and have it send a test: docs/providers.md"

# What a setting of ours or of the provider's makes of every event: its fix, by the reason.
REFUSALS = {
    "malformed": "see what is sent there: docs/providers.md; of Google's subscription switch"
    " payload unwrapping off",
    "livemode_mismatch": "set STRIPE_LIVEMODE to the mode of that endpoint, or remove the endpoint",
    "account_mismatch": "add the account to STRIPE_ACCOUNTS if it is ours, then `coinfleet replay`",
}
# Money that was taken back after its coins were granted: one such event needs a person.
TAKEN_BACK = "charge_failed"
# A wrong setting refuses all or many; a stray event is nobody's fault.
REFUSED_MIN = 3
REFUSED_SHARE = 10


async def check_refusals(context: Context) -> list[Finding]:
    """Say which of the newest events were refused for a reason that needs a person."""
    refused = await read_refused(context.database, [*REFUSALS, TAKEN_BACK])
    found = [
        attention(
            "events_refused",
            f"{each.provider}: {each.events:,} of its newest {each.of_provider:,} events are"
            f" rejected ({each.reason}), the newest with id {each.newest_id}",
            fix=REFUSALS[each.reason],
            subject=f"event:{each.newest_id}",
        )
        for each in refused
        if each.reason in REFUSALS
        and each.events >= REFUSED_MIN
        and each.events * REFUSED_SHARE >= each.of_provider
    ]
    found += [
        attention(
            "charge_failed",
            f"{each.provider}: of its newest {each.of_provider:,} events {each.events:,} say that"
            " a charge failed after its coins were granted, so that its money was taken back, the"
            f" newest with id {each.newest_id}",
            fix=f"`coinfleet explain event:{each.newest_id}` names the purchase; if the money does"
            " not come in another way, take the coins that are left with `coinfleet adjust`",
            subject=f"event:{each.newest_id}",
        )
        for each in refused
        if each.reason == TAKEN_BACK
    ]
    return found or [ok(f"few of the newest {LATELY:,} events are refused for want of a setting")]


async def check_arrivals(context: Context) -> list[Finding]:
    """Say of whom nothing ever came: perhaps no address, topic or endpoint is set there."""
    webs = [each for each in await read_webs(context.database) if each.is_alive]
    taken = {name for web in webs for name in web.detail.providers or ()}
    if not taken:
        return [not_checked("no web process says whose events it takes", fix="start `web`")]
    heard = await read_heard(context.database, sorted(taken))
    is_young = await read_age(context.database) < YOUNG
    found = []
    if heard:
        found.append(ok(f"events came of {', '.join(sorted(heard))}"))
    if silent := ", ".join(sorted(taken - heard)):
        found.append(
            not_checked(f"no event has come yet of {silent}", fix=FIX)
            if is_young
            else attention("provider_silent", f"no event ever came of {silent}", fix=FIX)
        )
    others = [each.name for each in PROVIDERS if each.name not in taken]
    if others:
        found.append(ok(f"not taken, by settings or PROVIDERS_ENABLED: {', '.join(others)}"))
    return found
