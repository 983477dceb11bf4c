from gatepost.operations import access_keys
from gatepost.settings import read_key_file


def test_a_key_is_created_listed_and_revoked(installation):
    made = installation.run("keys", "create", "--description", "for CI", "--json").json
    assert list(made) == ["access_key_id", "secret_access_key", "role", "description"]
    store = installation.store()
    key = read_key_file(installation.folder / "gatepost.key")
    valid = lambda: access_keys.valid(installation.context(store), key, made["access_key_id"])  # noqa: E731
    assert valid()[1] == made["secret_access_key"]

    listed = installation.run("keys", "list", "--json").json
    assert [one["description"] for one in listed] == ["made by gatepost init", "for CI"]
    assert list(listed[1]) == ["access_key_id", "role", "description", "date_created", "date_revoked"]
    assert listed[1]["date_revoked"] is None

    ran = installation.run("keys", "revoke", made["access_key_id"])
    assert (ran.code, ran.out.split()[0]) == (0, made["access_key_id"])
    assert installation.run("keys", "revoke", made["access_key_id"]).out == ran.out
    assert valid() is None
    assert installation.run("keys", "list", "--json").json[1]["date_revoked"]
    store.close()


def test_for_people(installation):
    ran = installation.run("keys", "create")
    first, second = ran.out.splitlines()
    assert first.startswith("export AWS_ACCESS_KEY_ID=AKIA")
    assert second.startswith("export AWS_SECRET_ACCESS_KEY=")
    assert "not shown again" in ran.err
    listed = installation.run("keys", "list").out
    assert first.partition("=")[2] in listed
    assert second.partition("=")[2] not in listed


def test_a_key_has_the_role_that_it_was_given(installation):
    for role in ("admin", "read-only", "bridge"):
        assert installation.run("keys", "create", "--role", role, "--json").json["role"] == role
    assert [one["role"] for one in installation.run("keys", "list", "--json").json] == [
        "admin",  # the one of gatepost init
        "admin",
        "read-only",
        "bridge",
    ]
    shown = installation.run("keys", "list").out
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("AKIA")][2:] == ["read-only", "bridge"]


def test_there_are_three_roles(installation):
    ran = installation.run("keys", "create", "--role", "root")
    assert ran.code == 2
    assert "admin" in ran.err
    assert "read-only" in ran.err
    assert "bridge" in ran.err


def test_a_key_that_is_not_there(installation):
    ran = installation.run("keys", "revoke", "AKIANOTTHERE")
    assert (ran.code, ran.err) == (5, "gatepost: there is no access key `AKIANOTTHERE`: see `gatepost keys list`\n")


def test_without_the_key_file_no_key_is_made(installation):
    (installation.folder / "gatepost.key").unlink()
    ran = installation.run("keys", "create")
    assert ran.code == 3
    assert "store.key_file: there is no file" in ran.err
