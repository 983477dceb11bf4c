"""Published vectors: Standard Webhooks' own libraries (v1, v1a), RFC 4231 and RFC 2202 (HMAC), GitHub's documentation."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire import webhook
from gatepost.wire.basic_auth import Credentials, render
from gatepost.wire.webhook import (
    BasicCredential,
    HeaderCredential,
    Incoming,
    Proof,
    SignatureCredential,
    may_prove,
    prove,
    standard_webhooks,
)

NOW = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# the public half of the private key "VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=" in the specification's Go library
PUBLIC = "whpk_ZlN4eg7dSSqi0moX9hQUk3orrOouK3QVQSlJa248c/g="
ASYMMETRIC = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
WRONG = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="


def incoming(*headers, now=NOW, **named) -> Incoming:
    pairs = [(name.replace("_", "-"), value) for name, value in named.items()]
    encode = lambda one: one if isinstance(one, bytes) else one.encode()  # noqa: E731
    return Incoming([(encode(name), encode(value)) for name, value in [*headers, *pairs]], now)


def accepted(credential, request, body=b"") -> bool:
    """What the body proves, and that it is never left unread where it would."""
    proof = prove([credential], request, body)
    assert proof is None or may_prove([credential], request)
    return proof is not None


def basic(user: str, password: str, encoding: str = "utf-8") -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode(encoding))


class TestBasic:
    credential = BasicCredential("uem", "Grüße:aus Bern")

    @pytest.mark.parametrize("scheme", [b"Basic", b"basic", b"BaSIc"])
    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_whatever_case_the_scheme_is_and_whatever_bytes_the_password_came_in(self, scheme, encoding):
        value = scheme + basic("uem", "Grüße:aus Bern", encoding).removeprefix(b"Basic")
        assert accepted(self.credential, incoming(authorization=value))

    @pytest.mark.parametrize(
        "value",
        [
            basic("uem", "Grüße:aus Ber"),
            basic("uem", "Grüße:aus Bern "),
            basic("uemm", "Grüße:aus Bern"),
            basic("UEM", "Grüße:aus Bern"),
            basic("", ""),
            basic("uem", "Grüße:aus Bern").replace(b"Basic", b"Bearer"),
            basic("uem", "Grüße:aus Bern") + b"!",
            b"Basic",
            b"",
        ],
    )
    def test_anything_else_proves_nothing(self, value):
        assert not accepted(self.credential, incoming(authorization=value))

    def test_nothing_proves_nothing_nor_does_a_header_that_is_there_twice(self):
        assert not accepted(self.credential, incoming())
        both = [("authorization", basic("uem", "Grüße:aus Bern"))] * 2
        assert not accepted(self.credential, incoming(*both))

    def test_it_does_not_show(self):
        assert "Grüße" not in repr(self.credential)
        assert "uem" in repr(self.credential)

    @pytest.mark.parametrize("user", ["uem", "somebody else"])
    def test_every_credential_is_compared_each_time_also_for_an_unknown_name(self, user, monkeypatch):
        compared = []
        monkeypatch.setattr(webhook.hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or a == b)
        several = [BasicCredential("uem", "old"), BasicCredential("uem", "new, and longer"), HeaderCredential("x", "y")]
        prove(several, incoming(authorization=basic(user, "old")), b"")
        assert compared == [(32, 32)] * 5


class TestHeader:
    credential = HeaderCredential("X-Api-Key", "s3cret-Schlüssel")

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_its_value(self, encoding):
        assert accepted(self.credential, incoming(("x-api-key", b" " + "s3cret-Schlüssel".encode(encoding))))

    @pytest.mark.parametrize("value", ["", "s3cret", "S3CRET-Schlüssel", "s3cret-Schlüssel, s3cret-Schlüssel"])
    def test_another_value(self, value):
        assert not accepted(self.credential, incoming(x_api_key=value))

    def test_a_configured_value_that_is_empty_proves_nothing(self):
        empty = HeaderCredential("X-Api-Key", "")
        assert not accepted(empty, incoming())
        assert not accepted(empty, incoming(x_api_key=""))

    def test_bearer_tokens_are_headers_too(self):
        assert accepted(HeaderCredential("Authorization", "Bearer abc"), incoming(authorization="Bearer abc"))


class TestSignature:
    @pytest.mark.parametrize(
        ("algorithm", "secret", "body", "digest"),
        [
            # RFC 4231, case 2; RFC 2202, case 2
            (
                "sha256",
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                "sha512",
                b"Jefe",
                b"what do ya want for nothing?",
                (
                    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
                ),
            ),
            ("sha1", b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            # GitHub, "Validating webhook deliveries"
            (
                "sha256",
                b"It's a Secret to Everybody",
                b"Hello, World!",
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
        ],
    )
    def test_published_vectors_in_every_spelling(self, algorithm, secret, body, digest):
        credential = SignatureCredential("X-Signature", secret, algorithm)
        raw = bytes.fromhex(digest)
        plain = base64.b64encode(raw).decode()
        url = base64.urlsafe_b64encode(raw).decode()
        for value in (digest, digest.upper(), plain, url, plain.rstrip("=")):
            for prefix in ("", f"{algorithm}=", f"{algorithm.upper()}="):
                assert accepted(credential, incoming(x_signature=prefix + value), body), prefix + value
        for value in (digest[:-1], digest[:-2], plain[:-4], digest + "00", "0" * len(digest), "", f"md5={digest}"):
            assert not accepted(credential, incoming(x_signature=value), body), value
        assert not accepted(credential, incoming(x_signature=digest), body + b" ")
        assert not accepted(credential, incoming(), body)

    def test_a_prefix_that_is_configured_has_to_be_there(self):
        credential = SignatureCredential("X-Hub", b"k", prefix="v1=")
        digest = hmac.digest(b"k", BODY, "sha256").hex()
        assert accepted(credential, incoming(x_hub=f"v1={digest}"), BODY)
        assert not accepted(credential, incoming(x_hub=digest), BODY)
        assert not accepted(credential, incoming(x_hub=f"sha256={digest}"), BODY)

    @pytest.mark.parametrize(
        ("template", "content"), [("{timestamp}.{body}", b"%d.%s"), ("v0:{timestamp}:{body}", b"v0:%d:%s")]
    )
    @pytest.mark.parametrize(("off", "is_good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
    def test_a_signed_time_is_at_most_five_minutes_away(self, template, content, off, is_good):
        credential = SignatureCredential("x-signature", b"k", timestamp_header="X-Time", signed=template)
        body = b"{timestamp} {body}"
        at = 1614265330 + off
        digest = hmac.digest(b"k", content % (at, body), "sha256").hex()
        assert accepted(credential, incoming(x_signature=digest, x_time=str(at)), body) is is_good
        assert not accepted(credential, incoming(x_signature=digest, x_time=str(at + 1)), body)
        assert not accepted(credential, incoming(x_signature=digest), body)

    def test_a_time_is_digits(self):
        credential = SignatureCredential("x-signature", b"k", timestamp_header="x-time", signed="{timestamp}{body}")
        for said in ("1614265330.0", "+1614265330", " 1614265330", "16142653300000", "١٦١٤٢٦٥٣٣٠", ""):
            digest = hmac.digest(b"k", said.encode() + BODY, "sha256").hex()
            assert not accepted(credential, incoming(x_signature=digest, x_time=said), BODY)


class TestStandardWebhooks:
    credential = standard_webhooks(KEY)

    def request(self, signature=SIGNATURE, now=NOW, **changed) -> Incoming:
        headers = {"webhook_id": ID, "webhook_timestamp": "1614265330", "webhook_signature": signature} | changed
        return incoming(now=now, **{name: value for name, value in headers.items() if value is not None})

    @pytest.mark.parametrize("key", [KEY, KEY.removeprefix("whsec_")])
    def test_the_published_vector(self, key):
        assert prove([standard_webhooks(key)], self.request(), BODY) == Proof(ID)

    def test_the_published_vector_of_public_keys(self):
        credential = standard_webhooks(PUBLIC)
        assert prove([credential], self.request(ASYMMETRIC), BODY) == Proof(ID)
        assert prove([credential], self.request(ASYMMETRIC), BODY + b" ") is None
        assert prove([credential], self.request(f"v1,{ASYMMETRIC[4:]} {SIGNATURE}"), BODY) is None

    def test_a_public_key_does_not_serve_as_a_secret(self):
        # HMAC by what everybody knows
        content = f"{ID}.1614265330.".encode() + BODY
        raw = base64.b64decode(PUBLIC.removeprefix("whpk_"))
        forged = base64.b64encode(hmac.digest(raw, content, "sha256")).decode()
        assert not accepted(standard_webhooks(PUBLIC), self.request(f"v1,{forged} v1a,{forged}"), BODY)

    def test_one_of_several_signatures_is_enough(self):
        signatures = f"{WRONG} v2,{WRONG[3:]} {ASYMMETRIC} {SIGNATURE} {WRONG}"
        assert accepted(self.credential, self.request(signatures), BODY)
        assert accepted(standard_webhooks(PUBLIC), self.request(signatures), BODY)
        assert not accepted(self.credential, self.request(" ".join([WRONG] * 16 + [SIGNATURE])), BODY)

    @pytest.mark.parametrize(
        "changed",
        [
            {"webhook_id": None},
            {"webhook_id": "msg_another"},
            {"webhook_timestamp": None},
            {"webhook_timestamp": "hello"},
            {"webhook_timestamp": "1614265331"},
            {"webhook_signature": None},
            {"webhook_signature": ""},
            {"webhook_signature": "v1,"},
            {"webhook_signature": SIGNATURE[:8]},
            {"webhook_signature": "v1,dawfeoifkpqwoekfpqoekf"},
            {"webhook_signature": SIGNATURE.replace("v1,", "v2,")},
            {"webhook_signature": SIGNATURE.removeprefix("v1,")},
        ],
    )
    def test_anything_missing_or_different_proves_nothing(self, changed):
        assert not accepted(self.credential, self.request(**changed), BODY)

    def test_where_id_and_body_meet_cannot_be_moved(self):
        content = b"msg.1614265330.1614265330.{}"
        signature = "v1," + base64.b64encode(hmac.digest(self.credential.key, content, "sha256")).decode()
        assert accepted(self.credential, self.request(signature, webhook_id="msg"), b"1614265330.{}")
        assert not accepted(self.credential, self.request(signature, webhook_id="msg.1614265330"), b"{}")

    @pytest.mark.parametrize(("off", "is_good"), [(300, True), (301, False), (-300, True), (-301, False)])
    def test_the_time_is_at_most_five_minutes_away(self, off, is_good):
        now = datetime.fromtimestamp(1614265330 + off, UTC)
        assert accepted(self.credential, self.request(now=now), BODY) is is_good

    @pytest.mark.parametrize(
        "key", ["", "whsec_", "whsec_!", "whpk_", "whpk_" + KEY[6:], "whsec_" + "A" * 100, "é" * 32]
    )
    def test_a_key_that_is_none_is_told_without_showing_it(self, key):
        with pytest.raises(ValueError, match="of Standard Webhooks is wh") as caught:
            standard_webhooks(key)
        assert len(key) < 8 or key not in str(caught.value)

    def test_it_does_not_show(self):
        assert repr(self.credential) == "StandardWebhooksCredential(is_public=False)"


def test_any_of_several_credentials_will_do():
    old, new = BasicCredential("uem", "old"), BasicCredential("uem", "new")
    for value in ("old", "new"):
        request = incoming(authorization=render(Credentials("uem", value)))
        assert prove([old, new, standard_webhooks(KEY)], request, b"") == Proof()
    assert prove([old, new], incoming(authorization=render(Credentials("uem", "older"))), b"") is None
    assert prove([], incoming(), b"") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x", b"webhook-id", b"webhook-signature", b"webhook-timestamp"]),
            st.binary(max_size=60),
        )
    ),
    st.binary(max_size=40),
)
def test_whatever_comes_proves_nothing_and_breaks_nothing(headers, body):
    credentials = [
        BasicCredential("u", hashlib.sha256(b"p").hexdigest()),
        HeaderCredential("x", hashlib.sha256(b"v").hexdigest()),
        SignatureCredential("x", b"secret"),
        SignatureCredential("x", b"secret", "sha512", "v=", "webhook-timestamp"),
        standard_webhooks(KEY),
        standard_webhooks(PUBLIC),
    ]
    request = Incoming(headers, NOW)
    may_prove(credentials, request)
    assert prove(credentials, request, body) is None
