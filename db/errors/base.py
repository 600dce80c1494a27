"""The base class of coinfleet's errors, and the errors of a database that can't be used."""

from __future__ import annotations


class CoinfleetError(Exception):
    """Something went wrong in coinfleet.

    Without a message, the first line of the class's docstring is the message.
    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class DatabaseUnavailable(CoinfleetError):
    """The database is unreachable or refuses work for now; the same call may succeed later.

    `reason` is the cause alone, for the log, where the message is a sentence for a person.
    """

    def __init__(self, message: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class DatabaseRefused(DatabaseUnavailable):
    """The database can't be used at this address: a fault of configuration.

    Waiting doesn't cure it, so it ends a process at its start. Later it counts as an outage: a
    person may correct the server while the process lives.
    """


class ReadOnlyServer(DatabaseUnavailable):
    """The server takes no writes: a standby, or `default_transaction_read_only` is on."""


class NoSessionFree(DatabaseUnavailable):
    """The database has no session left for this process, and none of its own became free."""
