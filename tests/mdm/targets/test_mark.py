from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.engine.posture import PostureReason, Verdict
from gatepost.mdm.targets.mark import Mark, digest_of, read_mark, write_mark
from gatepost.model import Effect

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def verdict(source="ws1", key="10001"):
    return Verdict(Effect.ALLOW, PostureReason.COMPLIANT, source=source, device_key=key)


def test_a_mark_is_read_as_it_was_written():
    text = write_mark("gate 1", verdict(), Effect.ALLOW, NOW)
    assert text.startswith("gatepost1 o=gate%201 s=ws1 d=10001 e=ALLOW r=compliant t=1795305600 c=")
    assert read_mark(text) == Mark("gate 1", "ws1", "10001", None, Effect.ALLOW, intact=True)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=30))
def test_every_mark_fits_and_is_ascii(source, key, instance):
    text = write_mark(instance, verdict(source, key), Effect.DENY, NOW)
    assert len(text) <= 256
    assert text.isascii()
    found = read_mark(text)
    assert found.intact
    assert (found.device_key, found.digest) in [(key, None), (None, digest_of(key))]


@pytest.mark.parametrize(
    ("old", "new"), [("e=ALLOW", "e=DENY"), ("d=10001", "d=10002"), ("written by", "edited by"), ("t=1795", "t=1796")]
)
def test_what_was_edited_is_not_intact(old, new):
    text = write_mark("gate", verdict(), Effect.ALLOW, NOW)
    assert not read_mark(text.replace(old, new)).intact


@pytest.mark.parametrize(
    "text", [None, "", "lost", "gatepost1", "gatepost1 o=a s=b d=c e=ALLOW r=x t=1 c=zz | x", "x" * 300]
)
def test_what_has_no_mark(text):
    assert read_mark(text) is None
