import re
import subprocess
import sys

import pytest
from tests.support.cli import run

from gatepost import __version__
from gatepost.settings import GatewaySettings


def test_version_and_help():
    assert run("--version").out == f"gatepost {__version__}\n"
    listed = run("--help").out
    for command in ("init", "serve", "demo", "explain", "devices", "keys", "db"):
        assert re.search(rf"\b{command}\b", listed)
    assert run("-h").out == listed


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "gatepost", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"gatepost {__version__}\n"


@pytest.mark.parametrize("arguments", [["nothing"], ["explain"], ["serve", "--role", "king"], ["keys", "revoke"]])
def test_typed_wrongly_is_2(arguments):
    ran = run(*arguments)
    assert ran.code == 2
    assert "Usage: gatepost" in ran.err


def test_mistakes_in_the_settings_are_3(installation):
    installation.config.write_text('[gateway]\nlisten = "here"\nupsteam = "x"\n')
    ran = installation.run("devices", "list")
    assert ran.code == 3
    assert ran.err == (
        f"gatepost: 2 mistakes in the settings ({installation.config}):\n"
        "  gateway.listen: expected host:port, got `here`\n"
        f"  gateway.upsteam: unknown key, expected one of {', '.join(sorted(GatewaySettings.model_fields))}\n"
    )
    ran = run("devices", "list", "--config", "nowhere.toml")
    assert ran.code == 3
    assert "there is no configuration file `nowhere.toml`" in ran.err


def test_the_configuration_is_found(installation, monkeypatch):
    assert run("devices", "list").code == 4
    monkeypatch.setenv("GATEPOST_CONFIG", str(installation.config))
    assert run("devices", "list").code == 0
    monkeypatch.delenv("GATEPOST_CONFIG")
    monkeypatch.chdir(installation.folder)
    assert run("devices", "list").code == 0
