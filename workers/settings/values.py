"""Types of values that several settings, or the fleet's own, may have, each with its check.

A check says what is wrong and never quotes the value, because the value may be a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from db.connections.address import Address
from db.connections.parameters import AddressFault
from tasks.providers import PROVIDERS
from tasks.providers.base_address import check_address, check_base_address
from workers.settings.queue_address import check_broker_address, check_redis_address

# The key of a field's extra data under which the value for development is kept.
DEVELOPMENT = "development"
# The key of the setting in whose place this one stands: of the two, one is set.
IN_PLACE_OF = "in_place_of"
# The key that marks a field without which no event of its provider can be verified.
TO_RECEIVE = "to_receive"
# The keys that mark a field whose value only the process that receives events, or the one that
# calls providers, may know.
FOR_RECEIVING = "for_receiving"
# Its value is whether who sets the field wants the provider's events, too.
FOR_CALLS = "for_calls"
# The key that marks a field whose value only the console may know.
FOR_CONSOLE = "for_console"


def webhook_secrets(*, development: str) -> Any:
    """Return the field for a provider's webhook secrets, a tuple that is never shown.

    `development` is the secret that the embedded mode uses while the setting is unset.
    """
    return Field(
        default=(),
        repr=False,
        json_schema_extra={DEVELOPMENT: development, TO_RECEIVE: True, FOR_RECEIVING: True},
    )


def needed_to_receive(default: Any = None) -> Any:
    """Return a field without which no event of its provider can be verified; it is no secret."""
    return Field(default=default, json_schema_extra={TO_RECEIVE: True})


def receiving_secret(*, development: str, in_place_of: str) -> Any:
    """Return the field for a secret that only the process that receives events may know.

    The embedded mode uses `development` unless the setting `in_place_of` is set.
    """
    return Field(
        default=None,
        repr=False,
        json_schema_extra={
            DEVELOPMENT: development,
            IN_PLACE_OF: in_place_of,
            FOR_RECEIVING: True,
        },
    )


def api_key() -> Any:
    """Return the field for a provider's API key, which is never shown; unset, calls wait."""
    return Field(default=None, repr=False, json_schema_extra={FOR_CALLS: True})


def console_secret() -> Any:
    """Return the field for a secret that only the console may know, which is never shown."""
    return Field(default=None, repr=False, min_length=32, json_schema_extra={FOR_CONSOLE: True})


def _split(value: object) -> object:
    """Split a list at its commas, with or without blanks; a last comma may end it.

    Raises ValueError for any other empty item, because a value may have got lost there.
    """
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if not all(parts):
        raise ValueError("has an empty item; write one comma between two items")
    return tuple(parts)


def _postgres_address(value: str) -> str:
    try:
        Address.parse(value)
    # From None, so that nothing of the value is quoted.
    except AddressFault as fault:
        raise ValueError(str(fault)) from None
    return value


def _listen_addresses(value: str) -> str:
    hosts = [host.strip().removeprefix("[").removesuffix("]") for host in value.split(",")]
    if not all(hosts):
        raise ValueError("names no address; write one, or several with commas: 0.0.0.0,::")
    return ",".join(hosts)


def _provider_name(value: str) -> str:
    names = [provider.name for provider in PROVIDERS]
    if value not in names:
        raise ValueError(f"each must be one of {', '.join(names)}; write a comma between two")
    return value


def _worker_name(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,100}", value):
        raise ValueError("must be at most 100 characters of ASCII, without blanks")
    return value


def _sentry_address(value: str) -> str:
    parts = urlsplit(value)
    # <scheme>://<public key>@<host>/<number of the project>
    if not (parts.username and parts.hostname and parts.path.rpartition("/")[2].isdigit()):
        raise ValueError("must be as Sentry shows it: https://<key>@<host>/<project>")
    check_base_address(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    return value


CommaSeparated = (NoDecode, BeforeValidator(_split))
PostgresAddress: TypeAlias = Annotated[str, AfterValidator(_postgres_address)]
BrokerAddress: TypeAlias = Annotated[str, AfterValidator(check_broker_address)]
RedisAddress: TypeAlias = Annotated[str, AfterValidator(check_redis_address)]
ListenAddresses: TypeAlias = Annotated[str, AfterValidator(_listen_addresses)]
BaseAddress: TypeAlias = Annotated[str, AfterValidator(check_base_address)]
HttpAddress: TypeAlias = Annotated[str, AfterValidator(check_address)]
ProviderName: TypeAlias = Annotated[str, AfterValidator(_provider_name)]
SentryAddress: TypeAlias = Annotated[str, AfterValidator(_sentry_address)]
WorkerName: TypeAlias = Annotated[str, AfterValidator(_worker_name)]
