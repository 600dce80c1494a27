"""Modules whose packages are optional: loaded only if a setting asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from workers.settings.loading import SettingsFault


def load_optional(module: str, *, needed_by: str, extra: str) -> Any:
    """Return the module. Raises SettingsFault, which says what to install, if that is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"workers", "tasks", "db"}:
            raise
        fault = (
            f"{needed_by} needs the package {error.name}: install"
            f" requirements-production.lock, or pip install '.[{extra}]' in the clone"
        )
        raise SettingsFault([fault]) from None
