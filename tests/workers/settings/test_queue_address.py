"""The queue's address: each part works or is named, and none of its values is ever said."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.settings.queue_address import check_redis_address, server_of

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://queue", "queue:6379"),
        ("redis://queue/", "queue:6379"),
        ("redis://queue:6380/15", "queue:6380"),
        ("redis://", "localhost:6379"),
        ("redis://:p%40%2F%23@queue:6379/0", "queue:6379"),
        ("redis://:p@w@queue:6379/0", "queue:6379"),
        ("redis://coinfleet:pass%20word@queue/0?protocol=3", "queue:6379"),
        ("redis://[::1]:6380/0", "[::1]:6380"),
        ("redis://queue?db=3&client_name=coinfleet&socket_keepalive=true", "queue:6379"),
        ("rediss://queue:6380/0", "queue:6380"),
        ("rediss://queue?ssl_cert_reqs=none", "queue:6379"),
        ("rediss://queue?ssl_cert_reqs=required&ssl_check_hostname=false", "queue:6379"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
        ("unix://u:p@/run/redis.sock", "/run/redis.sock"),
    ],
)
def test_an_ordinary_address_is_taken_and_names_its_server(url: str, server: str) -> None:
    assert check_redis_address(url) == url
    assert server_of(url) == server


def test_a_line_break_after_an_address_is_no_part_of_it() -> None:
    assert check_redis_address("redis://queue\n") == "redis://queue"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://:hunter2@queue", "must start with redis://"),
        ("queue:6379", "must start with redis://"),
        *((f"redis://:{SECRET}{sign}x@queue/0", "isn't an address") for sign in "/?#["),
        (f"redis://:{SECRET}@queue:http/0", "isn't an address"),
        (f"redis://:{SECRET}@queue:70000/0", "isn't an address"),
        (f"redis://:{SECRET}@queue:0/0", "a number from 1 to 65535"),
        (f"redis://:{SECRET} x@queue", "has a blank"),
        (f"redis://:{SECRET}@queue/zero", "must be a number"),
        (f"redis://:{SECRET}@queue/1/2", "must be a number"),
        (f"redis://:{SECRET}@queue/-1", "must be a number"),
        (f"redis://:{SECRET}@queue?db=one", "db must be a number"),
        (f"redis://:{SECRET}@q1:6379,q2:6379/0", "several servers"),
        (f"redis://:{SECRET}@queue?{SECRET}", "isn't an address"),
        (f"unix://:{SECRET}@run/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
    ],
)
def test_what_cannot_be_read_is_named_without_a_value(url: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause) as fault:
        check_redis_address(url)
    assert SECRET not in str(fault.value)


@pytest.mark.parametrize(
    "parameter",
    [
        "ssl=true",
        "tls=true",
        "sslmode=require",
        "socket_timeout=60",
        "socket_connect_timeout=60",
        "retry_on_timeout=true",
        "max_connections=1",
        "health_check_interval=0",
        "protocol=4",
        "ssl_cert_reqs=CERT_NONE",
        "ssl_check_hostname=maybe",
        "ssl_ca_certs=/nonexistent/ca",
        "ssl_ca_path=",
        "ssl_certfile=/nonexistent/cert",
        "ssl_keyfile=/nonexistent/key",
        "ssl_min_version=771",
        "decode_responses=true",
    ],
)
def test_a_parameter_that_does_not_work_is_named(parameter: str) -> None:
    name = parameter.partition("=")[0]
    with pytest.raises(ValueError, match=name):
        check_redis_address(f"rediss://:{SECRET}@queue?{parameter}")


@pytest.mark.parametrize("name", ["ssl_cert_reqs=none", "ssl_ca_certs=/etc/ssl/ca.pem"])
def test_tls_is_not_asked_for_by_a_parameter_alone(name: str) -> None:
    with pytest.raises(ValueError, match="rediss://"):
        check_redis_address(f"redis://queue?{name}")


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca"
    file.write_text("no certificate")
    with pytest.raises(ValueError, match="ssl_ca_certs names a file that can't be used"):
        check_redis_address(f"rediss://queue?ssl_ca_certs={file}")
