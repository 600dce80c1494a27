"""The settings: everything that the environment may say, read once when a process starts.

A setting that is missing or malformed stops the process with all faults in one message, by name. A
message never holds a value, because a value may be a secret.
"""

from workers.settings.loading import (
    API_KEYS,
    DEVELOPMENT_SECRETS,
    RECEIVING_SECRETS,
    Settings,
    SettingsFault,
    development_values,
    lacking,
    load_settings,
)

__all__ = [
    "API_KEYS",
    "DEVELOPMENT_SECRETS",
    "RECEIVING_SECRETS",
    "Settings",
    "SettingsFault",
    "development_values",
    "lacking",
    "load_settings",
]
