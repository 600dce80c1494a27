"""`coinfleet replay`: the group of its commands. Without one of their names it is of events."""

from __future__ import annotations

import typer

from workers.cli.replay import calls, command, deliveries

group = typer.Typer(no_args_is_help=True, invoke_without_command=True)
group.callback()(command.command)
group.command("calls")(calls.command)
group.command("deliveries")(deliveries.command)
