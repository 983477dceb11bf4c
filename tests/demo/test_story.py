from types import SimpleNamespace

import pytest
from tests.support.cli import run

from gatepost.demo import story


@pytest.fixture
def _any_port(monkeypatch):
    for side in ("GATEWAY", "CONTROL", "MDM"):
        monkeypatch.setenv(f"GATEPOST_{side}__LISTEN", "127.0.0.1:0")


@pytest.mark.usefixtures("_any_port")
def test_it_goes_as_told(monkeypatch, tmp_path):
    # what is set up for AWS and for Gatepost on the machine is no part of it
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("GATEPOST_STORE__URL", f"sqlite:///{tmp_path}/mine.db")
    ran = run("demo", "--once")
    assert ran.code == 0, ran.err
    told = ran.out[: ran.out.index("8  Alice gets a new phone")]  # the rest is another story
    for line in (
        "--name DefaultDenyAll --effect DENY",
        "refused: Status 129, X-MS-ASThrottle: MobileDeviceAccessRule",
        "--user-id alice@example.com --device-id DEMOPHONE1 --effect ALLOW",
        "folders: Inbox, ",
        "mail: Welcome aboard",
        "Status 2, there is news",
        "Status 7, look at the folders",
        "refused: Status 129, X-MS-ASThrottle: MobileDeviceAccessOverride",
    ):
        assert told.count(line) == 1, line
    assert not (tmp_path / "mine.db").exists()


@pytest.mark.usefixtures("_any_port")
def test_when_it_does_not_go_as_told(monkeypatch):
    async def refused_nothing(self):
        return SimpleNamespace(status=1, http_status=200, headers={})

    monkeypatch.setattr("gatepost.demo.phone.Phone.folder_sync", refused_nothing)
    ran = run("demo", "--once")
    assert ran.code == 1
    assert ran.err.endswith(
        "gatepost: the story did not go as told: expected Status 129, got HTTP 200, Status 1 (step 2)\n"
    )


@pytest.mark.parametrize(("name", "dashed"), [("UserId", "user-id"), ("Effect", "effect"), ("DeviceId", "device-id")])
def test_parameters_as_the_aws_command_spells_them(name, dashed):
    assert story._dashed(name) == dashed
