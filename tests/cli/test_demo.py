import os
import re
import signal
import subprocess
import sys

import pytest
from tests.support import evidence
from tests.support.cli import run

PORTS = {f"GATEPOST_{side}__LISTEN": "127.0.0.1:0" for side in ("GATEWAY", "CONTROL", "MDM")}


def shown_until_it_stays_up(folder, *arguments: str) -> str:
    """What `gatepost demo` prints before it waits for Ctrl-C, which then ends it well."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")} | PORTS
    process = subprocess.Popen(
        [sys.executable, "-m", "gatepost", "demo", *arguments],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    shown = ""
    while "gatepost explain" not in shown and "gatepost/__main__.py explain" not in shown:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        shown += line
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    evidence.command_output("gatepost demo", shown + rest, errors)
    return shown + rest


def test_after_the_story_it_stays_up_and_says_what_to_try(tmp_path):
    shown = shown_until_it_stays_up(tmp_path)
    api = re.search(r"API +(http://127\.0\.0\.1:\d+)", shown)[1]
    organization_id = re.search(r"m-[0-9a-f]{32}", shown)[0]
    assert (
        f"aws --endpoint-url {api} workmail list-mobile-device-access-rules --organization-id {organization_id}"
        in shown
    )
    assert re.search(r"^export AWS_SECRET_ACCESS_KEY=[A-Za-z0-9]{40}$", shown, re.MULTILINE)
    assert "check --config" in shown
    assert not list(tmp_path.iterdir())


def test_in_front_of_a_real_server_it_keeps_what_it_made(tmp_path):
    first = shown_until_it_stays_up(tmp_path, "--upstream", "https://mail.example.com")
    assert "mail server  https://mail.example.com\n" in first
    assert (tmp_path / "var" / "gatepost" / "gatepost.toml").is_file()
    assert re.search(r"^export AWS_SECRET_ACCESS_KEY=[A-Za-z0-9]{40}$", first, re.MULTILINE)

    second = shown_until_it_stays_up(tmp_path, "--upstream", "https://other.example.com/eas")
    assert "mail server  https://other.example.com/eas\n" in second
    assert set(re.findall(r"m-[0-9a-f]{32}", second)) == set(re.findall(r"m-[0-9a-f]{32}", first))
    assert "for a new one: " in second
    assert not re.search(r"SECRET_ACCESS_KEY=[A-Za-z0-9]", second)


@pytest.mark.parametrize("upstream", ["mail.example.com", "ftp://mail"])
def test_an_upstream_that_is_none(tmp_path, upstream, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run("demo", "--upstream", upstream)
    assert ran.code == 2
    assert "gateway.upstream: expected the mail server's URL" in ran.err
    assert not list(tmp_path.iterdir())
