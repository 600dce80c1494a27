"""Templates: how a page becomes HTML. Everything is escaped; numbers and times are text.

A number never passes through JavaScript, which rounds what is 2^53 or more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workers.cli.words import ago, counted, duration
from workers.console.assets import asset_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FOLDER = Path(__file__).with_name("templates")


def make_environment() -> Environment:
    """Return the templates with their filters; a name that a page does not pass is an error."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "ago": ago,
        "duration": duration,
        "number": lambda value: f"{value:,}",
        "signed": lambda value: f"{value:+,}",
        "time": show_time,
        "first_word": first_word,
    }
    environment.filters.update(filters)
    environment.globals |= {"asset": asset_url, "counted": counted}
    return environment


def show_time(at: datetime | None) -> str:
    """Return a time as people compare it: 2026-12-02 09:05:00Z."""
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"


def first_word(error: str | None) -> str:
    """Return the SQLSTATE or the class of an error; the rest may quote values."""
    return (error or "").split(":", 1)[0].split(" ", 1)[0]


def render(environment: Environment, template: str, **values: Any) -> str:
    """Return the HTML of a template."""
    return environment.get_template(template).render(**values)
