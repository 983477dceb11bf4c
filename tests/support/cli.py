"""The command line, run in this process: what it printed and its exit code."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from tests.support import evidence

from gatepost.cli import main


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def run(*arguments: object) -> Ran:
    """Run `gatepost ARGUMENTS`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(one) for one in arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    evidence.command_output(f"gatepost {' '.join(map(str, arguments[:2]))}", out.getvalue(), err.getvalue())
    return Ran(code, out.getvalue(), err.getvalue())
