"""The one place where a driver's error that passes becomes DatabaseUnavailable."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from db.errors.base import DatabaseUnavailable
from db.errors.descriptions import describe
from db.errors.fates import is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator


def unavailable(error: BaseException, *, place: object = None) -> DatabaseUnavailable:
    """Return the error to raise, from `error`, when the same call may succeed later.

    `place` is the server that was asked, as its address names it.
    """
    reason = describe(error)
    where = f" at {place}" if place else ""
    return DatabaseUnavailable(
        f"The database{where} could not do this just now ({reason}); try it again later",
        reason=reason,
    )


@contextmanager
def raising_unavailable(*, place: object = None) -> Iterator[None]:
    """Raise DatabaseUnavailable in place of a lost connection or another error that passes.

    A DatabaseUnavailable goes through as it is, and so does an error that waiting doesn't cure.
    """
    try:
        yield
    except DatabaseUnavailable:
        raise
    except Exception as error:
        if is_transient(error):
            raise unavailable(error, place=place) from error
        raise
