"""The broker: what is in it, what is kept out, and that the stock command runs it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import redis
from dramatiq.middleware import AsyncIO, Pipelines, Retries
from dramatiq.results import Results

from db.ticks import Tick
from tasks import MAKE_PROVIDER_CALLS, PROCESS_PAYMENT_EVENTS, TASKS, UPDATE_PUBLISH_STATE
from tests.conditions import eventually
from workers.queue.broker import RunsRuntime, make_broker
from workers.queue.client import QueueBroker
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from db.connections.pool import Connection
    from tests.servers.gate import Gate
    from tests.workers.conftest import Run

STOCK = ("dramatiq", "workers.queue.broker:set_up", "--processes", "1", "--threads", "2")


@pytest.fixture
def broker() -> Iterator[QueueBroker]:
    """A broker that has not connected."""
    broker = make_broker(
        Settings(
            redis_url="redis://127.0.0.1:1",
            worker_database_url="postgresql://coinfleet_worker@127.0.0.1:1/coinfleet",
        )
    )
    yield broker
    broker.close()


def test_each_task_is_an_actor_on_its_queue(broker: QueueBroker) -> None:
    assert {name: actor.queue_name for name, actor in broker.actors.items()} == {
        task.name: task.queue for task in TASKS
    }


def test_each_actor_drops_messages_that_are_too_old(broker: QueueBroker) -> None:
    assert {name: actor.options["max_age"] for name, actor in broker.actors.items()} == {
        task.name: task.max_age_ms for task in TASKS
    }


def test_nothing_is_retried_kept_or_chained_by_the_queue(broker: QueueBroker) -> None:
    assert not any(isinstance(m, (Retries, Results, Pipelines)) for m in broker.middleware)


def test_the_runtime_closes_before_the_loop_ends(broker: QueueBroker) -> None:
    kinds = [type(middleware) for middleware in broker.middleware]
    assert kinds.index(AsyncIO) < kinds.index(RunsRuntime)


@pytest.mark.parametrize(
    ("args", "ticks"),
    [
        (("publish_state", 7), [Tick("publish_state", 7)]),
        (("publish_state", 7, "what a newer release says"), [Tick("publish_state", 7)]),
        ((), []),
        (("publish_state",), []),
        (("publish_state", "7"), []),
        (("publish_state", 2**63), []),
        ((["publish_state"], 7), []),
    ],
)
async def test_a_message_may_say_more_or_less_than_this_release_knows(
    broker: QueueBroker,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[object, ...],
    ticks: list[Tick],
) -> None:
    rung: list[object] = []

    async def run_tick(tick: Tick) -> None:
        rung.append(tick)

    runs = next(each for each in broker.middleware if isinstance(each, RunsRuntime))
    runtime = SimpleNamespace(
        run_tick=run_tick,
        ring=lambda: rung.append("rung"),
        ring_for_calls=lambda: rung.append("rung for calls"),
    )
    monkeypatch.setattr(runs, "runtime", runtime, raising=False)
    await broker.actors[UPDATE_PUBLISH_STATE.name].fn.__wrapped__(*args, newer=True)
    assert rung == ticks
    await broker.actors[PROCESS_PAYMENT_EVENTS.name].fn.__wrapped__(*args, newer=True)
    await broker.actors[MAKE_PROVIDER_CALLS.name].fn.__wrapped__(*args, newer=True)
    assert rung == [*ticks, "rung", "rung for calls"]


def test_importing_it_does_nothing() -> None:
    program = (
        "import threading, dramatiq.broker;"
        "import workers.queue.broker, workers.consumer, workers.scheduler;"
        "assert threading.active_count() == 1;"
        "assert dramatiq.broker.global_broker is None"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": "."})


async def test_a_queue_that_froze_looks_like_one_that_is_gone(queue_gate: Gate) -> None:
    await queue_gate.freeze()
    broker = QueueBroker(queue_gate.url, middleware=[])
    with pytest.raises(redis.ConnectionError):
        await asyncio.to_thread(broker.do_qsize, "payments")
    broker.close()


@pytest.mark.long
async def test_the_stock_command_works_and_ends(run: Run, db: Connection) -> None:
    await db.execute("insert into fleet.ticks (job, tick) values ('publish_state', 1)")
    stock = await run(*STOCK)
    await eventually(lambda: db.fetchval("select outcome = 'done' from fleet.ticks"))
    stock.signal(signal.SIGTERM)
    assert await stock.ended() == 0


async def test_the_stock_command_ends_when_the_database_refuses_it(
    run: Run, environment: dict[str, str]
) -> None:
    wrong = environment["WORKER_DATABASE_URL"].replace(":test@", ":wrong@")
    stock = await run(*STOCK, WORKER_DATABASE_URL=wrong)
    assert await stock.ended() != 0
