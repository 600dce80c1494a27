"""`coinfleet up`, which `make run` calls: the whole fleet in one terminal."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from workers.cli.endings import NEEDS_A_PERSON, CommandFailed
from workers.embedded import EmbeddedServerError, StartInterrupted
from workers.logs import configure_logging
from workers.settings import load_settings
from workers.supervisor import Fleet, FleetFailed, Signals


def command(
    *,
    mock_providers: Annotated[
        bool,
        typer.Option(
            "--mock-providers",
            help="Also run servers that stand in for the providers, and use those.",
        ),
    ] = False,
) -> None:
    """Run PostgreSQL, Valkey and every process of the Procfile until Ctrl-C.

    If DATABASE_URL or REDIS_URL is set, that server is used instead of an embedded one.
    """
    settings = load_settings()
    configure_logging(settings.log_format)
    try:
        Fleet(settings, os.environ, mock_providers=mock_providers).run(Signals())
    except StartInterrupted:
        return
    except (FleetFailed, EmbeddedServerError) as error:
        raise CommandFailed(f"coinfleet: {error}", code=NEEDS_A_PERSON) from error
