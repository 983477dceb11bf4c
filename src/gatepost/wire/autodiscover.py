"""Autodiscover as phones ask it: version 1 in XML ([MS-ASCMD] 2.2.1.1, `mobilesync`) and version 2 in JSON.

Outlook's own schema is not answered, because only ActiveSync is fronted here: it gets the error that the specification has
for that. Documents are read by the standard library's expat as UTF-8, whatever they say (or UTF-16, as expat sees it), without any
DTD, so that there are no entities, and within limits that no phone comes near.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import parse_qsl
from xml.parsers import expat

DOCUMENT_LIMIT: Final = 65_536
"""Bytes of a request; real ones have under 1 KiB."""

_PREFIX = "http://schemas.microsoft.com/exchange/autodiscover/"
MOBILESYNC_REQUEST: Final = f"{_PREFIX}mobilesync/requestschema/2006"
MOBILESYNC_RESPONSE: Final = f"{_PREFIX}mobilesync/responseschema/2006"
OUTLOOK_REQUEST: Final = f"{_PREFIX}outlook/requestschema/2006"
_RESPONSE = f"{_PREFIX}responseschema/2006"
_REQUESTS = frozenset({MOBILESYNC_REQUEST, OUTLOOK_REQUEST})

_DEPTH = 8
_ELEMENTS = 64
_TEXT = 1_024  # characters of all texts that are read
_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f]{1,128}@[^@\s\x00-\x1f\x7f]{1,128}")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2 Char

_XML_PATH = "/autodiscover/autodiscover.xml"
_JSON_PATH = "/autodiscover/autodiscover.json"
_IN_THE_PATH = re.compile(r"/v1\.0/([^/]*)", re.IGNORECASE)


class AutodiscoverError(ValueError):
    """A request without an answer; the message is for the phone's log.

    `code`: 600, the request is none, or 601, nobody here answers in the schema that is asked for ([MS-ASCMD] 2.2.3.64).
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in JSON with its HTTP status."""

    status: int
    body: bytes


def version(path: bytes) -> int | None:
    """Which Autodiscover a path belongs to, in any case of letters: 1, 2 or none."""
    lowered = path[:256].decode("latin-1").lower()
    if lowered == _XML_PATH:
        return 1
    return 2 if lowered == _JSON_PATH or lowered.startswith(f"{_JSON_PATH}/") else None


# -- version 1


def read_request(body: bytes) -> str:
    """The mail address that is asked about, as written. Raises AutodiscoverError."""
    if len(body) > DOCUMENT_LIMIT:
        raise AutodiscoverError(600, f"a request of more than {DOCUMENT_LIMIT} bytes")
    document = _Document()
    try:
        document.read(body)
    except expat.ExpatError as error:
        raise AutodiscoverError(600, f"not well-formed: {expat.ErrorString(error.code)}") from error
    address = document.one("EMailAddress")
    schema = document.one("AcceptableResponseSchema")
    if schema != MOBILESYNC_RESPONSE:
        raise AutodiscoverError(601, "Provider is not available")
    if _ADDRESS.fullmatch(address) is None:
        raise AutodiscoverError(600, "EMailAddress is no mail address")
    return address


class _Document:
    """What matters of a request document: the texts of `Autodiscover/Request/*`, by name."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._texts: dict[str, list[str]] = {}
        self._elements = 0
        self._characters = 0
        self._namespace = ""

    def read(self, body: bytes) -> None:
        """Read it whole. Raises AutodiscoverError, ExpatError."""
        parser = expat.ParserCreate("UTF-8", namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(body, True)

    def one(self, name: str) -> str:
        """The text of the one element of that name."""
        texts = self._texts.get(name, [])
        if len(texts) != 1:
            raise AutodiscoverError(600, f"expected one {name} in an Autodiscover request, found {len(texts)}")
        return texts[0].strip()

    def _doctype(self, *_: object) -> None:
        raise AutodiscoverError(600, "a document type declaration")

    def _start(self, name: str, _: object) -> None:
        self._elements += 1
        if len(self._path) >= _DEPTH or self._elements > _ELEMENTS:
            raise AutodiscoverError(600, "more elements than a request has")
        namespace, _, local = name.rpartition(" ")
        if not self._path:
            if namespace not in _REQUESTS:
                raise AutodiscoverError(600, "not a request of a known schema")
            self._namespace = namespace
        self._path.append(local if namespace == self._namespace else "")
        if self._is_read():
            self._texts.setdefault(local, []).append("")

    def _end(self, _: str) -> None:
        self._path.pop()

    def _text(self, text: str) -> None:
        if self._is_read():
            self._characters += len(text)
            if self._characters > _TEXT:
                raise AutodiscoverError(600, "more text than a request has")
            self._texts[self._path[2]][-1] += text

    def _is_read(self) -> bool:
        return len(self._path) == 3 and self._path[:2] == ["Autodiscover", "Request"] and self._path[2] != ""


def render_settings(address: str, display_name: str, url: str) -> bytes:
    """The answer to a request: the ActiveSync server of `address` is at `url`."""
    return _document(
        f'<Response xmlns="{MOBILESYNC_RESPONSE}"><Culture>en:us</Culture>'
        f"<User><DisplayName>{_escaped(display_name)}</DisplayName><EMailAddress>{_escaped(address)}</EMailAddress></User>"
        f"<Action><Settings><Server><Type>MobileSync</Type><Url>{_escaped(url)}</Url><Name>{_escaped(url)}</Name></Server>"
        "</Settings></Action></Response>"
    )


def render_error(error: AutodiscoverError) -> bytes:
    """The answer to what is no request, or one for somebody else ([MS-ASCMD] 2.2.3.63); HTTP says 200 to it."""
    message = "Invalid Request" if error.code == 600 else str(error)
    return _document(
        f"<Response><Error><ErrorCode>{error.code}</ErrorCode><Message>{_escaped(message)}</Message><DebugData/></Error>"
        "</Response>"
    )


def _document(response: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<Autodiscover xmlns="{_RESPONSE}">{response}</Autodiscover>\n'.encode()


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


# -- version 2


def answer_json(path: bytes, query: bytes, urls: dict[str, str]) -> Answer:
    """The answer to a GET of `path?query`, the same for every address; `urls` by protocol, in its usual spelling.

    Where the address stands in the path (`…/autodiscover.json/v1.0/<address>`) it is not looked for in the query.
    """
    parameters: dict[str, str] = {}
    try:
        for name, value in parse_qsl(query.decode("latin-1"), max_num_fields=16):
            parameters.setdefault(name.lower(), value)
    except ValueError:
        return _refusal("InvalidRequest", "There are too many query parameters.")
    rest = path.decode("latin-1")[len(_JSON_PATH) :]
    if rest not in {"", "/"}:
        named = _IN_THE_PATH.fullmatch(rest)
        if named is None:
            return Answer(404, b"")
        parameters["email"] = named[1]
    if not parameters.get("email", "").strip():
        return _refusal("MandatoryParameterMissing", "A valid email address must be provided.")
    protocol = parameters.get("protocol", "").strip()
    if not protocol:
        return _refusal(
            "MandatoryParameterMissing", "A valid value must be provided for the query parameter 'Protocol'."
        )
    for name, url in urls.items():
        if name.lower() == protocol.lower():
            return Answer(200, _json({"Protocol": name, "Url": url}))
    known = ",".join(urls)
    return _refusal("InvalidProtocol", f"The given protocol value is invalid. Supported values are '{known}'.")


def _refusal(code: str, message: str) -> Answer:
    return Answer(400, _json({"ErrorCode": code, "ErrorMessage": message}))


def _json(document: dict[str, str]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
