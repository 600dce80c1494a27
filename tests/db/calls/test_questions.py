"""Questions: an event that means nothing without an answer asks once, and waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from db.facts import Call, Question
from db.operating.calls import replay_calls
from db.operating.matching import Match
from db.operating.replaying import Request, replay
from tests.db.books import Outcome

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.calls.outbox import Outbox

FETCH = "stripe.fetch_object"
WAITS = Outcome("waiting", "no_answer_yet")
DEAD_CALL = Outcome("waiting", "dead_call")
REQUEST = Request(typed_by="ann@desk", reason="the key has the right now", filter={})


def question(key: str = "fetch", kind: str = FETCH) -> Question:
    return Question(call=Call(kind=kind, key=key, request={"path": "/v1/refunds/re_1"}))


async def calls(books: Books) -> list[tuple[Any, ...]]:
    rows = await books.db.fetch(
        "select kind, key, state, request, event_id from fleet.provider_calls order by id"
    )
    return [tuple(row) for row in rows]


async def test_an_event_asks_and_waits_for_its_answer(books: Books) -> None:
    (event_id,) = await books.receive(question())
    assert await books.work() == {event_id: WAITS}
    request = '{"path": "/v1/refunds/re_1"}'
    assert await calls(books) == [(FETCH, "fetch", "pending", request, event_id)]


async def test_an_answer_wakes_its_event_and_no_other(books: Books, outbox: Outbox) -> None:
    event_id, other = await books.receive(question("a"), question("b"))
    await books.work()
    call, _ = await outbox.claim(FETCH)
    assert await books.claim() == []
    await outbox.finish(call, {"object": {}})
    assert await books.outcome(event_id) == Outcome("pending", "no_answer_yet")
    assert await books.outcome(other) == WAITS
    (answer,) = await books.db.fetch("select * from fleet.answers_of_events($1)", [event_id, other])
    assert (answer["event_id"], answer["answer"]) == (event_id, '{"object": {}}')


async def test_an_event_that_wakes_without_an_answer_asks_nothing_more(books: Books) -> None:
    (event_id,) = await books.receive(question())
    await books.work()
    books.wait(hours=1)
    assert await books.wake() == 1
    assert await books.work() == {event_id: WAITS}
    assert len(await calls(books)) == 1


async def test_an_answer_that_is_gone_is_asked_for_anew(books: Books, outbox: Outbox) -> None:
    (event_id,) = await books.receive(question())
    await books.work()
    await outbox.finish((await outbox.claim(FETCH))[0])
    await books.db.execute("update fleet.provider_calls set request = '{}', result = null")
    assert await books.work() == {event_id: WAITS}
    ((*_, state, request, _),) = await calls(books)
    assert (state, request) == ("pending", '{"path": "/v1/refunds/re_1"}')


async def dead_question(books: Books, outbox: Outbox) -> tuple[int, int]:
    """An event whose question was refused; gives the numbers of the event and of its call."""
    (event_id,) = await books.receive(question())
    await books.work()
    (call,) = await outbox.claim(FETCH)
    await outbox.fail(call, "refused")
    return event_id, call["id"]


async def test_an_event_whose_question_is_dead_says_so_and_waits(
    books: Books, outbox: Outbox
) -> None:
    event_id, call_id = await dead_question(books, outbox)
    assert await books.outcome(event_id) == DEAD_CALL
    for _ in range(2):
        books.wait(hours=1)
        assert await books.wake() == 1
        assert await books.work() == {event_id: DEAD_CALL}
    assert await outbox.state(call_id) == "dead"
    assert not await books.breaches()


async def test_an_outage_of_a_question_says_nothing_yet(books: Books, outbox: Outbox) -> None:
    (event_id,) = await books.receive(question())
    await books.work()
    (call,) = await outbox.claim(FETCH)
    await outbox.fail(call, "transient")
    assert await books.outcome(event_id) == WAITS


async def test_an_event_that_was_in_hand_when_its_question_died_says_so_when_it_wakes(
    books: Books, outbox: Outbox
) -> None:
    event_id, _ = await dead_question(books, outbox)
    await books.db.execute("update fleet.inbox_events set reason = 'no_answer_yet'")
    books.wait(hours=1)
    await books.wake()
    assert await books.work() == {event_id: DEAD_CALL}


async def test_a_call_that_is_replayed_sends_its_event_on(books: Books, outbox: Outbox) -> None:
    event_id, call_id = await dead_question(books, outbox)
    assert await replay_calls(books.db, [call_id], REQUEST) == {}
    assert await books.outcome(event_id) == WAITS
    books.now = await books.db.fetchval("select clock_timestamp()")
    await outbox.finish((await outbox.claim(FETCH))[0], {"object": {}})
    assert (await books.outcome(event_id)).state == "pending"


async def test_an_event_that_is_replayed_has_its_question_asked_anew(
    books: Books, outbox: Outbox
) -> None:
    event_id, call_id = await dead_question(books, outbox)
    (other_event,) = await books.receive(question("other"))
    await books.work()
    (other_call,) = await outbox.claim(FETCH)
    await outbox.fail(other_call, "refused")
    match = Match(event_id, "waiting", has_payload=True)
    assert (await replay(books.db, [match], REQUEST)).skipped == {}
    assert [await outbox.state(each) for each in (call_id, other_call["id"])] == ["pending", "dead"]
    books.now = await books.db.fetchval("select clock_timestamp()")
    assert await books.work() == {event_id: WAITS}
    (call,) = await outbox.claim(FETCH)
    assert (call["id"], call["is_retry"]) == (call_id, True)
    await outbox.finish(call, {"object": {}})
    assert (await books.outcome(event_id)).state == "pending"
    assert await books.outcome(other_event) == DEAD_CALL


async def test_an_answer_wakes_an_event_that_still_says_its_question_is_dead(
    books: Books, outbox: Outbox
) -> None:
    event_id, call_id = await dead_question(books, outbox)
    await books.db.execute(
        "update fleet.provider_calls set state = 'pending', next_attempt_at = $1", books.now
    )
    await outbox.finish((await outbox.claim(FETCH))[0], {"object": {}})
    assert await outbox.state(call_id) == "done"
    assert (await books.outcome(event_id)).state == "pending"


async def test_an_event_that_hides_its_dead_question_is_found(books: Books, outbox: Outbox) -> None:
    await dead_question(books, outbox)
    await books.db.execute(
        "update fleet.provider_calls set finished_at = clock_timestamp() - interval '3 hours';"
        " update fleet.inbox_events set reason = 'no_answer_yet'"
    )
    assert list(await books.breaches()) == ["questions_have_their_call"]
    await books.db.execute("update fleet.inbox_events set reason = 'dead_call'")
    assert not await books.breaches()


@pytest.mark.parametrize(
    "kind", ["stripe.refund", "google.fetch_purchase", "stripe.refetch_object"]
)
async def test_no_interpretation_of_an_event_has_money_moved_at_a_provider(
    books: Books, kind: str
) -> None:
    await books.receive(question(kind=kind))
    await books.work()
    assert await calls(books) == []
    # It is found: an event waits and has no call.
    assert list(await books.breaches()) == ["questions_have_their_call"]
    await books.db.execute("update fleet.inbox_events set state = 'pending'")


async def test_answers_go_with_the_payloads_of_their_events(books: Books, outbox: Outbox) -> None:
    done, waits = await books.receive(question("a"), question("b"))
    await books.work()
    await outbox.finish((await outbox.claim(FETCH))[0], {"object": {"name": "Jane"}})
    await books.db.execute(
        "update fleet.inbox_events set state = 'applied', reason = null, processed_at = $2"
        " where id = $1",
        done,
        books.now,
    )
    books.wait(days=91)
    await books.db.execute("select fleet.drop_old_payloads($1)", books.now)
    rows = await books.db.fetch(
        "select event_id, request <> '{}' as has_request, result from fleet.provider_calls"
        " order by id"
    )
    assert [tuple(row) for row in rows] == [(done, False, None), (waits, True, None)]


async def means_now(books: Books, event_id: int, fact: Question) -> None:
    """Interpreted again, with its answer, the event means this."""
    await books.db.execute(
        "update fleet.inbox_events set payload = $2 where id = $1",
        event_id,
        msgspec.json.encode(fact),
    )


def again(after_s: int, reason: str = "not_paid_yet") -> Question:
    """The question of an event whose answer decides nothing yet."""
    call = Call(kind=FETCH, key="fetch", request={"path": "/v1/x"}, again_after_s=after_s)
    return Question(call=call, reason=reason)


async def test_an_answer_that_decides_nothing_is_asked_for_again_after_a_pause(
    books: Books, outbox: Outbox
) -> None:
    (event_id,) = await books.receive(question())
    await books.work()
    for pause_s in (30, 60, 3_600):
        await outbox.finish((await outbox.claim(FETCH))[0], {"object": {}})
        await means_now(books, event_id, again(pause_s))
        assert await books.work() == {event_id: Outcome("waiting", "not_paid_yet")}
        books.wait(seconds=pause_s - 1)
        assert await outbox.claim(FETCH) == []
        books.wait(seconds=1)
    (call,) = await outbox.claim(FETCH)
    # As one that was never tried: no alarm about a call that is asked each hour.
    assert not call["is_retry"]
    assert len(await calls(books)) == 1


@pytest.mark.parametrize("reason", ["not_paid_yet", "unknown_token_yet"])
async def test_the_next_answer_wakes_the_event(books: Books, outbox: Outbox, reason: str) -> None:
    (event_id,) = await books.receive(question())
    await books.work()
    await outbox.finish((await outbox.claim(FETCH))[0], {"object": {}})
    await means_now(books, event_id, again(30, reason))
    await books.work()
    books.wait(seconds=30)
    await outbox.finish((await outbox.claim(FETCH))[0], {"object": {"is": "paid"}})
    assert await books.outcome(event_id) == Outcome("pending", reason)
    assert await books.breaches() == {}


async def test_an_event_that_wakes_between_two_answers_waits_on(
    books: Books, outbox: Outbox
) -> None:
    (event_id,) = await books.receive(question())
    await books.work()
    await outbox.finish((await outbox.claim(FETCH))[0], {"object": {}})
    await means_now(books, event_id, again(3_600))
    await books.work()
    books.wait(hours=2)
    assert await books.wake() == 1
    await means_now(books, event_id, question())
    assert await books.work() == {event_id: WAITS}
    assert len(await outbox.claim(FETCH)) == 1
