"""Locations: read in one way or not at all, and followed only where the administrator has said so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.gateway.configuration import UpstreamAddress, upstream_address
from gatepost.gateway.locations import LocationRefused, Locations, own_url, redirects

HOME = upstream_address("https://mail.example.com")
LISTED = ("mail2.example.com", "mail3.example.com:8443", "[2001:db8::2]", "[2001:db8::3]:444", "192.0.2.7")
EAS = "/Microsoft-Server-ActiveSync"


def locations(home=HOME, listed=LISTED, public_url=None):
    return Locations(home, listed, public_url)


def read(location, *, status=451, current=None, host=b"gate.example.com", **made):
    name = "X-MS-Location" if status == 451 else "Location"
    line = f"{name}: ".encode() + (location if isinstance(location, bytes) else location.encode()) + b"\r\n"
    there = locations(**made)
    return there.read(status, [b"Date: today\r\n", line], current or made.get("home", HOME), host)


def refused(location, **more):
    with pytest.raises(LocationRefused) as caught:
        read(location, **more)
    return caught.value


@pytest.mark.parametrize("status", range(200, 600))
def test_which_statuses_send_elsewhere(status):
    assert redirects(status) == (300 <= status <= 399 or status == 451)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://mail2.example.com/Microsoft-Server-ActiveSync", "https://mail2.example.com"),
        ("https://MAIL2.Example.COM:443/Microsoft-Server-ActiveSync/", "https://mail2.example.com"),
        (
            "HTTPS://mail2.example.com/microsoft-server-activesync",
            "https://mail2.example.com/microsoft-server-activesync",
        ),
        ("https://mail2.example.com/SOGo/Microsoft-Server-ActiveSync", "https://mail2.example.com/SOGo"),
        ("https://mail2.example.com/Microsoft-Server-ActiveSync/default.eas", "https://mail2.example.com"),
        ("https://mail2.example.com/Microsoft-Server-ActiveSync?Cmd=Evil&DeviceId=x#y", "https://mail2.example.com"),
        # phones look at the host only, so the other paths are not taken for one
        ("https://mail2.example.com", "https://mail2.example.com"),
        ("https://mail2.example.com/", "https://mail2.example.com"),
        ("https://mail2.example.com?Cmd=x", "https://mail2.example.com"),
        ("https://mail2.example.com/owa/auth/logon.aspx", "https://mail2.example.com"),
        ("https://mail2.example.com/a/../../Microsoft-Server-ActiveSync", "https://mail2.example.com"),
        ("https://mail2.example.com//Microsoft-Server-ActiveSync", "https://mail2.example.com"),
        ("https://mail2.example.com/%2e/Microsoft-Server-ActiveSync", "https://mail2.example.com"),
        ("https://mail2.example.com/x;y/Microsoft-Server-ActiveSync", "https://mail2.example.com"),
        ("//mail2.example.com/Microsoft-Server-ActiveSync", "https://mail2.example.com"),
        ("https://mail3.example.com:8443/Microsoft-Server-ActiveSync", "https://mail3.example.com:8443"),
        ("https://[2001:db8::2]/Microsoft-Server-ActiveSync", "https://[2001:db8::2]"),
        ("https://[2001:0DB8:0:0::2]:443/Microsoft-Server-ActiveSync", "https://[2001:db8::2]"),
        ("https://[2001:db8::3]:444/Microsoft-Server-ActiveSync", "https://[2001:db8::3]:444"),
        ("https://192.0.2.7/Microsoft-Server-ActiveSync", "https://192.0.2.7"),
        # the configured server, elsewhere on it
        ("/SOGo/Microsoft-Server-ActiveSync", "https://mail.example.com/SOGo"),
        ("https://mail.example.com/SOGo/Microsoft-Server-ActiveSync?Cmd=Sync", "https://mail.example.com/SOGo"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 451])
def test_where_requests_may_go(location, expected, status):
    assert read(location, status=status) == upstream_address(expected)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://evil.example.org/Microsoft-Server-ActiveSync", "not listed"),
        ("https://mail2.example.com.evil.example.org/", "not listed"),
        ("https://evil-mail2.example.com/", "not listed"),
        ("https://mail2.example.com./", "not listed"),
        ("https://mail2.example.com:8443/", "not listed"),
        ("https://mail2.example.com:22/Microsoft-Server-ActiveSync", "not listed"),
        ("https://mail3.example.com/", "not listed"),
        ("https://mail.example.com:8443/", "not listed"),
        ("https://127.0.0.1/", "not listed"),
        ("https://2130706433/", "not listed"),
        ("https://0x7f.1/", "not listed"),
        ("https://[::1]/", "not listed"),
        ("https://[::ffff:192.0.2.7]/", "not listed"),
        ("http://mail2.example.com/Microsoft-Server-ActiveSync", "from https to http"),
        ("http://mail.example.com/Microsoft-Server-ActiveSync", "from https to http"),
        ("http://mail.example.com:443/", "from https to http"),
        ("https://mail2.example.com:0/", "not a port"),
        ("https://mail2.example.com:65536/", "not a port"),
        ("https://mail2.example.com:99999/", "not a port"),
        ("https://mail2.example.com:/", "not the URL"),
        ("https://mail2.example.com:443:443/", "not the URL"),
        ("https://mail2.example.com:-1/", "not the URL"),
        ("https://mail2.example.com:+443/", "not the URL"),
        ("https://user@mail2.example.com/", "not the URL"),
        ("https://user:secret@mail2.example.com/", "not the URL"),
        ("https://mail2.example.com@evil.example.org/", "not the URL"),
        ("https://mail2.example.com%40evil.example.org/", "not the URL"),
        ("https://mail2.example.com:443@evil.example.org/", "not the URL"),
        ("https://mail2.example.com%00.evil.example.org/", "not the URL"),
        ("https://[mail2.example.com]/", "not the URL"),
        ("https://[2001:db8::2%25eth0]/", "not the URL"),
        ("https://[2001:db8:::2]/", "not an address"),
        ("https://[....]/", "not an address"),
        ("https:mail2.example.com/", "not the URL"),
        ("https:/mail2.example.com/", "not the URL"),
        ("https:///mail2.example.com/", "not the URL"),
        ("mail2.example.com", "not the URL"),
        ("mail2.example.com/Microsoft-Server-ActiveSync", "not the URL"),
        ("../Microsoft-Server-ActiveSync", "not the URL"),
        ("?Cmd=x", "not the URL"),
        ("", "not the URL"),
        ("///evil.example.org/", "not the URL"),
        ("ftp://mail2.example.com/", "not the URL"),
        ("javascript://mail2.example.com/", "not the URL"),
        ("https://", "not the URL"),
        ("https://mail2.example.com\\@evil.example.org/", "not a URL"),
        ("https:\\\\mail2.example.com/", "not a URL"),
        ("https://mail2.example.com/ https://evil.example.org/", "not a URL"),
        ("https://mail2.example.com/\r\nX-Evil: yes", "not a URL"),
        ("https://mail2.example.com\t/", "not a URL"),
        ("https://mail2.example.com/\x00", "not a URL"),
        ("https://mäil2.example.com/", "not a URL"),
        ("https://mail2.example.com/" + "x" * 2048, "not a URL"),
    ],
)
@pytest.mark.parametrize("status", [302, 451])
def test_where_no_request_goes(location, reason, status):
    error = refused(location, status=status)
    assert reason in error.reason
    assert (error.setting == "gateway.redirect_hosts") == (reason == "not listed")
    assert (error.host is None) == (reason in {"not a URL", "not the URL", "not an address"})


@pytest.mark.parametrize(
    "location", [EAS, "https://mail.example.com", f"https://MAIL.example.com:443{EAS}/?Cmd=x", "/owa"]
)
def test_to_itself_leads_nowhere(location):
    assert "to itself" in refused(location).reason


def test_without_any_listed_host_only_the_configured_server_is_left():
    assert "not listed" in refused("https://mail2.example.com/", listed=()).reason
    assert read("/SOGo" + EAS, listed=()) == upstream_address("https://mail.example.com/SOGo")
    assert (locations().others, locations(listed=()).others) == (True, False)


@pytest.mark.parametrize(
    ("host", "public_url"),
    [(b"mail2.example.com", None), (b"MAIL2.example.com:443", None), (b"x", "https://mail2.example.com")],
)
def test_a_server_that_names_the_gateway_itself_would_have_it_ask_itself_for_ever(host, public_url):
    assert "this gateway" in refused("https://mail2.example.com/", host=host, public_url=public_url).reason


def test_a_phone_that_reaches_the_gateway_under_the_servers_own_name_is_no_loop():
    assert read("/SOGo" + EAS, host=b"mail.example.com") == upstream_address("https://mail.example.com/SOGo")


# -- from another server


OTHER = upstream_address("https://mail2.example.com/SOGo")


@pytest.mark.parametrize(
    "location", ["https://mail.example.com/", f"https://mail.example.com{EAS}", "//mail.example.com"]
)
def test_back_to_the_configured_server_under_its_own_path(location):
    home = upstream_address("https://mail.example.com/SOGo")
    assert read(location, home=home, current=OTHER) is home


def test_a_relative_location_is_on_the_server_that_names_it():
    assert read(EAS, current=OTHER) == upstream_address("https://mail2.example.com")


def test_no_way_leads_from_https_to_http_over_a_third():
    plain = upstream_address("http://mail.example.com")
    listed = ("mail2.example.com", "mail4.example.com:8080")
    assert read("http://mail4.example.com:8080/", home=plain, listed=listed).tls is False
    assert "https to http" in refused("http://mail4.example.com:8080/", home=plain, listed=listed, current=OTHER).reason
    assert read("http://mail.example.com/", home=plain, listed=listed, current=OTHER) is plain
    assert "https to http" in refused("http://mail4.example.com:8080/", listed=listed, current=OTHER).reason


def test_to_https_is_always_better():
    assert read("https://mail2.example.com/", home=upstream_address("http://mail.example.com:8080")).tls


# -- the lines


def lines(status, *said, current=HOME):
    return locations().read(status, list(said), current, None)


def test_each_status_has_its_header():
    with pytest.raises(LocationRefused, match="without a location"):
        lines(451, b"Location: https://mail2.example.com/\r\n")
    with pytest.raises(LocationRefused, match="without a location"):
        lines(302, b"X-MS-Location: https://mail2.example.com/\r\n")
    assert lines(451, b"x-ms-location:https://mail2.example.com/\r\n", b"Location: /\r\n").host == "mail2.example.com"


def test_two_that_differ_are_none():
    one, other = b"Location: https://mail2.example.com/\r\n", b"Location: https://192.0.2.7/\r\n"
    assert lines(302, one, one).host == "mail2.example.com"
    with pytest.raises(LocationRefused, match="two"):
        lines(302, one, other)


@pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
def test_other_redirections_name_no_server(status):
    with pytest.raises(LocationRefused, match="names no server"):
        lines(status, b"Location: https://mail2.example.com/\r\n")


def test_a_server_that_does_not_know_where_sends_back_to_the_configured_one():
    assert lines(451, current=OTHER) is HOME
    with pytest.raises(LocationRefused, match="without a location"):
        lines(302, current=OTHER)


@given(st.binary(max_size=200) | st.from_regex(rb"(https?:)?//[a-z0-9.:@\[\]%\\/-]{0,40}", fullmatch=True))
def test_whatever_is_said_leads_to_a_listed_server_or_nowhere(said):
    hosts = {"mail.example.com", "mail2.example.com", "mail3.example.com", "2001:db8::2", "2001:db8::3", "192.0.2.7"}
    try:
        address = locations().read(302, [b"Location: " + said], HOME, None)
    except LocationRefused:
        return
    assert isinstance(address, UpstreamAddress)
    assert address.host in hosts
    assert address.tls
    assert address.path.lower().endswith(EAS.lower().encode())
    assert not set(address.path + address.authority) & set(b" \r\n\t?#@\\%")


# -- the gateway's own


@pytest.mark.parametrize(
    ("host", "public_url", "expected"),
    [
        (b"gate.example.com", None, b"https://gate.example.com"),
        (b"gate.example.com:8443", None, b"https://gate.example.com:8443"),
        (b"[2001:db8::1]:8443", None, b"https://[2001:db8::1]:8443"),
        (b"anything", "https://eas.example.com", b"https://eas.example.com"),
        (None, "http://eas.example.com:8080/", b"http://eas.example.com:8080"),
    ],
)
def test_where_the_phone_finds_the_gateway(host, public_url, expected):
    assert locations(public_url=public_url).here(host) == expected + EAS.encode()


@pytest.mark.parametrize("host", [None, b"", b"a b", b"a\r\nX: y", b"evil/path", b"user@evil", b"a:b", b"a:123456"])
def test_an_address_that_cannot_be_one_is_not_said(host):
    assert locations().here(host) is None


@pytest.mark.parametrize("host", ["eas.example.com", "EAS.example.com:8443", "192.0.2.1", "[2001:db8::1]:443", "a"])
def test_plain_hosts(host):
    assert own_url(None, host.encode()) == f"https://{host}"


@pytest.mark.parametrize(
    "host", [None, b"", b"a/b", b"a b", b"a:", b"a:b", b".a", b"a.", b"[a]", b"a\xff", b"u@a", b"a" * 300]
)
def test_what_is_no_host(host):
    assert own_url(None, host) is None
    assert own_url("https://a.example", host) == "https://a.example"
