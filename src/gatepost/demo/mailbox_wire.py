"""Between HTTP and the commands: which command a request is, and how an answer is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.demo.mailbox_http import BODY_LIMIT, HttpAnswer, HttpRequest
from gatepost.wire.eas.commands import COMMANDS, Body, at_least
from gatepost.wire.eas.refusal import CONTENT_TYPE
from gatepost.wire.eas.request import EasRequest, MalformedRequest, parse_query
from gatepost.wire.wbxml import Element, Limits, decode, encode

if TYPE_CHECKING:
    from typing import Final

_LIMITS: Final = Limits(size=BODY_LIMIT, depth=32, elements=100_000, value=BODY_LIMIT)
_HTTP_INSTEAD = {142: 449, 137: 501}


def read_request(request: HttpRequest) -> tuple[EasRequest, Element | None]:
    """The command and its body, None for an empty one; raises MalformedRequest and WbxmlError.

    A mail that came as message/rfc822 (up to 12.1) is wrapped as the later versions do.
    """
    version, key = request.headers.get("ms-asprotocolversion"), request.headers.get("x-ms-policykey")
    asked = parse_query(
        request.query,
        version.encode("latin-1") if version is not None else None,
        key.encode("latin-1") if key is not None else None,
    )
    command = COMMANDS[asked.command]
    if not request.body:
        return asked, None
    if command.root is None:
        raise MalformedRequest(f"`{asked.command}` has no body")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "message/rfc822":
        if command.body is not Body.MAIL_BEFORE_14 or at_least(asked.protocol_version, "14.0"):
            raise MalformedRequest(f"`{asked.command}` in {asked.protocol_version} is not message/rfc822")
        save = (Element("ComposeMail:SaveInSentItems"),) if asked.parameter("SaveInSent") else ()
        return asked, Element(command.root, (*save, Element("ComposeMail:Mime", opaque=request.body)))
    body = decode(request.body, _LIMITS)
    if body.name != command.root:
        raise MalformedRequest(f"`{asked.command}` came with a body of `{body.name}`")
    return asked, body


def element_answer(answer: Element | None) -> HttpAnswer:
    """200 with the body `answer`, or with none."""
    if answer is None:
        return HttpAnswer(200)
    return HttpAnswer(200, (("Content-Type", CONTENT_TYPE),), encode(answer))


def status_answer(asked: EasRequest, status: int) -> HttpAnswer:
    """A common status (MS-ASCMD 2.2.2) in the command's own root, up to 12.1 the HTTP status that stands for it."""
    command = COMMANDS[asked.command]
    if command.root is None or command.status is None or not at_least(asked.protocol_version, "14.0"):
        return HttpAnswer(_HTTP_INSTEAD[status])
    return element_answer(Element(command.root, (Element(command.status, text=str(status)),)))


def bad_request(error: Exception) -> HttpAnswer:
    """400 with the sentence."""
    return HttpAnswer(400, (("Content-Type", "text/plain; charset=utf-8"),), f"{error}\n".encode())
