from gatepost.operations import access_keys
from gatepost.settings import read_key_file


def test_a_key_is_created_listed_and_revoked(installation):
    made = installation.run("keys", "create", "--description", "for CI", "--json").json
    assert list(made) == ["access_key_id", "secret_access_key", "description"]
    store = installation.store()
    key = read_key_file(installation.folder / "gatepost.key")
    secret_of = lambda: access_keys.secret_of(installation.context(store), key, made["access_key_id"])  # noqa: E731
    assert secret_of() == made["secret_access_key"]

    listed = installation.run("keys", "list", "--json").json
    assert [one["description"] for one in listed] == ["made by gatepost init", "for CI"]
    assert list(listed[1]) == ["access_key_id", "description", "date_created", "date_revoked"]
    assert listed[1]["date_revoked"] is None

    ran = installation.run("keys", "revoke", made["access_key_id"])
    assert (ran.code, ran.out.split()[0]) == (0, made["access_key_id"])
    assert installation.run("keys", "revoke", made["access_key_id"]).out == ran.out
    assert secret_of() is None
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


def test_a_key_that_is_not_there(installation):
    ran = installation.run("keys", "revoke", "AKIANOTTHERE")
    assert (ran.code, ran.err) == (5, "gatepost: there is no access key `AKIANOTTHERE`: see `gatepost keys list`\n")


def test_without_the_key_file_no_key_is_made(installation):
    (installation.folder / "gatepost.key").unlink()
    ran = installation.run("keys", "create")
    assert ran.code == 3
    assert "store.key_file: there is no file" in ran.err
