"""The interface that the bridge relies on, kept by each source."""

import inspect

import pytest
from tests.support import secrets
from tests.support.workspace_one import twin_login

from gatepost.mdm.sources.authorization import BasicLogin
from gatepost.mdm.sources.base import BadNotification, Source, SourceError, SourceRefused, SourceUnavailable
from gatepost.mdm.sources.generic import Generic, GenericConfiguration
from gatepost.mdm.sources.http import Access
from gatepost.mdm.sources.mapping import MapConfiguration
from gatepost.mdm.sources.transport import Connection
from gatepost.mdm.sources.workspace_one import WorkspaceOne, WorkspaceOneConfiguration

ACCESS = Access(Connection("https://mdm.example.com"), BasicLogin("bridge", secrets.password("a source's API user")))


def sources() -> list[Source]:
    """One of each kind; mypy sees that they are what the bridge wants."""
    return [
        WorkspaceOne(WorkspaceOneConfiguration("ws1", ACCESS, twin_login().tenant_code)),
        Generic(GenericConfiguration("any", ACCESS, MapConfiguration({"device_key": "id"}), list_path="/devices")),
    ]


@pytest.mark.parametrize("source", sources(), ids=lambda one: one.name)
def test_a_source_has_what_the_bridge_asks_for(source):
    members = [name for name in vars(Source) if not name.startswith("_")]
    assert {"name", "quota", "condition", "lists", "device_key_of", "fetch", "list", "find", "close"} == set(members)
    for name in members:
        assert hasattr(source, name), name
        if inspect.isfunction(getattr(Source, name)):
            assert inspect.signature(getattr(type(source), name)).parameters.keys() == inspect.signature(getattr(Source, name)).parameters.keys()  # fmt: skip
    assert source.lists is True


@pytest.mark.parametrize("source", sources(), ids=lambda one: one.name)
def test_no_source_shows_a_secret(source):
    shown = repr(vars(source)) + repr(ACCESS) + repr(WorkspaceOneConfiguration("ws1", ACCESS, twin_login().tenant_code))
    for secret in (ACCESS.login.password, twin_login().tenant_code):
        assert secret not in shown.replace(repr(getattr(source, "_tenant_code", "-")), "")


def test_errors_say_what_the_worker_has_to_know():
    assert BadNotification("x").status == 400
    assert SourceUnavailable("x").retry_after is None
    assert SourceUnavailable("x", 3).retry_after == 3
    assert issubclass(SourceUnavailable, SourceError)
    assert issubclass(SourceRefused, SourceError)
    assert not issubclass(BadNotification, SourceError)
