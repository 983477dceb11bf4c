"""RFC 7239: who a proxy says it speaks for, or an error."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.forwarded import ForwardedError, nodes, read_address

READABLE = [
    # the RFC's own examples (4, 6, 7.1, 7.4)
    (b'for="_gazonk"', [None]),
    (b'For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
    (b"for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
    (b"for=192.0.2.43, for=198.51.100.17", ["192.0.2.43", "198.51.100.17"]),
    (b"for=_hidden, for=_SEVKISEK", [None, None]),
    (b'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown', ["192.0.2.43", "2001:db8:cafe::17", None]),
    (b"for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com", ["192.0.2.43", "198.51.100.17"]),
    # and more
    (b'FOR="192.0.2.43:47011"', ["192.0.2.43"]),
    (b'for="192.0.2.43:_port"', ["192.0.2.43"]),
    (b'for="unknown:80"', [None]),
    (b"for=Unknown", [None]),
    (b'for="[::ffff:192.0.2.43]"', ["192.0.2.43"]),
    (b'for="[fe80::1%eth0]:443"', ["fe80::1"]),
    (b'for="\\192.0.2\\.43"', ["192.0.2.43"]),
    (b'host="a, for=6.6.6.6";for=192.0.2.43', ["192.0.2.43"]),
    (b'ext="\\"; for=6.6.6.6, ";for=192.0.2.43', ["192.0.2.43"]),
    (b"proto=https", [None]),
    (b"proto=https , for=192.0.2.43 ; by=_me", [None, "192.0.2.43"]),
    (b"for=192.0.2.43;", ["192.0.2.43"]),
    (b"", [None]),
    (b"for=192.0.2.43,", ["192.0.2.43", None]),
    (b", for=192.0.2.43", [None, "192.0.2.43"]),
]

UNREADABLE = [
    b"for=2001:db8::1",
    b"for=[2001:db8::1]",
    b'for="2001:db8::1"',
    b"for=192.0.2.43:80",
    b"for = 192.0.2.43",
    b"for=192.0.2.43 for=192.0.2.44",
    b"for=192.0.2.43;for=192.0.2.44",
    b"for=192.0.2.43;FOR=192.0.2.43",
    b'for="192.0.2.43',
    b'for=192.0.2.43"',
    b'for="192.0.2.43"x',
    b'x="for=1, for=192.0.2.43',
    b"for=",
    b"for",
    b"=192.0.2.43",
    b'for=""',
    b"for=localhost",
    b"for=_",
    b'for="_hid den"',
    b"for=192.0.2.043",
    b"for=192.0.2",
    b"for=3221226027",
    b'for="[192.0.2.43]"',
    b'for="[2001:db8::1]:99999"',
    b'for="[2001:db8::1]:"',
    b'for="[2001:db8::1]443"',
    b'for="[fe80::1%]"',
    b'for="[fe80::1%e th]"',
    b'for="[::1]]"',
    b'for="\x00"',
    b"192.0.2.43",
]


@pytest.mark.parametrize(("header", "expected"), READABLE)
def test_whom_each_proxy_saw(header, expected):
    assert nodes(header) == [None if text is None else ip_address(text) for text in expected]


@pytest.mark.parametrize("header", UNREADABLE)
def test_what_cannot_be_read_is_an_error(header):
    with pytest.raises(ForwardedError):
        nodes(header)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:65535", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0.7]:443", "fe80::1"),
        ("::", "::"),
        ("2001:db8::1:443", "2001:db8::1:443"),
    ],
)
def test_an_address_is_read(text, expected):
    assert read_address(text) == ip_address(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "unknown", "localhost", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:65536", "192.0.2.1:443:1", "192.0.2.01"),
        *(
            "192.0.2.1%eth0",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]443",
            "[2001:db8::1]:",
            "fe80::1%",
        ),
        *(
            "fe80::1%a%b",
            " 192.0.2.1",
            "192.0.2.1\n",
            "１９２.0.2.1",
            "::1::",
            "[]",
            "[]:80",
            ":",
            "2001:db8::1 ",
            "1:2:3",
        ),
        "fe80::1%" + "a" * 100,
    ],
)
def test_what_is_no_address_is_not_read(text):
    assert read_address(text) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(header):
    try:
        found = nodes(header)
    except ForwardedError:
        return
    assert len(found) >= 1


token = st.from_regex(rb"\A[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}\Z")
quotable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(str.encode)


def quoted(text):
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@given(
    st.lists(
        st.tuples(st.ip_addresses(), quotable, token.filter(lambda name: name.lower() not in {b"for", b"by"})),
        min_size=1,
    )
)
def test_what_was_written_is_read_whatever_stands_beside_it(elements):
    written = [
        b"%s=%s;for=%s;by=_us"
        % (name, quoted(text), quoted(b"[%s]" % str(ip).encode() if ip.version == 6 else str(ip).encode()))
        for ip, text, name in elements
    ]
    expected = [getattr(ip, "ipv4_mapped", None) or ip for ip, _, _ in elements]
    assert nodes(b", ".join(written)) == expected
