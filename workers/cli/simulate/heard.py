"""What the app was told of a run, against what it must have been told; values only.

Written from the contract: each gift is told of once, each purchase that is held is told of, and
whoever adds up what was told has every balance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from workers.cli.simulate.plan import Balance, Outcome, Plan

# What each type adds to the coins of the profile that it names.
SIGNS = {
    "purchase.credited": 1,
    "purchase.reinstated": 1,
    "purchase.reversed": -1,
    "gift.applied": -1,
}
NAMED_MAX = 3


class Message(NamedTuple):
    """A message that the app took."""

    type: str
    data: Mapping[str, Any]


def of_run(plan: Plan, messages: Iterable[Message]) -> list[Message]:
    """Return the messages that concern this run's people or events."""
    people, events = {str(person) for person in plan.people}, plan.all_events
    return [
        each
        for each in messages
        if each.data.get("profile_id") in people or each.data.get("event_id") in events
    ]


def find_untold(
    plan: Plan,
    messages: Sequence[Message],
    *,
    outcomes: Mapping[str, Outcome],
    balances: Mapping[UUID, Balance],
) -> Iterator[str]:
    """Yield what the app was not told, or told wrongly, one sentence each."""
    told = Counter((each.data.get("event_id"), each.type) for each in messages)
    wrong = [
        f"{event_id} ({told[event_id, kind]} of {kind})"
        for event_id, kind in _expected(plan, outcomes)
        if told[event_id, kind] != 1
    ]
    if wrong:
        yield _sentence(wrong, "the app was not told once of", "event")
    coins: defaultdict[str, int] = defaultdict(int)
    newest: dict[str, tuple[int, int]] = {}
    for each in messages:
        person = str(each.data.get("profile_id"))
        coins[person] += SIGNS.get(each.type, 0) * (each.data.get("coins") or 0)
        if each.data.get("seq") is not None:
            told_last = (each.data["seq"], each.data["coin_balance"])
            newest[person] = max(newest.get(person, told_last), told_last)
    off = [
        plan.people[person]
        for person, balance in balances.items()
        if coins[str(person)] != balance.coins
        or newest.get(str(person), (0, balance.coins))[1] != balance.coins
    ]
    if off:
        yield _sentence(off, "what the app was told does not add up for", "person")


def _expected(plan: Plan, outcomes: Mapping[str, Outcome]) -> Iterator[tuple[str, str]]:
    """Yield the events of which the app must be told once, with the type of message."""
    gifts = {gift.event_id for gift in plan.gifts}
    for event_id, outcome in outcomes.items():
        match outcome.state:
            case "applied" if event_id in gifts:
                yield event_id, "gift.applied"
            case "rejected" if event_id in gifts:
                yield event_id, "gift.rejected"
            case "held":
                yield event_id, "purchase.held"


def _sentence(items: Sequence[str], said: str, noun: str) -> str:
    more = ", …" if len(items) > NAMED_MAX else ""
    number = "1 person" if noun == "person" and len(items) == 1 else counted(len(items), noun)
    number = number.replace("persons", "people")
    return f"{said} {number}: {', '.join(items[:NAMED_MAX])}{more}"
