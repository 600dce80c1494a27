"""Two of the three fates of work that fails. Whatever else is raised is a bug of ours."""

from __future__ import annotations


class TaskError(Exception):
    """A task could not do its work."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class Permanent(TaskError):
    """The same input will fail again: record an outcome, don't retry."""


class Transient(TaskError):
    """The same input may work later: try it again, with backoff."""
