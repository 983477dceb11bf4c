import tomllib

import pytest
from tests.support import secrets
from tests.support.cli import run
from tests.support.workspace_one import TwinThread, twin_login

from gatepost.demo import posture_story
from gatepost.demo.workspace_one import WorkspaceOneTwin
from gatepost.settings import bridge_configuration, load


@pytest.fixture
def _any_port(monkeypatch):
    for side in ("GATEWAY", "CONTROL", "MDM"):
        monkeypatch.setenv(f"GATEPOST_{side}__LISTEN", "127.0.0.1:0")


@pytest.mark.usefixtures("_any_port")
def test_it_goes_as_told():
    ran = run("demo", "--once")
    assert ran.code == 0, ran.err
    told = ran.out[ran.out.index("8  Alice gets a new phone") :]
    for line in (
        "Workspace ONE: device 10001 is enrolled",
        "refused: Status 129, X-MS-ASThrottle: MobileDeviceAccessRule",
        "the phone was let in",
        "mail: News",
        "after Workspace ONE found out: Status 7, look at the folders",
    ):
        assert line in told
    assert told.rstrip().endswith("refused: Status 129, X-MS-ASThrottle: MobileDeviceAccessRule")


@pytest.mark.usefixtures("_any_port")
def test_a_bridge_that_lets_nobody_in_is_noticed(monkeypatch):
    monkeypatch.setattr(WorkspaceOneTwin, "comply", lambda twin, number: twin.violate(number))
    monkeypatch.setattr(posture_story, "LET_IN_SECONDS", 0.2)
    ran = run("demo", "--once")
    assert (ran.code, "expected a policy key, got HTTP 200, Status 129 (step 9)" in ran.err) == (1, True)


def test_the_settings_are_those_of_the_twin(tmp_path):
    thread = TwinThread(WorkspaceOneTwin(twin_login()))
    try:
        text = posture_story.settings(thread.twin, secrets.password("the demo's webhook"))
        (tmp_path / "gatepost.toml").write_text(text)
        (source,) = bridge_configuration(load(tmp_path / "gatepost.toml", {}).mdm).sources
        assert (source.name, source.asks.access.connection.url) == (posture_story.SOURCE, thread.url)
        assert tomllib.loads(text)["mdm"]["sources"][0]["tenant_code"] == thread.twin.login.tenant_code
    finally:
        thread.stop()
