"""The receiver without its database or its queue, and its probes and metrics; over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NoReturn

import pytest
import pytest_asyncio
import redis
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable
from db.health.readiness import Readiness, ask_readiness
from db.health.vital_signs import read_vital_signs
from tasks import PROCESS_PAYMENT_EVENTS
from tests.conditions import DEADLINE_S, somebody_waits_for_a_lock
from tests.workers.receiving.serving import NOBODY, Web, a_gift, a_purchase, inbox, serving
from tests.workers.serving.listening import until
from workers.receiving.probes import FOUND_AGE_MAX_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from db.health.vital_signs import VitalSigns
    from tests.clusters import Database
    from tests.conftest import Connect


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    """A receiver whose database and queue work."""
    async with serving(database.url("web"), redis_url) as web:
        yield web


# Without the database, without the queue


async def test_without_the_database_a_sender_is_told_to_send_again(redis_url: str) -> None:
    async with serving(f"postgresql://x@{NOBODY}/x", redis_url) as web:
        response = await web.post(a_purchase())
        assert (response.status_code, response.json()) == (503, {"result": "not_stored"})
        assert int(response.headers["retry-after"]) > 0


async def test_without_the_database_the_process_lives_and_is_not_ready(redis_url: str) -> None:
    async with serving(f"postgresql://x@{NOBODY}/x", redis_url) as web:
        assert (await web.client.get("/healthz")).status_code == 200
        response = await web.client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"ready": False, "database": "unreachable", "queue": "reachable"}


async def test_an_outage_that_readiness_finds_is_logged_once(
    database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_pool: Pool) -> Readiness:
        raise DatabaseUnavailable("sorry, too many clients already")

    monkeypatch.setattr("workers.receiving.probes.FOUND_AGE_MAX_S", 0)
    async with serving(database.url("web"), redis_url) as web:
        with capture_logs() as logs:
            monkeypatch.setattr("workers.receiving.probes.ask_readiness", refuse)
            for _ in range(3):
                assert (await web.client.get("/readyz")).status_code == 503
            monkeypatch.setattr("workers.receiving.probes.ask_readiness", ask_readiness)
            for _ in range(2):
                assert (await web.client.get("/readyz")).status_code == 200
    found = [line for line in logs if line["event"].startswith("database_")]
    assert [line["event"] for line in found] == ["database_unreachable", "database_back"]
    assert found[0]["reason"] == "sorry, too many clients already"


async def test_it_is_not_ready_while_commits_hang(
    database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The synchronous standby is gone: all questions are answered, and no webhook is stored."""
    monkeypatch.setattr("workers.receiving.probes.FOUND_AGE_MAX_S", 0)
    hang = asyncio.Event()

    async def never(*_: object) -> NoReturn:
        hang.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def refuse(*_: object) -> NoReturn:
        raise DatabaseUnavailable("no answer within 5 s")

    async with serving(database.url("web"), redis_url) as web:
        with monkeypatch.context() as outage:
            outage.setattr("workers.receiving.probes.check_commits", never)
            # As long as webhooks are stored, a probe writes nothing.
            assert (await web.post(a_purchase())).status_code == 200
            assert (await web.client.get("/readyz")).status_code == 200
            assert not hang.is_set()
            outage.setattr("workers.receiving.probes.PROBE_TIMEOUT_S", 0.2)
            outage.setattr("workers.receiving.application.store_arrivals", refuse)
            assert (await web.post(a_purchase())).status_code == 503
            response = await web.client.get("/readyz")
            assert (response.status_code, response.json()["database"]) == (503, "unreachable")
        # It gets ready without a webhook: a load balancer sends none before.
        monkeypatch.setattr("workers.receiving.probes.PROBE_TIMEOUT_S", DEADLINE_S)
        assert (await web.client.get("/readyz")).status_code == 200
        assert (await web.post(a_purchase())).status_code == 200


async def test_scrapes_of_one_outage_log_it_once(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.receiving.metrics.SNAPSHOT_AGE_MAX_S", 0)
    async with serving(f"postgresql://x@{NOBODY}/x", redis_url) as web:
        with capture_logs() as logs:
            for _ in range(3):
                await web.client.get("/metrics")
    assert [each["event"] for each in logs].count("vital_signs_unreadable") == 1


async def test_without_the_database_metrics_still_answer(redis_url: str) -> None:
    async with serving(f"postgresql://x@{NOBODY}/x", redis_url) as web:
        await web.post(a_purchase())
        response = await web.client.get("/metrics")
        assert response.status_code == 200
        assert metric(response.text, "coinfleet_database_up") == 0
        assert received(response.text, "stripe", "not_stored") == 1


async def test_while_a_migration_is_unapplied_it_is_not_ready(
    empty_database: Database, redis_url: str
) -> None:
    async with serving(empty_database.url(), redis_url) as web:
        response = await web.client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["database"] == "migration_pending"


async def test_without_the_queue_it_is_ready_and_says_so(database: Database) -> None:
    async with serving(database.url("web"), f"redis://{NOBODY}") as web:
        response = await web.client.get("/readyz")
        assert response.status_code == 200
        assert response.json() == {"ready": True, "database": "current", "queue": "unreachable"}


async def test_without_the_queue_webhooks_are_acknowledged(
    database: Database, db: Connection
) -> None:
    async with serving(database.url("web"), f"redis://{NOBODY}") as web:
        assert (await web.post(a_purchase())).status_code == 200
    assert len(await inbox(db)) == 1


async def test_a_stored_webhook_rings_for_the_workers(web: Web, redis_url: str) -> None:
    await web.post(a_purchase())
    with redis.Redis.from_url(redis_url) as queue:
        messages = f"dramatiq:{PROCESS_PAYMENT_EVENTS.queue}"
        await until(lambda: queue.llen(messages) == 1)


async def test_the_first_page_lists_the_routes(web: Web) -> None:
    answer = await web.client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    for path in ("/webhooks/stripe", "/webhooks/app", "/healthz", "/readyz"):
        assert path in answer.text
    assert max(map(len, answer.text.splitlines())) <= 80
    assert (await web.client.head("/")).status_code == 200
    assert (await web.client.post("/")).status_code == 405


async def test_many_probes_ask_the_database_once_per_second(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Pool] = []

    async def ask(pool: Pool) -> Readiness:
        asked.append(pool)
        return await ask_readiness(pool)

    monkeypatch.setattr("workers.receiving.probes.ask_readiness", ask)
    monkeypatch.setattr("workers.receiving.probes.FOUND_AGE_MAX_S", 3600)
    answers = await asyncio.gather(*(web.client.get("/readyz") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) == 1
    monkeypatch.setattr("workers.receiving.probes.FOUND_AGE_MAX_S", 0)
    await web.client.get("/readyz")
    assert len(asked) == 2


async def test_what_readyz_answers_is_at_most_a_second_old() -> None:
    assert FOUND_AGE_MAX_S == 1.0


async def test_probes_and_scrapes_take_no_connection_from_webhooks(
    database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hang(pool: Pool, **_: object) -> None:
        async with pool.acquire():
            await never.wait()

    monkeypatch.setattr("workers.receiving.probes.ask_readiness", hang)
    monkeypatch.setattr("workers.receiving.metrics.read_vital_signs", hang)
    async with serving(database.url("web"), redis_url) as web:
        asking = [
            asyncio.create_task(web.client.get(path)) for path in ("/readyz", "/metrics") * 10
        ]
        answers = await asyncio.gather(*(web.post(a_gift(f"gift-{n}")) for n in range(20)))
        assert {answer.json()["result"] for answer in answers} == {"stored"}
        assert not any(task.done() for task in asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_webhooks_that_hang_take_no_connection_from_probes(
    database: Database,
    redis_url: str,
    db: Connection,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.receiving.application.STORE_CONNECTIONS_MAX", 1)
    webhook = a_gift("gift-1")
    other = await connect("owner")
    async with serving(database.url("web"), redis_url) as web, other.transaction():
        # Another insert of the same event waits for the end of this transaction.
        await other.execute(
            "select fleet.store_events(array['app'], array['gift-1'], array['t'],"
            " array[''::bytea], array[''::bytea], array['pending'], array[null])"
        )
        storing = asyncio.create_task(web.post(webhook))
        await somebody_waits_for_a_lock(db)
        answer = await web.client.get("/readyz")
        assert (answer.status_code, answer.json()["database"]) == (200, "current")
        assert "coinfleet_database_up 1.0" in (await web.client.get("/metrics")).text
        storing.cancel()


# Metrics


def metric(text: str, name: str) -> float:
    values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(values[0])


def received(text: str, provider: str, result: str) -> float:
    return metric(
        text, f'coinfleet_webhooks_received_total{{provider="{provider}",result="{result}"}}'
    )


async def test_each_answer_is_counted_from_nothing_on(web: Web) -> None:
    """An increase is seen only of what was scraped before the first of its kind."""
    text = (await web.client.get("/metrics")).text
    for provider in ("stripe", "apple", "google", "app"):
        for result in ("stored", "seen", "not_stored", "not_authentic", "malformed"):
            assert received(text, provider, result) == 0
    assert metric(text, 'coinfleet_requests_refused_total{cause="crowded"}') == 0


async def test_metrics_show_what_was_received_and_what_waits(web: Web) -> None:
    await asyncio.gather(*(web.post(a_gift(f"gift-{number}")) for number in range(5)))
    await web.post(a_gift("gift-0"))
    await web.client.post("/webhooks/app")
    text = (await web.client.get("/metrics")).text
    assert metric(text, "coinfleet_database_up") == 1
    assert received(text, "app", "stored") == 5
    assert received(text, "app", "conflict") == 1
    assert received(text, "app", "not_authentic") == 1
    assert metric(text, "coinfleet_stored_batch_size_sum") == 6
    assert metric(text, 'coinfleet_events{provider="app",state="pending"}') == 5
    assert metric(text, "coinfleet_events_held") == 0
    assert metric(text, "coinfleet_events_dead") == 0
    assert metric(text, "coinfleet_ledger_drift") == 0
    assert metric(text, "coinfleet_oldest_pending_seconds") >= 0


async def test_many_scrapes_ask_the_database_once_per_second(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def read(pool: Pool, *, timeout_s: float) -> VitalSigns:
        asked.append(timeout_s)
        return await read_vital_signs(pool, timeout_s=timeout_s)

    monkeypatch.setattr("workers.receiving.metrics.read_vital_signs", read)
    monkeypatch.setattr("workers.receiving.metrics.SNAPSHOT_AGE_MAX_S", 3600)
    await asyncio.gather(*(web.client.get("/metrics") for _ in range(10)))
    assert len(asked) == 1
    monkeypatch.setattr("workers.receiving.metrics.SNAPSHOT_AGE_MAX_S", 0)
    await web.client.get("/metrics")
    assert len(asked) == 2


async def test_metrics_show_how_long_workers_take(web: Web, db: Connection) -> None:
    await db.execute(
        "insert into fleet.worker_reports"
        " (worker, started_at, batches, events, apply_ms_total, apply_buckets)"
        " values ('w1', now(), 3, 40, 60, array[1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0])"
    )
    text = (await web.client.get("/metrics")).text
    assert metric(text, 'coinfleet_apply_seconds_count{worker="w1"}') == 3
    assert metric(text, 'coinfleet_apply_seconds_sum{worker="w1"}') == pytest.approx(0.06)
    assert metric(text, 'coinfleet_apply_seconds_bucket{le="0.01",worker="w1"}') == 1
    assert metric(text, 'coinfleet_apply_seconds_bucket{le="0.025",worker="w1"}') == 3
    assert metric(text, 'coinfleet_events_applied_total{worker="w1"}') == 40


async def test_metrics_count_events_by_outcome(web: Web, db: Connection) -> None:
    await db.execute(
        "insert into fleet.worker_reports (worker, started_at, events, detail)"
        " values ('box:1', now(), 2, $1)",
        json.dumps(
            {
                "outcomes": [
                    {"state": "applied", "reason": "", "events": 2},
                    {"state": "rejected", "reason": "malformed", "events": 3},
                ],
                "failures": [{"error": "22P02", "attempts": 5}],
                "latency_s_total": 0.4,
                "latency_buckets": [0] * 4 + [1, 1] + [0] * 10,
            }
        ),
    )
    text = (await web.client.get("/metrics")).text
    outcomes = "coinfleet_event_outcomes_total"
    assert metric(text, outcomes + '{reason="",state="applied",worker="box:1"}') == 2
    assert metric(text, outcomes + '{reason="malformed",state="rejected",worker="box:1"}') == 3
    assert metric(text, 'coinfleet_event_failures_total{error="22P02",worker="box:1"}') == 5
    latency = "coinfleet_received_to_applied_seconds"
    assert metric(text, latency + '_count{worker="box:1"}') == 2
    assert metric(text, latency + '_bucket{le="0.1",worker="box:1"}') == 0
    assert metric(text, latency + '_bucket{le="0.25",worker="box:1"}') == 1
    assert metric(text, latency + '_sum{worker="box:1"}') == pytest.approx(0.4)


async def test_metrics_show_a_scheduler_that_fires_nothing_and_a_job_that_is_not_done(
    web: Web, db: Connection
) -> None:
    await db.execute(
        "insert into fleet.schedules (job, cadence_s, offset_s, fired_at)"
        " values ('fired', 60, 0, now() - interval '5 minutes'), ('done', 60, 0, now())"
    )
    await db.execute(
        "insert into fleet.ticks (job, tick, finished_at, outcome)"
        " values ('done', 1, now() - interval '10 minutes', 'done')"
    )
    text = (await web.client.get("/metrics")).text
    assert metric(text, 'coinfleet_job_fired_age_seconds{schedule="fired"}') >= 300
    assert metric(text, 'coinfleet_job_fired_age_seconds{schedule="done"}') < 300
    assert metric(text, 'coinfleet_job_done_age_seconds{schedule="done"}') >= 600
    assert 'coinfleet_job_done_age_seconds{schedule="fired"}' not in text


async def test_metrics_show_held_events_by_reason_with_the_age_of_the_oldest(
    web: Web, db: Connection
) -> None:
    await asyncio.gather(*(web.post(a_gift(f"gift-{number}")) for number in range(3)))
    await db.execute(
        "update fleet.inbox_events set state = 'held', reason = 'over_limit',"
        " received_at = now() - interval '1 minute' * id"
    )
    await db.execute("update fleet.inbox_events set reason = 'velocity' where id = 1")
    text = (await web.client.get("/metrics")).text
    assert metric(text, 'coinfleet_held_events{reason="over_limit"}') == 2
    assert metric(text, 'coinfleet_held_events{reason="velocity"}') == 1
    assert metric(text, 'coinfleet_held_oldest_seconds{reason="over_limit"}') >= 180
    assert metric(text, 'coinfleet_held_oldest_seconds{reason="velocity"}') < 180
