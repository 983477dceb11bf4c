import pytest

from gatepost.mdm.configuration import SourceConfiguration
from gatepost.mdm.sources.authorization import BasicLogin, BearerToken
from gatepost.mdm.sources.build import build_source
from gatepost.mdm.sources.generic import Generic, GenericConfiguration
from gatepost.mdm.sources.http import Access
from gatepost.mdm.sources.mapping import MapConfiguration
from gatepost.mdm.sources.transport import Connection
from gatepost.mdm.sources.workspace_one import WorkspaceOne, WorkspaceOneConfiguration

CONNECTION = Connection("https://mdm.example.com")
MAP = MapConfiguration({"device_key": "id"})


def test_each_kind_is_asked_by_its_module():
    uem = WorkspaceOneConfiguration("uem", Access(CONNECTION, BasicLogin("api", "p")), "code")
    generic = GenericConfiguration("any", Access(CONNECTION), MAP, list_path="/devices")
    made = [build_source(SourceConfiguration(one)) for one in (uem, generic)]
    assert [(type(one), one.name) for one in made] == [(WorkspaceOne, "uem"), (Generic, "any")]


@pytest.mark.parametrize(
    "access",
    [Access(CONNECTION, BearerToken("a b")), Access(Connection("https://mdm.example.com", ciphers="NONSENSE"))],
)
def test_what_cannot_be_asked_is_told_before_it_is(access):
    with pytest.raises((ValueError, OSError)):
        build_source(SourceConfiguration(GenericConfiguration("any", access, MAP, list_path="/devices")))
