"""`coinfleet replay`: the group of its commands."""

from __future__ import annotations

import typer

from workers.cli.replay import deliveries

group = typer.Typer(no_args_is_help=True, help="Have things done again.")
group.command("deliveries")(deliveries.command)
