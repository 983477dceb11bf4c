"""Requests become commands with one kind of body; statuses become what a version understands."""

import pytest

from gatepost.demo.mailbox_http import HttpRequest
from gatepost.demo.mailbox_wire import bad_request, element_answer, read_request, status_answer
from gatepost.wire.eas.request import MalformedRequest
from gatepost.wire.wbxml import Element


def request(command: str, body: bytes, version: str = "12.1", content_type: str = "message/rfc822", more: str = ""):
    query = f"Cmd={command}&DeviceId=A&DeviceType=B{more}".encode()
    headers = {"ms-asprotocolversion": version, "content-type": content_type, "x-ms-policykey": "7"}
    return HttpRequest("POST", "/", query, headers, body)


def test_a_mail_is_wrapped_as_later_versions_do():
    asked, body = read_request(request("SendMail", b"mail", more="&SaveInSent=T"))
    assert (asked.command, asked.policy_key) == ("SendMail", 7)
    mime = Element("ComposeMail:Mime", opaque=b"mail")
    assert body == Element("ComposeMail:SendMail", (Element("ComposeMail:SaveInSentItems"), mime))
    assert read_request(request("SendMail", b"mail"))[1] == Element("ComposeMail:SendMail", (mime,))


@pytest.mark.parametrize(("command", "version"), [("SendMail", "14.0"), ("Sync", "12.1")])
def test_a_mail_where_there_must_not_be_one(command, version):
    with pytest.raises(MalformedRequest, match="is not message/rfc822"):
        read_request(request(command, b"mail", version))


def test_no_body():
    assert read_request(request("Ping", b""))[1] is None


def test_statuses():
    new, _ = read_request(request("Ping", b"", "14.1"))
    old, _ = read_request(request("Ping", b"", "12.1"))
    assert status_answer(new, 142).body.hex() == "03016a00000d454703313432000101"
    assert (status_answer(old, 142).status, status_answer(old, 137).status) == (449, 501)


def test_answers():
    assert element_answer(None).body == b""
    assert element_answer(Element("Ping:Ping")).headers == (("Content-Type", "application/vnd.ms-sync.wbxml"),)
    assert bad_request(ValueError("because")).body == b"because\n"
