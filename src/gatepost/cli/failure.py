"""How a command ends: the exit codes, and the exception that carries one."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit code of each command means (docs/operations-guide/commands.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    STORE = 4
    NOT_FOUND = 5
    DENIED = 10
    UNDECIDED = 11
    NOT_MET = 12


class Failure(Exception):  # noqa: N818 - it is how a command ends, not only what went wrong
    """Ends a command with `code`; `str()` is the sentence for standard error."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
