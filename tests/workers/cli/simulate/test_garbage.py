"""Garbage between the events of a run: answered as it must be, and changing nothing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.workers.cli.simulate.plans import SECRETS, clean_findings, make_plan
from tests.workers.receiving.serving import inbox, serving
from workers.cli.simulate.delivery import Deliveries, deliver
from workers.cli.simulate.garbage import EVENTS_PER_GARBAGE, KINDS, Garbage, pick
from workers.cli.simulate.http import Address
from workers.cli.simulate.run import Options, deliveries_in_order

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

OPTIONS = Options(events=60, rate_per_s=None, seed=1, duplicates=2, shuffle=True, garbage=True)


def test_garbage_comes_between_the_events_and_each_kind_at_least_once() -> None:
    plan = make_plan(60)
    first, rest = deliveries_in_order(plan, OPTIONS)
    garbage = [each for each in rest if isinstance(each, Garbage)]
    assert {*garbage} == {*KINDS}
    assert isinstance(rest[-1], type(plan.events[0]))
    _, without = deliveries_in_order(plan, replace(OPTIONS, garbage=False))
    assert [each for each in rest if not isinstance(each, Garbage)] == without
    assert not any(isinstance(each, Garbage) for each in first)


def test_there_is_more_of_it_in_a_longer_run() -> None:
    assert len(pick(Random(1), 10)) == len(KINDS)
    assert len(pick(Random(1), 1_000)) == 1_000 // EVENTS_PER_GARBAGE


async def test_it_is_answered_as_it_must_be_and_changes_nothing(
    database: Database, redis_url: str, db: Connection
) -> None:
    async with serving(database.url("web"), redis_url) as web:
        deliveries = Deliveries()
        await deliver(
            KINDS,
            address=Address("127.0.0.1", web.port),
            secrets=SECRETS,
            rate_per_s=None,
            deliveries=deliveries,
            on_end=lambda: None,
        )
    assert (deliveries.garbage, deliveries.misjudged) == (len(KINDS), Counter())
    assert {(event["state"], event["reason"]) for event in await inbox(db)} == {
        ("rejected", "malformed")
    }
    assert len(await inbox(db)) == 2


def test_garbage_that_is_taken_is_a_breach() -> None:
    deliveries = Deliveries()
    for status in (200, 200, 500):
        deliveries.note(KINDS[0], status)
    plan = make_plan(5)
    deliveries.acknowledged |= plan.all_events.keys()
    breaches = clean_findings(plan, deliveries=deliveries).breaches
    assert breaches == ["garbage answered 200: 2 times", "garbage answered 500: 1 time"]


def test_no_kind_names_a_run() -> None:
    # What a run looks for in the inbox is found by the run's name.
    for kind in KINDS:
        request = kind.sign(SECRETS, at_s=1_800_000_000).request
        assert not re.search(rb"sim[0-9a-f]{6}", request)
