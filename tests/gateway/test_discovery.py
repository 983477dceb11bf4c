"""Autodiscover at the gateway: always its own address, and nothing for anybody who cannot log in."""

import asyncio
import json
from ipaddress import ip_network
from xml.etree import ElementTree as ET

import pytest
from tests.support.gateway import ALICE, WRONG_PASSWORD, basic, rig, run

from gatepost.engine import Decision, Reason
from gatepost.gateway import discovery
from gatepost.gateway.discovery import asks
from gatepost.model import Effect
from gatepost.operations import access_control_rules, registrations, users
from gatepost.wire.autodiscover import MOBILESYNC_REQUEST, MOBILESYNC_RESPONSE

NS = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
MS = "{http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006}"
XML, JSON = "/Autodiscover/Autodiscover.xml", "/autodiscover/autodiscover.json"
EAS_URL = "https://eas.example.com/Microsoft-Server-ActiveSync"


def asked(address=ALICE, schema=MOBILESYNC_RESPONSE):
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{MOBILESYNC_REQUEST}"><Request>'
        f"<EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        "</Request></Autodiscover>"
    ).encode()


async def post(phone, body=None, target=XML, method="POST", login=ALICE, **headers):
    body = asked() if body is None else body
    lines = {"Host": "eas.example.com", "Content-Type": "text/xml", "Content-Length": str(len(body))}
    lines |= {"Authorization": basic(login)} | {name.replace("_", "-"): value for name, value in headers.items()}
    phone.raw(method, target, lines, body)
    return await phone.answer()


async def get(phone, target, host="eas.example.com", method="GET", **headers):
    phone.raw(method, target, {"Host": host} | headers)
    return await phone.answer()


def told(response):
    """The user's address and name, and the server's address."""
    assert response.status == 200
    assert response.headers["content-type"] == "text/xml; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    document = ET.fromstring(response.body)
    found = [document.findtext(f"{MS}Response/{MS}User/{MS}{name}") for name in ("EMailAddress", "DisplayName")]
    return (*found, document.findtext(f"{MS}Response/{MS}Action/{MS}Settings/{MS}Server/{MS}Url"))


def error_code(response):
    assert response.status == 200
    return ET.fromstring(response.body).findtext(f"{NS}Response/{NS}Error/{NS}ErrorCode")


def test_a_phone_finds_the_gateway_and_gets_its_mail(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            found = await get(phone, f"{JSON}?Email={ALICE}&Protocol=ActiveSync&RedirectCount=1")
            assert (found.status, found.headers["content-type"]) == (200, "application/json; charset=utf-8")
            assert found.headers["cache-control"] == "no-store"
            assert json.loads(found.body) == {"Protocol": "ActiveSync", "Url": EAS_URL}
            assert r.mail.received == []
            assert told(await post(phone)) == (ALICE, ALICE, EAS_URL)
            assert len(r.mail.questions) == len(r.mail.received) == 1  # whether she can log in
            assert (await phone.post("FolderSync")).status == 200
            requests = r.gateway.metrics.requests
            assert requests["Autodiscover", 200] == 2

    run(story())


def test_it_can_be_switched_off(tmp_path):
    async def story():
        async with rig(tmp_path, autodiscover=False) as r:
            phone = await r.phone()
            assert (await get(phone, f"{JSON}?Email={ALICE}&Protocol=ActiveSync")).status == 404
            assert (await post(phone)).status == 404
            assert r.mail.received == []

    run(story())


def test_what_is_set_goes_before_what_the_phone_calls_us(tmp_path):
    async def story():
        async with rig(tmp_path, public_url="https://public.example.com:8443") as r:
            phone = await r.phone()
            found = await get(phone, f"{JSON}/v1.0/u%40example.com?Protocol=autodiscoverv1", host="evil.example")
            url = "https://public.example.com:8443/autodiscover/autodiscover.xml"
            assert json.loads(found.body) == {"Protocol": "AutodiscoverV1", "Url": url}
            assert told(await post(phone, Host="evil.example"))[2].startswith("https://public.example.com:8443/M")

    run(story())


def test_a_host_that_is_none_is_not_repeated(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            for host in ("evil.example/x", "a@b", "a b", "x<y", "-", "", "a:b", '"', "[::1", "a:1:2", "xn--\xe4"):
                phone = await r.phone()
                response = await get(phone, f"{JSON}?Email=a@b&Protocol=ActiveSync", host=host)
                assert response.status == 400, host

    run(story())


def test_everybody_hears_the_same_from_version_2(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            answers = {
                (await get(phone, f"{JSON}?Email={address}&Protocol=ActiveSync")).body
                for address in (ALICE, "nobody@example.com", "x@elsewhere.example", "%00")
            }
            assert len(answers) == 1
            missing = await get(phone, f"{JSON}?Email=a@b")
            assert (missing.status, json.loads(missing.body)["ErrorCode"]) == (400, "MandatoryParameterMissing")
            assert missing.headers["cache-control"] == "no-store"
            wrong = await get(phone, f"{JSON}?Email=a@b&Protocol=Rest")
            assert (wrong.status, json.loads(wrong.body)["ErrorCode"]) == (400, "InvalidProtocol")
            assert (await get(phone, f"{JSON}/v9/a@b?Protocol=ActiveSync")).status == 404
            for method in ("HEAD", "OPTIONS", "PUT"):
                refused = await get(phone, f"{JSON}?Email=a@b&Protocol=ActiveSync", method=method)
                assert (refused.status, refused.headers["allow"]) == (405, "GET")
            assert r.mail.received == []

    run(story())


def test_version_1_is_for_those_who_can_log_in(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for authorization in ("", "Bearer abc", "Basic ???"):
                refused = await post(phone, Authorization=authorization)
                assert (refused.status, refused.body) == (401, b"")
                assert refused.headers["www-authenticate"].startswith("Basic ")
            assert r.mail.received == []
            assert (await post(phone, b"<no/>", Authorization=basic(password=WRONG_PASSWORD))).status == 401
            assert len(r.mail.questions) == len(r.mail.received) == 1
            assert r.gateway.devices.take() == []

    run(story())


def test_the_mail_server_is_asked_once_in_a_while(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for _ in range(3):
                told(await post(phone))
            assert len(r.mail.questions) == len(r.mail.received) == 1

    run(story())


def test_what_was_proven_hours_ago_is_proven_again(tmp_path):
    """The mail server would judge a request that is passed on; here it is asked, because we answer ourselves."""

    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            told(await post(phone))
            r.gateway._workings.proofs.find(basic().encode()).fresh_until = 0.0
            r.mail.password = "changed"
            assert (await post(phone)).status == 401
            assert len(r.mail.questions) == 2

    run(story())


def test_a_rule_that_cannot_be_evaluated_is_nobodys_fault(tmp_path, monkeypatch):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            told(await post(phone))
            broken = Decision(Effect.DENY, Reason.ERROR, ("a rule",), error="broken")
            monkeypatch.setattr(discovery, "access_control_effect", lambda *_: broken)
            response = await post(phone)
            assert (response.status, response.headers["x-ms-asthrottle"]) == (503, "Error")

    run(story())


def test_a_user_of_no_organization_is_told_what_he_asked(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            response = await post(await r.phone(), asked("dora@elsewhere.example"), login="dora@elsewhere.example")
            assert told(response) == ("dora@elsewhere.example", "dora@elsewhere.example", EAS_URL)

    run(story())


def test_a_mail_server_that_is_away(tmp_path):
    async def story():
        async with rig(tmp_path, upstream="http://127.0.0.1:1") as r:
            response = await post(await r.phone())
            assert response.status == 503
            assert "retry-after" in response.headers

    run(story())


def test_denied_devices_and_users_end_up_here_too(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            await phone.post("FolderSync")
            r.deny_by_default()
            r.override("DENY")
            await r.settled()
            assert (await phone.post("FolderSync")).headers["x-ms-asthrottle"] == "MobileDeviceAccessOverride"
            assert told(await post(phone))[2] == EAS_URL

    run(story())


def test_access_control_rules_may_refuse_it(tmp_path):
    async def story():
        async with rig(tmp_path, trusted_proxies=(ip_network("127.0.0.0/8"),)) as r:
            phone = await r.phone()
            access_control_rules.put(
                r.context,
                organization_id=r.organization_id,
                name="not from there",
                effect="DENY",
                description=".",
                actions=["AutoDiscover"],
                ip_ranges=["203.0.113.0/24"],
            )
            await r.settled()
            refused = await post(phone, X_Forwarded_For="203.0.113.7")
            assert (refused.status, refused.body) == (403, b"")
            assert refused.headers["x-ms-asthrottle"] == "AccessControlRule"
            assert (await post(phone, Forwarded="for=203.0.113.7")).status == 403
            assert (
                await post(phone, Forwarded="for=_hidden", X_Forwarded_For="198.51.100.1")
            ).status == 403  # who knows?
            assert told(await post(phone, X_Forwarded_For="198.51.100.1"))[0] == ALICE
            assert (await phone.post("FolderSync", X_Forwarded_For="203.0.113.7")).status == 200  # another action

    run(story())


def test_somebody_who_cannot_log_in_does_not_learn_of_rules(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            access_control_rules.put(
                r.context,
                organization_id=r.organization_id,
                name="nobody",
                effect="DENY",
                description=".",
                actions=["AutoDiscover"],
            )
            await r.settled()
            phone = await r.phone()
            assert (await post(phone, Authorization=basic(password=WRONG_PASSWORD))).status == 401
            assert (await post(phone)).status == 403

    run(story())


def test_rules_that_are_too_old_decide_nothing(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            told(await post(phone))
            r.gateway._workings.decider.too_old = True
            response = await post(phone)
            assert (response.status, response.headers["x-ms-asthrottle"]) == (503, "RulesTooOld")

    run(story())


def test_one_is_told_about_oneself(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            user_id = users.create(
                r.context, organization_id=r.organization_id, name="alice", display_name="Alice <A> & Söhne"
            )
            registrations.register_to_work_mail(
                r.context, organization_id=r.organization_id, entity_id=user_id, email=ALICE
            )
            await r.settled()
            phone = await r.phone()
            for login in (ALICE, "alice", "EXAMPLE\\alice"):
                response = await post(phone, asked("bob@example.com"), login=login)
                assert told(response) == (ALICE, "Alice <A> & Söhne", EAS_URL)
            assert told(await post(phone, asked("bob@example.com"), login="carol"))[0] == "carol@example.com"

    run(story())


def test_errors_are_in_the_specifications_words(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            outlook = MOBILESYNC_RESPONSE.replace("mobilesync", "outlook") + "a"
            assert error_code(await post(phone, asked(schema=outlook))) == "601"
            assert error_code(await post(phone, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>")) == "600"
            assert error_code(await post(phone, b"")) == "600"
            assert error_code(await post(phone, b"", method="GET")) == "600"
            assert (await get(phone, XML)).status == 401
            refused = await post(phone, b"", method="PUT")
            assert (refused.status, refused.headers["allow"]) == (405, "GET, POST")

    run(story())


def test_chunks_are_put_together(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            head = f"POST {XML} HTTP/1.1\r\nHost: eas.example.com\r\nAuthorization: {basic()}\r\n"
            phone.writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for at in range(0, len(asked()), 100):
                piece = asked()[at : at + 100]
                phone.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await asyncio.sleep(0)
            phone.writer.write(b"0\r\n\r\n")
            assert told(await phone.answer())[0] == ALICE

    run(story())


@pytest.mark.parametrize("framing", ["Content-Length: 200000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    "authorization", [f"Authorization: {basic()}\r\n", f"Authorization: {basic(password='wrong')}\r\n"]
)
def test_a_body_that_is_too_long_is_not_waited_for(tmp_path, framing, authorization):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(f"POST {XML} HTTP/1.1\r\nHost: a.example\r\n{authorization}{framing}\r\n\r\n".encode())
            phone.writer.write((b"30d40\r\n" if "chunked" in framing else b"") + b" " * 20_000)
            assert (await phone.answer()).status == 413
            assert await phone.closed()
            assert r.mail.received == []

    run(story())


def test_a_whole_body_that_is_too_long_has_one_answer(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            assert (await post(phone, b" " * 20_000)).status == 413
            assert await phone.closed()
            assert r.mail.received == []

    run(story())


@pytest.mark.parametrize(
    "target", ["/autodiscover/", "/autodiscover/autodiscover.svc", "/autodiscover/autodiscover.xml/"]
)
def test_nothing_else_is_there(tmp_path, target):
    async def story():
        async with rig(tmp_path) as r:
            assert (await post(await r.phone(), target=target)).status == 404

    run(story())


def test_a_phone_that_goes_while_the_mail_server_is_asked(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.raw("POST", XML, {"Host": "a.example", "Authorization": basic(), "Content-Length": "0"})
            await asyncio.sleep(0)
            phone.close()
            await r.until(lambda: len(r.gateway._workings.downstreams) == 0)
            told(await post(await r.phone()))

    run(story())


def test_whose_business_a_target_is():
    assert asks(b"/autodiscover/autodiscover.xml")
    assert asks(b"/AutoDiscover/x?y")
    for target in (b"/", b"/autodiscover", b"/Microsoft-Server-ActiveSync?Cmd=Ping", b"http://a/autodiscover/", b"*"):
        assert not asks(target)
