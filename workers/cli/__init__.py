"""`coinfleet`: the commands that operators type. COMMANDS names them all."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from workers.cli.endings import run_command
from workers.cli.manual import complete_help
from workers.cli.terminal import write
from workers.streams import prepare_streams
from workers.termination import end_process
from workers.version import release_version

# Each command as typed, and its module.
COMMANDS: Mapping[str, str] = {
    "up": "workers.cli.up",
    "env": "workers.cli.env",
    "database-url": "workers.cli.database_url",
    "migrate": "workers.cli.migrate",
    "status": "workers.cli.status.command",
    "doctor": "workers.cli.doctor.command",
    "explain": "workers.cli.explain.command",
    "backfill": "workers.cli.backfill.command",
    "purchases": "workers.cli.purchases.command",
    "replay": "workers.cli.replay.group",
    "rates": "workers.cli.rates.command",
    "schedules": "workers.cli.schedules.command",
    "simulate": "workers.cli.simulate.command",
    "adjust": "workers.cli.adjust",
    "console": "workers.cli.console",
    "erase": "workers.cli.erase",
    "upgrade": "workers.cli.upgrade.command",
}


def make_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the application with these commands; only now their modules are imported."""
    app = typer.Typer(
        name="coinfleet",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # Without a callback an application with one command would not expect its name.
    app.callback()(_coinfleet)
    for name in names:
        module = import_module(COMMANDS[name])
        if hasattr(module, "group"):
            app.add_typer(module.group, name=name)
        else:
            settings = getattr(module, "CONTEXT_SETTINGS", None)
            app.command(name, context_settings=settings)(module.command)
    complete_help(app)
    return app


def _show_version(value: bool) -> None:  # noqa: FBT001 -- typer calls it so
    if value:
        write(f"coinfleet {release_version()}")
        raise typer.Exit


def _coinfleet(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """A worker fleet that turns payment events, gifts and heartbeats into exact balances."""


def _check_folder() -> None:
    """Exit with one line if the current folder is gone: no relative path would work."""
    try:
        Path.cwd()
    except OSError as error:
        sys.exit(f"coinfleet: the current folder can't be used ({error.strerror}): go to another")


def main() -> None:
    """Run the command that was typed; the modules of the others are not imported."""
    prepare_streams()
    typed = [name for name in COMMANDS if name in sys.argv[1:2]]

    def command() -> None:
        _check_folder()
        make_app(typed or COMMANDS)()

    end_process(run_command(command, as_json="--json" in sys.argv[1:]))
