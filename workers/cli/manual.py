"""What `--help` says of every command besides its own words: how it ends.

The words of a command are the docstring of its function; here its paragraphs lose the line ends
that the source has, so that they fill any terminal.
"""

from __future__ import annotations

import inspect

import typer

EXIT_CODES = (
    "Exit codes: 0 all is well; 1 something needs a person; 2 it could not be asked or done,"
    " for example because the database can't be reached or an argument is wrong."
)


def complete_help(app: typer.Typer) -> None:
    """Give the application, and each of its commands and groups, the full text of its help."""
    app.info.epilog = EXIT_CODES
    if callback := app.registered_callback:
        callback.epilog = EXIT_CODES
        if callback.callback is not None:
            callback.help = _unbroken(callback.callback)
    for command in app.registered_commands:
        command.epilog = EXIT_CODES
        if command.callback is not None:
            command.help = _unbroken(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            complete_help(group.typer_instance)


def _unbroken(function: object) -> str:
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)
