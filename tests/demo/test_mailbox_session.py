"""How a mail looks to a device: properties, bodies as preferred, odd charsets."""

from datetime import UTC, datetime

import pytest

from gatepost.demo.mailbox_accounts import Mail
from gatepost.demo.mailbox_session import BodyPreference, body_preference, mail_properties
from gatepost.wire.wbxml import Element, encode


def shown(mime: bytes, preference: BodyPreference = BodyPreference()) -> Element:  # noqa: B008 - frozen
    mail = Mail("1:1", mime, datetime(2026, 1, 2, 3, 4, 5, 67_000, UTC))
    element = Element("AirSync:ApplicationData", mail_properties(mail, preference))
    encode(element)
    return element


def body(element: Element, name: str = "Data") -> str | None:
    return element.text_at("AirSyncBase:Body", f"AirSyncBase:{name}")


def test_headers_and_date():
    element = shown(b"From: a@example.com\r\nTo: b@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello")
    assert element.text_at("Email:From") == "a@example.com"
    assert element.text_at("Email:To") == "b@example.com"
    assert element.text_at("Email:Subject") == "Grüße"
    assert element.text_at("Email:DateReceived") == "2026-01-02T03:04:05.067Z"
    assert element.text_at("Email:Read") == "0"
    assert element.text_at("Email:Cc") is None


@pytest.mark.parametrize(
    ("mime", "text"),
    [
        (b"\r\nhello", "hello"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe4", "ä"),
        (b"Content-Type: text/plain; charset=nonsense\r\n\r\nhello", "hello"),
        (b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff", "\ufffd"),
        (b"Content-Type: text/html\r\n\r\n<b>x</b>", "<b>x</b>"),
        (b"Content-Type: application/pdf\r\n\r\nx", ""),
        (b"\r\na\0b", "a b"),
        (b"", ""),
    ],
)
def test_plain_text_of_any_mail(mime, text):
    assert body(shown(mime)) == text


def test_a_body_is_cut_at_a_character():
    element = shown("Content-Type: text/plain; charset=utf-8\r\n\r\naä".encode(), BodyPreference("1", 2))
    assert (body(element), body(element, "Truncated"), body(element, "EstimatedDataSize")) == ("a", "1", "3")
    assert body(shown(b"\r\nab", BodyPreference("1", 2)), "Truncated") is None


def test_the_first_preference_that_can_be_satisfied():
    def preference(kind: str, *more: Element) -> Element:
        return Element("AirSyncBase:BodyPreference", (Element("AirSyncBase:Type", text=kind), *more))

    size = Element("AirSyncBase:TruncationSize", text="512")
    assert body_preference(Element("AirSync:Options", (preference("3"), preference("2", size)))) == BodyPreference(
        "2", 512
    )
    assert body_preference(Element("AirSync:Options", (preference("3"),))) == BodyPreference("1", None)
    assert body_preference(None) == BodyPreference("1", None)
