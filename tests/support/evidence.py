"""What the product leaves behind in a test run, led to the ledger of secrets by those who run the product.

Commands say what they printed, stacks where their logs and databases are. Everything else is overheard
(`tests.support.verdict`).
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import make_url
from tests.support.secrets import RUN

from gatepost.store.connections import parse_url, sqlite_file

if TYPE_CHECKING:
    from pathlib import Path

SHOWN_ONCE = re.compile(r'(AWS_SECRET_ACCESS_KEY=|"secret_access_key": ")([A-Za-z0-9]{40})\b')
_seen: dict[Path, tuple[int, int, int]] = {}


def command_output(place: str, out: str, err: str = "") -> None:
    """What a command printed. The secret of a new access key is shown, and registered, and may be there once."""
    for found in SHOWN_ONCE.finditer(out):
        RUN.register(f"the secret access key in {place}", found[2])
    RUN.record("output", f"standard output of {place}", SHOWN_ONCE.sub(r"\1(shown once)", out, count=1))
    RUN.record("output", f"standard error of {place}", err)


def key_file(path: Path) -> None:
    """The key in a key file, in the one place where it belongs."""
    if path.is_file():
        text = path.read_text("ascii").strip()
        RUN.register(f"the key file {path.name}, in base64", text)
        RUN.register(f"the key file {path.name}", base64.b64decode(text))


def process_log(name: str, path: Path) -> None:
    """What a process wrote to standard output and standard error."""
    if path.is_file():
        RUN.search("process log", f"the log of {name}", path.read_bytes())


def store_of(url: str) -> None:
    """All that lies in the database: the files of SQLite as they are, the tables of PostgreSQL."""
    parsed = parse_url(url)
    path = sqlite_file(parsed)
    if path is not None:
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")):
            if file.is_file():
                state = (file.stat().st_mtime_ns, file.stat().st_size, len(RUN))
                if _seen.get(file) != state:
                    RUN.search("database", f"the database {file.name}", file.read_bytes())
                _seen[file] = state
    elif parsed.drivername != "sqlite":
        postgresql(parsed.set(drivername="postgresql").render_as_string(hide_password=False))


def postgresql(conninfo: str) -> None:
    """Every table of a PostgreSQL database; bytes are dumped in base64."""
    name = make_url(conninfo).database if "://" in conninfo else conninfo
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute("SELECT database_to_xml(false, false, '')").fetchone()
    assert row is not None
    RUN.search("database", f"the PostgreSQL database {name}", str(row[0]).encode())
