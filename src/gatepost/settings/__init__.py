"""The settings: gatepost.toml and GATEPOST_* variables, read once and passed on as values."""

from gatepost.settings.key_file import read_key_file, write_key_file
from gatepost.settings.limits import LimitsSettings
from gatepost.settings.model import (
    Address,
    ControlSettings,
    GatewaySettings,
    LogSettings,
    Settings,
    SettingsError,
    StoreSettings,
)
from gatepost.settings.reading import FILE_NAME, find, load

__all__ = [
    "FILE_NAME",
    "Address",
    "ControlSettings",
    "GatewaySettings",
    "LimitsSettings",
    "LogSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "find",
    "load",
    "read_key_file",
    "write_key_file",
]
