"""What the app was told of a run is compared with what it must have been told."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from tests.workers.cli.simulate.plans import clean_findings, make_plan
from workers.cli.simulate.heard import Message, of_run
from workers.cli.simulate.mocks import Mocks, MockSilent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.cli.simulate.findings import Findings


def told_all(findings: Findings) -> list[Message]:
    """All that an app is told of a run: its credits as one per person, gifts and holds."""
    plan, messages = findings.plan, []
    coins: defaultdict[str, int] = defaultdict(int)
    seqs: defaultdict[str, int] = defaultdict(int)

    def tell(kind: str, person: object, amount: int, sign: int, event_id: str | None) -> None:
        key = str(person)
        coins[key] += sign * amount
        seqs[key] += 1
        data: dict[str, Any] = {"event_id": event_id, "profile_id": key, "coins": amount}
        data |= {"coin_balance": coins[key], "seq": seqs[key]} if sign else {"seq": None}
        messages.append(Message(kind, data))

    for payment in plan.payments.values():
        tell("purchase.credited", payment.buyer, payment.coins, 1, None)
        if payment.coins_left < payment.coins:
            tell("purchase.reversed", payment.buyer, payment.coins - payment.coins_left, -1, None)
    for gift in plan.gifts:
        if findings.outcomes[gift.event_id].state == "applied":
            tell("gift.applied", gift.sender, gift.coins, -1, gift.event_id)
        else:
            tell("gift.rejected", gift.sender, gift.coins, 0, gift.event_id)
    for event_id, outcome in findings.outcomes.items():
        if outcome.state == "held":
            tell("purchase.held", "nobody", 0, 0, event_id)
    return messages


PLAN = make_plan(400)
CLEAN = clean_findings(PLAN)
TOLD = told_all(CLEAN)


def breaches(messages: Sequence[Message]) -> list[str]:
    return clean_findings(PLAN, heard=messages).breaches


def test_an_app_that_was_told_all_is_no_breach() -> None:
    assert breaches(TOLD) == []
    # Their order is not promised.
    assert breaches([*reversed(TOLD)]) == []


def test_each_kind_of_message_is_missed() -> None:
    for kind in {message.type for message in TOLD}:
        nth = next(nth for nth, each in enumerate(TOLD) if each.type == kind)
        assert breaches([*TOLD[:nth], *TOLD[nth + 1 :]]) != [], kind


def test_a_message_that_came_twice_under_two_ids_is_a_breach() -> None:
    (gift,) = [each for each in TOLD if each.type == "gift.applied"][:1]
    first, second = breaches([*TOLD, gift])
    assert first.startswith("the app was not told once of 1 event: ")
    assert second.startswith("what the app was told does not add up for 1 person: simtest-giver-")


def test_a_balance_that_was_told_wrongly_is_a_breach() -> None:
    newest = {str(each.data["profile_id"]): each for each in TOLD if each.data["seq"]}
    (last, *_) = newest.values()
    wrong = Message(last.type, {**last.data, "coin_balance": last.data["coin_balance"] + 1})
    (breach,) = breaches([wrong if each is last else each for each in TOLD])
    assert "does not add up for 1 person" in breach


def test_messages_of_other_runs_do_not_count() -> None:
    other = Message("gift.applied", {"event_id": "gift-1", "profile_id": "somebody", "coins": 5})
    assert of_run(PLAN, [other]) == []
    assert len(of_run(PLAN, TOLD)) == len(TOLD)


async def test_a_mock_that_is_gone_is_named() -> None:
    with pytest.raises(MockSilent, match=r"the mock provider app does not answer .*refused"):
        # Nobody listens on the first port of a machine.
        await Mocks({"app": 1}).heard()
