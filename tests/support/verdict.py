"""A pytest plugin: what is overheard of the product goes to the ledger of secrets, and the run ends in a verdict.

- log lines as they are passed to structlog and to the standard library: before anything is blotted out, at every level
  that is on, also in tests that catch logs themselves; exceptions as tracebacks
- what tests print and what commands print (`tests.support.cli`, `tests.support.stack`)
- every byte of every HTTP answer that a client in this process read: AWS's own client, urllib, the phone
- what a gateway in this process counts, when it stops
- every store that is opened in this process, when it is closed; those of other processes and their logs: `stack`

Each test is held to what was found up to its end, teardown of fixtures included; with pytest-xdist each process looks at
its own part, and the controller adds up what was looked at.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import io
import json
import logging
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy import make_url
from tests.support.evidence import store_of
from tests.support.secrets import RUN

from gatepost.operations import access_keys
from gatepost.store.connections import sqlite_file
from gatepost.store.database import Store
from gatepost.telemetry import new_registry, render

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.secrets import Finding

    from gatepost.gateway.server import Gateway

_ASIDE = ("botocore", "boto3", "urllib3", "s3transfer")  # the administrator's client tells what it signs with, on debug


# -- what is listened to


class _Overheard(io.RawIOBase):
    """A socket's bytes, kept while they are read."""

    def __init__(self, raw: Any, kept: bytearray) -> None:
        self._raw = raw
        self._kept = kept

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        if count:
            self._kept += memoryview(buffer)[:count]
        return count

    def close(self) -> None:
        if not self.closed:
            RUN.record("metrics" if b"# HELP gatepost" in self._kept else "answer", "an HTTP answer", self._kept)
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose bytes are evidence."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fp = io.BufferedReader(_Overheard(self.fp.detach(), bytearray()))


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name`; `around` gets the original first."""
    original = getattr(owner, name)

    def replaced(*arguments: Any, **named: Any) -> Any:
        return around(original, *arguments, **named)

    setattr(owner, name, replaced)


def _sealed(original: Callable[..., Any], key: bytes, access_key_id: str, secret: Any) -> Any:
    RUN.register(f"the sealing key of {access_key_id}", key)
    answer = original(key, access_key_id, secret)
    plain = secret if isinstance(secret, str) else answer
    RUN.register(f"the secret of access key {access_key_id}", plain)
    return answer


def _logged(original: Callable[..., Any], logger: Any, method: str, event: Any, given: dict[str, Any]) -> Any:
    said = {**structlog.contextvars.get_contextvars(), **given}
    lines = [repr(event), *(f"{name}={value!r}" for name, value in said.items())]
    if given.get("exc_info"):
        lines.append(traceback.format_exc())
    RUN.record("log", f"a log call ({method})", "\n".join(lines))
    return original(logger, method, event, given)


def _log_record(original: Callable[..., logging.LogRecord], *arguments: Any, **named: Any) -> logging.LogRecord:
    made = original(*arguments, **named)
    # structlog copies records, without a name first; its own events come as dicts, and were recorded as they were made
    if made.name and made.name.partition(".")[0] not in _ASIDE and not isinstance(made.msg, dict):
        text = made.getMessage() + ("".join(traceback.format_exception(made.exc_info[1])) if made.exc_info else "")
        RUN.record("log", f"a log record of {made.name}", text)
    return made


def _closed(original: Callable[..., None], store: Store) -> None:
    if sqlite_file(make_url(store.url)) is not None:
        store_of(store.url)
    original(store)


async def _stopped(original: Callable[..., Any], gateway: Gateway) -> None:
    RUN.record("metrics", "the metrics of a gateway", render(new_registry(gateway.metrics))[0])
    await original(gateway)


def plain_logs() -> None:
    """Logs for tests as structlog makes them, but for tracebacks: by default those show local variables, passwords too."""
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], console])


# -- pytest


class Verdict:
    """The plugin: fails a test in whose course something was found, and says at the end how much was looked at."""

    def __init__(self) -> None:
        self._secrets = 0
        self._searched: Counter[str] = Counter()
        self._left: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        if report.when == "teardown":
            for name, text in report.sections:
                RUN.record("printed", f"what {item.nodeid} printed ({name})", text)
            found = RUN.settle()
            if found:
                report.outcome = "failed"
                report.longrepr = verdict(found) + (f"\n\n{report.longrepr}" if report.longrepr else "")
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        found = RUN.settle()
        if found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._left.append(verdict(found))
        output = getattr(session.config, "workeroutput", None)
        if output is None:
            self._add(len(RUN), RUN.searched)
        else:
            output["secrets"] = json.dumps([len(RUN), RUN.searched, self._left])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if (told := getattr(node, "workeroutput", {}).get("secrets")) is not None:
            secrets, searched, left = json.loads(told)
            self._add(secrets, Counter(searched))
            self._left += left

    def _add(self, secrets: int, searched: Counter[str]) -> None:
        self._secrets += secrets
        self._searched += searched

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for text in self._left:
            terminalreporter.section("secrets")
            terminalreporter.line(text)
        places = ", ".join(f"{count} {kind}" for kind, count in sorted(self._searched.items()))
        terminalreporter.line(f"secrets looked for: {self._secrets}, in {places or 'nothing'}")


def verdict(found: list[Finding]) -> str:
    """What a failure says."""
    return "\n".join(["secrets were found where none may be:", *(f"  {one}" for one in found)])


def install(config: pytest.Config) -> None:
    """Listen from now on, in this process."""
    plain_logs()
    _wrap(structlog._base.BoundLoggerBase, "_process_event", _logged)  # the one way of every log call
    logging.setLogRecordFactory(_recording(logging.getLogRecordFactory()))
    http.client.HTTPConnection.response_class = _Response
    _wrap(access_keys, "seal", _sealed)
    _wrap(access_keys, "unseal", _sealed)
    _wrap(Store, "close", _closed)
    with contextlib.suppress(ImportError):  # which the tests of the gateway will tell
        _wrap(importlib.import_module("gatepost.gateway.server").Gateway, "stop", _stopped)
    config.pluginmanager.register(Verdict(), "secrets")


def _recording(original: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def make(*arguments: Any, **named: Any) -> logging.LogRecord:
        return _log_record(original, *arguments, **named)

    return make
