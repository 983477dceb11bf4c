import pytest

from gatepost.gateway.configuration import GatewayConfiguration, UpstreamAddress, upstream_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "http://127.0.0.1:20000/SOGo/Microsoft-Server-ActiveSync",
            ("127.0.0.1", 20000, False, b"/SOGo/Microsoft-Server-ActiveSync", b"127.0.0.1:20000"),
        ),
        (
            "https://mail.example.com",
            ("mail.example.com", 443, True, b"/Microsoft-Server-ActiveSync", b"mail.example.com"),
        ),
        (
            "http://mail.example.com/",
            ("mail.example.com", 80, False, b"/Microsoft-Server-ActiveSync", b"mail.example.com"),
        ),
        (
            "https://Mail.Example.com:443/zpush/",
            ("mail.example.com", 443, True, b"/zpush/Microsoft-Server-ActiveSync", b"mail.example.com"),
        ),
        (
            "https://mail.example.com:8443",
            ("mail.example.com", 8443, True, b"/Microsoft-Server-ActiveSync", b"mail.example.com:8443"),
        ),
        (
            "http://mail.example.com/microsoft-server-activesync/",
            ("mail.example.com", 80, False, b"/microsoft-server-activesync", b"mail.example.com"),
        ),
        ("http://[::1]:8080", ("::1", 8080, False, b"/Microsoft-Server-ActiveSync", b"[::1]:8080")),
        ("https://[2001:db8::1]", ("2001:db8::1", 443, True, b"/Microsoft-Server-ActiveSync", b"[2001:db8::1]")),
    ],
)
def test_an_upstream_is_a_base_url_or_the_full_one(url, expected):
    assert upstream_address(url) == UpstreamAddress(*expected)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mail.example.com", "expected http://host"),
        ("ftp://mail.example.com", "expected http://host"),
        ("http://", "expected http://host"),
        ("http:///path", "expected http://host"),
        ("http://user:secret@mail.example.com", "without credentials"),
        ("http://mail.example.com/?a=b", "without credentials, query"),
        ("http://mail.example.com/#there", "without credentials, query or fragment"),
        ("http://mail.example.com:99999", "range"),
        ("http://mail.example.com:port", "port"),
        ("http://mail.example.com/a b", "percent-encoded"),
        ("http://mail.example.com/ä", "percent-encoded"),
        ("http://mäil.example.com/", "percent-encoded"),
    ],
)
def test_what_is_no_upstream_is_said(url, says):
    with pytest.raises(ValueError, match=says):
        upstream_address(url)


def test_what_need_not_be_said():
    configuration = GatewayConfiguration("127.0.0.1", 8080, upstream_address("http://mail.example.com"))
    assert configuration.trusted_proxies == ()
    assert configuration.max_replica_age == 3600.0
    assert configuration.organization_id is None
    assert configuration.ssl_context is None
