"""`coinfleet …`: what operators type. Each command is a module here with a function `command`."""

from __future__ import annotations

from importlib import import_module

import typer

# The names as typed; a module has _ for -.
COMMANDS = ("up", "database-url", "migrate", "status", "simulate", "erase", "upgrade")


def make_app() -> typer.Typer:
    """The application with every command; modules are imported here and not before."""
    app = typer.Typer(
        name="coinfleet",
        help="A worker fleet that turns payment events, gifts and heartbeats into exact balances.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in COMMANDS:
        module = import_module(f"workers.cli.{name.replace('-', '_')}")
        app.command(name)(module.command)
    return app


def main() -> None:
    """Entry point of the console script."""
    make_app()()
