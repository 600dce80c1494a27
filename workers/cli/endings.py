"""How a command ends: 0 all is well, 1 something needs a person, 2 it could not ask.

A command that can't do its work ends with one line on standard error. With --json there is a JSON
object on standard output in every case, whatever went wrong.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from db.connections.pooler import PoolerUndeclared, SessionNeeded
from db.connections.roles import NotReleased
from db.errors import CoinfleetError, DatabaseUnavailable, argument_fault, server_message
from workers.cli.terminal import discard_output, write

NEEDS_A_PERSON = 1
NOT_ASKED = 2
# What a shell reports for a program that Ctrl-C ended.
INTERRUPTED = 130
# Nothing was asked of the database, or it gave no answer.
_UNASKED = (DatabaseUnavailable, NotReleased, PoolerUndeclared, SessionNeeded)


class CommandFailed(SystemExit):
    """Ends the command with one line on standard error and this exit code."""

    def __init__(self, message: str, *, code: int = NOT_ASKED) -> None:
        super().__init__(code)
        self.message = message


class CommandEnded(SystemExit):
    """Ends a command that has said all by itself, in JSON where that was asked for."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the command with one line if a CoinfleetError is raised inside."""
    try:
        yield
    except CoinfleetError as error:
        raise failed(error) from error


def failed(error: CoinfleetError) -> CommandFailed:
    """Return how a command ends after this error."""
    code = NOT_ASKED if isinstance(error, _UNASKED) else NEEDS_A_PERSON
    return CommandFailed(f"coinfleet: {error}", code=code)


def run_command(command: Callable[[], object], *, as_json: bool) -> int:
    """Run a command and return its exit code; only an unexpected error without --json is raised."""
    try:
        command()
    except CommandFailed as end:
        return _fail(end.message, code=int(str(end.code)), as_json=as_json)
    except SystemExit as end:
        # The printer of --help raises it so if the reader of its output has closed it.
        if isinstance(end.__context__, BrokenPipeError):
            discard_output()
            return 0
        # sys.exit with a message.
        if isinstance(end.code, str):
            return _fail(end.code, code=NOT_ASKED, as_json=as_json)
        if end.code == NOT_ASKED and as_json and not isinstance(end, CommandEnded):
            _write_error("the arguments are wrong: standard error says which")
        return int(end.code or 0)
    except BrokenPipeError:
        discard_output()
    # The edge of the process: with --json there must be JSON after an unexpected error, too.
    except Exception as error:  # noqa: BLE001 -- raised again there
        return _end_unexpected(error, as_json=as_json)
    return 0


def _end_unexpected(error: Exception, *, as_json: bool) -> int:
    if fault := argument_fault(error):
        return _fail(f"coinfleet: {fault}", code=NOT_ASKED, as_json=as_json)
    # The fault is in the database, not in our code: an unreadable page, a view that fails.
    if said := server_message(error):
        message = f"coinfleet: the database answered with an error: {said}"
        return _fail(message, code=NOT_ASKED, as_json=as_json)
    if not as_json:
        raise error
    traceback.print_exception(error)
    _write_error(f"{type(error).__name__}: {error}")
    return NOT_ASKED


def _fail(message: str, *, code: int, as_json: bool) -> int:
    sys.stderr.write(message + "\n")
    if as_json:
        _write_error(message.removeprefix("coinfleet: "))
    return code


def _write_error(message: str) -> None:
    answer = {"healthy": False, "attention": [message], "error": message}
    write(msgspec.json.format(msgspec.json.encode(answer)).decode())
