"""BROKER_URL: the queue's address in place of REDIS_URL, which may be RabbitMQ's."""

from __future__ import annotations

import sys

import pytest

from workers.processes import SCHEDULER
from workers.queue.doorbell import Bell
from workers.settings import Settings, SettingsFault, load_settings


def test_it_replaces_the_setting_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("SCHEDULER_DATABASE_URL", "postgresql://x@127.0.0.1:1/x")
    monkeypatch.setenv("BROKER_URL", "amqp://user:pass@queue:5672/fleet")
    assert load_settings(SCHEDULER).queue_url == "amqp://user:pass@queue:5672/fleet"
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    assert str(load_settings(SCHEDULER).queue_url).startswith("amqp://")
    monkeypatch.setenv("BROKER_URL", "")
    assert load_settings(SCHEDULER).queue_url == "redis://cache"


@pytest.mark.parametrize(
    "url",
    [
        "http://queue",
        "amqp://",
        "amqp://user:pa#ss@queue",
        "amqp://user:pa/ss@queue",
        "amqp://queue:0",
        "amqp://queue/a/b",
        "amqp://queue?heartbeat=1",
        "amqp://queue?ssl_ca_certs=/x",
        "amqps://queue?ssl_ca_certs=/no/such/file",
    ],
)
def test_an_address_that_would_not_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="broker_url") as refused:
        Settings(broker_url=url)
    assert "pa#ss" not in str(refused.value)


def test_without_its_package_the_process_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pika", None)
    for name in ("workers.queue.rabbitmq", "dramatiq.brokers.rabbitmq"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SettingsFault, match=r"pip install '\.\[rabbitmq\]'"):
        Bell("amqp://queue")
