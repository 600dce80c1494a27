"""Addresses of a database: what each parameter means, and that none is dropped silently."""

from __future__ import annotations

import pytest

from db.connections.address import Address, Host
from db.connections.parameters import AddressFault
from db.connections.pooler import Pooling

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "pooling"),
    [
        ("postgresql://u:p@h:5432/d", "none"),
        ("postgresql://u:p@h/d?pooler=transaction", "transaction"),
        ("postgresql://u:p@h/d?pooler=session", "session"),
        ("postgresql://u:p@h/d?sslmode=require&pooler=transaction", "transaction"),
        ("postgresql://u:p@h/d?pgbouncer=true", "transaction"),
        ("postgresql://u:p@h/d?pgbouncer=false", "none"),
        ("postgresql://u:p@h:6543/d?pgbouncer=true&pooler=session", "session"),
        ("postgresql://u:p@h:6543/d", "transaction"),
        ("postgresql://u:p@h:6543/d?pooler=none", "none"),
        ("postgresql://u.ref:p@aws-0-eu.pooler.supabase.com:5432/d", "session"),
        ("postgresql://u.ref:p@aws-0-eu.pooler.supabase.com:6543/d", "transaction"),
        ("postgres://u:p@h:6543/d?sslmode=require&supa=base-pooler.x", "transaction"),
    ],
)
def test_an_address_tells_its_pooler_by_a_parameter_or_is_supabases(url: str, pooling: str) -> None:
    assert Address.parse(url).pooling is Pooling(pooling)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u@h1:5432,h2:5433/d", [("h1", 5432), ("h2", 5433)]),
        ("postgresql://u@h1,h2:5433,h3/d", [("h1", None), ("h2", 5433), ("h3", None)]),
        ("postgresql://u@[::1]:5433,h2/d", [("::1", 5433), ("h2", None)]),
        ("postgresql://u@h1,[2001:db8::1]/d", [("h1", None), ("2001:db8::1", None)]),
        ("postgresql://u@h1,h2/d?port=6000", [("h1", 6000), ("h2", 6000)]),
        ("postgresql://u@h1,h2/d?port=6000,6001", [("h1", 6000), ("h2", 6001)]),
        ("postgresql:///d?host=/run/postgresql&port=5433", [("/run/postgresql", 5433)]),
        ("postgresql://u@%2Frun%2Fpostgresql/d", [("/run/postgresql", None)]),
        ("postgresql:///d?host=h1,h2", [("h1", None), ("h2", None)]),
        ("postgresql://", [(None, None)]),
        ("  postgresql://u@h/d\n", [("h", None)]),
    ],
)
def test_hosts_and_ports_are_read_as_libpq_reads_them(
    url: str, hosts: list[tuple[str | None, int | None]]
) -> None:
    assert Address.parse(url).hosts == tuple(Host(*host) for host in hosts)


def test_user_password_and_database_are_unquoted() -> None:
    address = Address.parse("postgresql://a%40b:p%2F%3A%25%20w:x@h/my%20db")
    assert (address.user, address.password, address.database) == ("a@b", "p/:% w:x", "my db")
    address = Address.parse("postgresql://h/?user=u&password=p&dbname=d")
    assert (address.user, address.password, address.database) == ("u", "p", "d")


@pytest.mark.parametrize(
    "rest",
    [
        *(f"u:{SECRET}{sign}x@h/d" for sign in "@/?#[]%"),
        *(f"u:{sign}{SECRET}@h:5432/d?sslmode=require" for sign in "@/?#[]%"),
        *(f"u:1{sign}{SECRET}@h:5432/d" for sign in "/?#"),
        f"u:{SECRET}@x@h1:5432,h2:5432/d",
        f"u:%ff{SECRET}@h/d",
        f"u:{SECRET}",
        f"u:{SECRET}@h:http/d",
        f"u:{SECRET}@h:0/d",
        f"u:{SECRET}@h:70000/d",
        f"u:{SECRET}@h:5432,/d",
        f"u:{SECRET}@h..example/d",
        f"u:{SECRET}@{'h' * 64}.example/d",
        f"u:{SECRET} x@h/d",
        f"u:{SECRET}\nx@h/d",
        f"u:{SECRET}@h1,h2,h3/d?port=1,2",
        f"u:{SECRET}@h:5432/d?port=5432",
        f"u:{SECRET}@h/d?host=h2",
        f"u:{SECRET}@h/d?{SECRET}",
        f"u:{SECRET}@h/d?x={SECRET}",
    ],
)
def test_what_cannot_be_read_is_refused_without_a_value(rest: str) -> None:
    with pytest.raises(AddressFault) as fault:
        Address.parse(f"postgresql://{rest}")
    assert SECRET not in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("url", ["mysql://u@h/d", "h:5432/d", "", "u:p@h/d", "postgresql:/h/d"])
def test_what_is_no_address_of_postgresql_is_refused(url: str) -> None:
    with pytest.raises(AddressFault, match="must start with postgresql://"):
        Address.parse(url)


@pytest.mark.parametrize(
    "parameter",
    [
        "pooler=statement",
        "pgbouncer=yes",
        "sslmode=on",
        "sslmode=no-verify",
        "ssl=true",
        "channel_binding=require",
        "gssencmode=require",
        "require_auth=scram-sha-256",
        "requirepeer=postgres",
        "sslcertmode=require",
        "load_balance_hosts=random",
        "target_session_attrs=standby",
        "target_session_attrs=prefer-standby",
        "target_session_attrs=read-only",
        "target_session_attrs=primry",
        "connect_timeout=soon",
        "keepalives=yes",
        "keepalives_idle=1m",
        "client_encoding=LATIN1",
        "service=production",
        "schema=public",
        "connection_limit=5",
        "statement_timeout=5000",
        "replication=database",
        "hostaddr=10.0.0.1",
        "Sslmode=require",
    ],
)
def test_a_parameter_that_is_not_supported_is_named(parameter: str) -> None:
    name, _, _ = parameter.partition("=")
    with pytest.raises(AddressFault, match=name) as fault:
        Address.parse(
            f"postgresql://u:{SECRET}@h/d?sslmode=disable&{parameter}".replace(
                "sslmode=disable&sslmode", "sslmode"
            )
        )
    assert SECRET not in str(fault.value)
    assert "\n" not in str(fault.value)


def test_the_systems_certificates_are_for_a_full_check_alone() -> None:
    with pytest.raises(AddressFault, match="sslmode=verify-full"):
        Address.parse("postgresql://h/d?sslrootcert=system&sslmode=require")
    assert Address.parse("postgresql://h/d?sslrootcert=system").tls == {"sslrootcert": "system"}


@pytest.mark.parametrize(("written", "seconds"), [("10", 10), ("0", None), ("-1", None)])
def test_a_connection_has_a_bound_whatever_its_timeout_says(
    written: str, seconds: float | None
) -> None:
    address = Address.parse(f"postgresql://h/d?connect_timeout={written}")
    assert address.connect_timeout_s == seconds


def test_an_address_shows_no_password() -> None:
    address = Address.parse(f"postgresql://u:{SECRET}@h1,[::1]:5433/d?sslpassword={SECRET}")
    assert str(address) == "h1:5432,[::1]:5433"
    assert SECRET not in repr(address)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("pooler=statement", "transaction"),
        ("pgbouncer=yes", "true or false"),
        ("keepalives=yes", "0 or 1"),
        ("sslmode=on", "verify-full"),
        ("client_encoding=LATIN1", "UTF8"),
    ],
)
def test_a_value_that_is_not_supported_is_told_with_those_that_are(
    parameter: str, values: str
) -> None:
    with pytest.raises(AddressFault) as fault:
        Address.parse(f"postgresql://u:p@h/d?{parameter}")
    assert values in str(fault.value)
    assert "remove it" not in str(fault.value)


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ("host=h2", "host"),
        ("port=5433", "port"),
        ("user=v", "user"),
        (f"password={SECRET}", "password"),
        ("dbname=e", "database"),
    ],
)
def test_what_an_address_names_twice_is_said_to_be_named_twice(parameter: str, what: str) -> None:
    with pytest.raises(AddressFault, match=f"names its {what} twice") as fault:
        Address.parse(f"postgresql://u:{SECRET}@h:5432/d?{parameter}")
    assert SECRET not in str(fault.value)
