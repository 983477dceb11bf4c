"""The key file: the key that seals access key secrets, as one line of base64, readable for its owner only."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from gatepost.operations.sealing import KEY_BYTES
from gatepost.settings.model import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def read_key_file(path: Path) -> bytes:
    """The key in the file. Raises SettingsError where there is none."""
    try:
        key = b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except FileNotFoundError:
        raise SettingsError(
            [f"store.key_file: there is no file `{path}`: restore it, or let `gatepost init` write a new one"]
        ) from None
    except OSError as error:
        raise SettingsError([f"store.key_file: `{path}` cannot be read: {error.strerror}"]) from error
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError([f"store.key_file: expected {KEY_BYTES} bytes in base64 in `{path}`: restore the file"])
    return key


def write_key_file(path: Path, key: bytes) -> None:
    """Write a new key file. Raises FileExistsError rather than replace one: secrets may be sealed with it."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(b64encode(key) + b"\n")
