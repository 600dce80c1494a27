"""The settings: everything that the environment may say, read once when a process starts.

A setting that is missing or malformed stops the process with all faults in one message, by name. A
message never holds a value, because a value may be a secret.
"""

from workers.settings.loading import (
    DEVELOPMENT_SECRETS,
    WEBHOOK_SECRETS,
    Settings,
    SettingsFault,
    lacking,
    load_settings,
)

__all__ = [
    "DEVELOPMENT_SECRETS",
    "WEBHOOK_SECRETS",
    "Settings",
    "SettingsFault",
    "lacking",
    "load_settings",
]
