import json
import os
import stat

import pytest
from tests.support.cli import run

from gatepost.model import Directory
from gatepost.operations import access_keys, organizations
from gatepost.operations.context import Context
from gatepost.settings import load, read_key_file
from gatepost.store.database import Store

KEYS = ["organization_id", "access_key_id", "secret_access_key", "config", "control_endpoint", "gateway_endpoint"]


def test_the_json_has_these_keys_and_a_second_run_changes_nothing(tmp_path):
    folder = tmp_path / "new" / "folder"
    first = run(
        "init", "--directory", folder, "--domain", "example.com", "--upstream", "https://mail.example.com", "--json"
    )
    assert first.code == 0, first.err
    assert list(first.json) == KEYS
    assert first.json["config"] == str(folder / "gatepost.toml")
    assert first.json["control_endpoint"] == "http://127.0.0.1:8081"
    assert first.json["gateway_endpoint"] == "http://127.0.0.1:8080"
    assert first.json["access_key_id"].startswith("AKIA")
    assert len(first.json["secret_access_key"]) == 40
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}

    second = run("init", "--directory", folder, "--json")
    assert second.code == 0
    assert second.json == {**first.json, "secret_access_key": None}
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"} == before
    assert "nothing was changed" in run("init", "--directory", folder).err


def test_what_it_makes_is_for_its_owner_only_and_is_usable(tmp_path):
    made = run("init", "--directory", tmp_path, "--domain", "example.com", "--domain", "example.org", "--json").json
    for name in ("gatepost.toml", "gatepost.key", "gatepost.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    settings = load(tmp_path / "gatepost.toml", {})
    store = Store.open(settings.store.url)
    context = Context(store, lambda: None, "test")
    organization = organizations.describe(context, organization_id=made["organization_id"])
    assert organization.domains == ("example.com", "example.org")
    assert organization.directory is Directory.OPEN
    key = read_key_file(settings.store.key_file)
    assert access_keys.valid(context, key, made["access_key_id"])[1] == made["secret_access_key"]
    store.close()


def test_what_it_says_can_be_typed(tmp_path):
    ran = run(
        "init",
        "--directory",
        tmp_path,
        "--organization-id",
        "m-a123b4c5de678fg9h0ij1k2lm234no56",
        "--domain",
        "domain.com",
    )
    assert "made the organization m-a123b4c5de678fg9h0ij1k2lm234no56 with the mail domains domain.com" in ran.err
    for line in (
        f"serve --config {tmp_path}/gatepost.toml",
        "export AWS_ACCESS_KEY_ID=AKIA",
        "export AWS_SECRET_ACCESS_KEY=",
        "aws --endpoint-url http://127.0.0.1:8081 workmail list-mobile-device-access-rules --organization-id m-a123b4",
        "upstream under [gateway]",
    ):
        assert line in ran.out


@pytest.mark.parametrize(
    ("options", "domains"),
    [
        (["--upstream", "https://mail.example.com"], ("example.com",)),
        (["--upstream", "https://mail.example.com", "--domain", "example.net"], ("example.net",)),
        (["--upstream", "http://127.0.0.1:20000/SOGo/Microsoft-Server-ActiveSync"], ("gatepost.gatepost.internal",)),
        (["--upstream", "http://localhost"], ("gatepost.gatepost.internal",)),
        ([], ("gatepost.gatepost.internal",)),
    ],
)
def test_the_mail_domain(tmp_path, options, domains):
    made = run("init", "--directory", tmp_path, "--json", *options).json
    store = Store.open(f"sqlite:///{tmp_path}/gatepost.db")
    context = Context(store, lambda: None, "test")
    assert organizations.describe(context, organization_id=made["organization_id"]).domains == domains
    store.close()


def test_a_closed_directory(tmp_path):
    made = run("init", "--directory", tmp_path, "--closed", "--json").json
    store = Store.open(f"sqlite:///{tmp_path}/gatepost.db")
    context = Context(store, lambda: None, "test")
    assert organizations.describe(context, organization_id=made["organization_id"]).directory is Directory.CLOSED
    store.close()


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (
            ["--organization-id", "m-1"],
            "gateway.organization_id: expected m- and 32 lower-case letters and digits, got `m-1`",
        ),
        (["--upstream", "mail.example.com"], "gateway.upstream: expected the mail server's URL"),
        (["--store", "mysql://db"], "store.url: expected sqlite:///FILE"),
    ],
)
def test_what_was_typed_is_checked_before_anything_is_written(tmp_path, options, mistake):
    ran = run("init", "--directory", tmp_path / "folder", *options)
    assert ran.code == 2
    assert mistake in ran.err
    assert not (tmp_path / "folder").exists()


def test_a_run_that_was_broken_off_is_finished_by_the_next(tmp_path):
    run("init", "--directory", tmp_path)
    (tmp_path / "gatepost.db").unlink()
    config = (tmp_path / "gatepost.toml").read_text()
    ran = run("init", "--directory", tmp_path, "--json")
    assert ran.code == 0
    assert ran.json["secret_access_key"]
    assert (tmp_path / "gatepost.toml").read_text() == config


def test_another_organization_is_not_made_beside_the_first(installation):
    ran = run("init", "--directory", installation.folder, "--organization-id", "m-" + "9" * 32, "--json")
    assert ran.json["organization_id"] == installation.organization_id
    assert "was not created" in ran.err


def test_a_store_in_the_environment_is_used_and_not_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEPOST_STORE__URL", f"sqlite:///{tmp_path}/elsewhere.db")
    assert run("init", "--directory", tmp_path / "folder", "--json").code == 0
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "folder" / "gatepost.db").exists()
    assert "elsewhere" not in (tmp_path / "folder" / "gatepost.toml").read_text()


def test_a_store_that_was_named_is_written_down(tmp_path):
    url = f"sqlite:///{tmp_path}/named.db"
    assert run("init", "--directory", tmp_path / "folder", "--store", url, "--json").code == 0
    assert load(tmp_path / "folder" / "gatepost.toml", {}).store.url == url


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    ran = run("init", "--directory", tmp_path / "file" / "folder")
    assert ran.code == 1
    assert ran.err.startswith("gatepost: cannot write `")


def test_the_configuration_is_json_in_toml_quotes(tmp_path):
    run("init", "--directory", tmp_path, "--upstream", "http://mail/a%22b")
    assert load(tmp_path / "gatepost.toml", {}).gateway.upstream == "http://mail/a%22b"
    assert json.dumps("http://mail/a%22b") in (tmp_path / "gatepost.toml").read_text()
    assert os.access(tmp_path / "gatepost.toml", os.R_OK)
