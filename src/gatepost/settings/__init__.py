"""The settings: gatepost.toml and GATEPOST_* variables, read once and passed on as values."""

from gatepost.settings.key_file import read_key_file, write_key_file
from gatepost.settings.limits import LimitsSettings
from gatepost.settings.mdm import MdmSettings, bridge_configuration
from gatepost.settings.model import (
    ControlSettings,
    GatewaySettings,
    LogSettings,
    Settings,
    SettingsError,
    StoreSettings,
)
from gatepost.settings.reading import FILE_NAME, find, load
from gatepost.settings.values import Address

__all__ = [
    "FILE_NAME",
    "Address",
    "ControlSettings",
    "GatewaySettings",
    "LimitsSettings",
    "LogSettings",
    "MdmSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "bridge_configuration",
    "find",
    "load",
    "read_key_file",
    "write_key_file",
]
