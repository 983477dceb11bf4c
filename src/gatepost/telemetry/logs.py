"""Logs: structlog to standard error, one event a line, with secrets blotted out before anything is rendered."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import EventDict, Processor

BLOT = "[redacted]"

_SECRET_KEY = re.compile(r"authorization|password|passwd|secret|cookie|credential", re.IGNORECASE)
# Every repetition that could begin anew at each character has an end: texts from outside are logged too.
_SECRET_VALUE = re.compile(
    r"\b((?:basic|bearer) +)[A-Za-z0-9+/=._~-]{6,}"
    r"|(://[^\s/:@]{0,64}:)[^\s@]{1,256}(?=@)"  # a password in a URL, slashes in it or not
    r"|([?&][^\s=&]{0,32}(?:password|secret)[^\s=&]{0,32}=)[^\s&'\"]+"
    r"|(\bSignature=)[0-9a-f]{16,}",  # of AWS's: good for the same request for 15 minutes
    re.IGNORECASE,
)


def configure_logs(
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["auto", "console", "json"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send structlog and the standard library's logging to `stream` (standard error), in one form.

    `auto` is lines for people on a terminal and JSON elsewhere.
    """
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    render = _renderer(form, stream)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # What uvicorn tells on "info" is that it starts and stops; the composition root says so itself.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: no value under a telling key, no credentials inside a text, at any depth."""
    return {key: BLOT if _SECRET_KEY.search(key) else _redacted(value) for key, value in event.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_VALUE.sub(lambda found: next(filter(None, found.groups())) + BLOT, value)
    if isinstance(value, bytes):
        return _redacted(value.decode("utf-8", "replace"))
    if isinstance(value, dict):
        return {
            key: BLOT if isinstance(key, str) and _SECRET_KEY.search(key) else _redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    return value


def _renderer(form: str, stream: TextIO) -> Processor:
    if form == "json" or (form == "auto" and not stream.isatty()):
        return structlog.processors.JSONRenderer(default=str)
    # The default tracebacks of the console renderer show local variables, passwords among them.
    console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)

    def render(logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        return console(logger, name, event)

    return render
