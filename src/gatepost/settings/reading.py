"""The settings are read once: the file, then the variables, which win; all mistakes are found before any is told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from gatepost.settings.mistakes import mistakes_in
from gatepost.settings.model import PREFIX, Settings, SettingsError
from gatepost.settings.tables import fill_in, is_of_a_table
from gatepost.settings.values import base_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE = "GATEPOST_CONFIG"
FILE_NAME = "gatepost.toml"
SYSTEM_FILE = Path("/etc/gatepost/gatepost.toml")


class _Environment(EnvSettingsSource):
    """The variables of the mapping that was passed, not of the process."""

    def __init__(self, settings_class: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings_class)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value and not is_of_a_table(name)}


def find(environ: Mapping[str, str], folder: Path) -> Path | None:
    """The configuration file to read when none was named: $GATEPOST_CONFIG, then `folder`, then /etc/gatepost."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return next((path for path in (folder / FILE_NAME, SYSTEM_FILE) if path.is_file()), None)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path` (None: no file) and of `environ`.

    Relative paths in them start at the file's folder. Raises SettingsError with every mistake.
    """
    content = _read(path)
    folder = (path.parent if path else Path()).absolute()
    mistakes = [*_unknown_variables(environ), *fill_in(content, environ, folder)]

    class Reader(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return _Environment(settings_cls, environ), InitSettingsSource(settings_cls, content)

    settings: Settings | None = None
    token = base_folder.set(folder)
    try:
        settings = Reader()
    except ValidationError as error:
        mistakes += mistakes_in(error, content)
    finally:
        base_folder.reset(token)
    if settings is None or mistakes:
        raise SettingsError(sorted(set(mistakes)))
    return settings


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise SettingsError([f"there is no configuration file `{path}`: `gatepost init` writes one"]) from None
    except OSError as error:
        raise SettingsError([f"the configuration file `{path}` cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"`{path}` is not TOML: {error}"]) from error


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A misspelt variable must not be taken for a setting that was made."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return [
        f"{name}: unknown variable, expected {PREFIX}SECTION__KEY with one of the sections {', '.join(Settings.model_fields)}"
        for name in environ
        if name.upper().startswith(PREFIX)
        and name.upper() != CONFIG_VARIABLE
        and name.upper().split("__")[0] not in known
    ]
