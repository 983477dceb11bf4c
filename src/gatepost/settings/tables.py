"""What variables and files of secrets say of the bridge's sources and targets, put into their tables before these are read.

A table in an array has no place that a variable could name, so it is named by what tells it from the others: the source's
name, the target's kind, the number of a webhook credential. A secret in a file is read here, and is then like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRETS = frozenset(
    {
        "password",
        "client_secret",
        "tenant_code",
        "token",
        "header_value",
        "value",
        "secret",
        "secret_access_key",
    }
)
"""Keys whose value may stand in a file instead, which `…_file` names."""

_ARRAYS = {"sources": "name", "targets": "kind"}
_PREFIXES = tuple(f"GATEPOST_MDM__{array.upper()}__" for array in _ARRAYS)
_FILE = "_file"


def is_of_a_table(variable: str) -> bool:
    """Whether it is a variable for a source or a target."""
    return variable.upper().startswith(_PREFIXES)


def fill_in(content: dict[str, Any], environ: Mapping[str, str], folder: Path) -> list[str]:
    """Change `content` so that nothing remains to be looked up elsewhere; returns the mistakes. Files start at `folder`."""
    mistakes = [
        f"{variable}: {reason}"
        for variable, value in environ.items()
        if value and is_of_a_table(variable) and (reason := _set(content, variable, value)) is not None
    ]
    for place, table in _tables(content):
        mistakes += _read_files(place, table, folder)
    return mistakes


def name_of(array: str, number: int, table: object) -> str:
    """How a mistake names the table: `mdm.sources[0] (uem)`."""
    name = table.get(_ARRAYS[array]) if isinstance(table, dict) else None
    return f"mdm.{array}[{number}]" + (f" ({name})" if isinstance(name, str) and name.isascii() else "")


def _set(content: dict[str, Any], variable: str, value: str) -> str | None:
    """Put the value where the variable says; what is wrong with that, or None."""
    _, array, name, *path = variable.lower().split("__")
    tables = [one for one in _array(content, array) if _spelled(one.get(_ARRAYS[array])) == name]
    if not tables:
        return f"there is no table [[mdm.{array}]] with this {_ARRAYS[array]} in the configuration file"
    place: Any = tables[0]
    for step in path[:-1]:
        if isinstance(place, list):
            place = place[int(step)] if step.isdecimal() and int(step) < len(place) else None
        elif isinstance(place, dict):
            place = place.setdefault(step, {})
    if not path or not isinstance(place, dict):
        return f"unknown variable, expected {_PREFIXES[0]}NAME__KEY or {_PREFIXES[1]}KIND__KEY"
    key = path[-1]
    other = key.removesuffix(_FILE) if key.endswith(_FILE) else key + _FILE
    if {key, other} & SECRETS:
        place.pop(other, None)
    place[key] = value
    return None


def _spelled(name: object) -> str | None:
    return name.lower().replace("-", "_") if isinstance(name, str) else None


def _array(table: object, key: str) -> list[Any]:
    """The tables in an array, the array being what it should be; whatever is not is told when it is read."""
    table = table.get("mdm") if isinstance(table, dict) and key in _ARRAYS else table
    found = table.get(key) if isinstance(table, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _tables(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for array in _ARRAYS:
        for number, table in enumerate(_array(content, array)):
            place = name_of(array, number, table)
            yield place, table
            for inner, credential in enumerate(_array(table, "webhook_credentials")):
                yield f"{place}.webhook_credentials[{inner}]", credential


def _read_files(place: str, table: dict[str, Any], folder: Path) -> Iterator[str]:
    for key in sorted(SECRETS):
        name = table.pop(key + _FILE, None)
        if name is None:
            continue
        if key in table:
            yield f"{place}.{key}: give it itself, or `{key}{_FILE}`, not both"
            continue
        try:
            # an editor ends the last line, and a program that writes a secret does not
            secret = (folder / name).expanduser().read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError, TypeError, ValueError):
            secret = ""
        if not secret:
            yield f"{place}.{key}{_FILE}: expected the path of a readable file with the secret in it, got `{name}`"
        table[key] = secret or "-" * 32  # one mistake is enough
