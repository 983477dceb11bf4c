import sqlite3

import pytest
from tests.support.secrets import password


def test_up_to_date(installation):
    ran = installation.run("db", "status")
    assert ran.code == 0
    assert "is up to date: schema " in ran.out
    shown = installation.run("db", "status", "--json").json
    assert list(shown) == ["url", "current", "needed", "up_to_date"]
    assert shown["current"] == shown["needed"]
    assert installation.run("db", "upgrade").out.startswith("nothing to do: schema ")


def test_no_database_yet(installation):
    (installation.folder / "gatepost.db").unlink()
    ran = installation.run("db", "status")
    assert ran.code == 4
    assert "has no tables yet" in ran.out
    assert not (installation.folder / "gatepost.db").exists()
    assert installation.run("devices", "list").code == 4
    assert installation.run("db", "upgrade").out.startswith("upgraded from nothing to schema ")
    assert installation.run("db", "status", "--json").json["up_to_date"] is True


def test_a_database_of_a_newer_program(installation):
    with sqlite3.connect(installation.folder / "gatepost.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for command in (("db", "status"), ("db", "upgrade"), ("devices", "list"), ("serve", "--role", "control")):
        ran = installation.run(*command)
        assert ran.code == 4, command
        assert "9999" in ran.err


def test_a_password_is_not_shown(installation, monkeypatch):
    plain = password("the database's, in a URL")
    for url in (f"gate:{plain}@127.0.0.1:1/gatepost", f"127.0.0.1:1/gatepost?user=gate&password={plain}"):
        monkeypatch.setenv("GATEPOST_STORE__URL", f"postgresql://{url}")
        for command in (("db", "status"), ("db", "upgrade"), ("devices", "list"), ("serve",)):
            ran = installation.run(*command)
            assert ran.code == 4 or command == ("serve",), ran.err
            assert plain not in ran.out + ran.err
    assert ran.err.startswith("gatepost: ")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gate:{}@db:port/x",
        "postgresql://gate:a@{}@db/x",
        "postgresql://gate:a/{}@db/x",
        "mysql://gate:{}@db/x",
        "mysql://gate:a@{}@db/x",
        "gate:{}@db/x",
        "postgresql//gate:{}@db/x",
        "mysql://db/x?user=gate&password={}",
        "postgresql://db?password={}",
    ],
)
def test_a_url_with_a_mistake_is_not_shown_with_its_password(installation, monkeypatch, url):
    plain = password("the database's, in a URL with a mistake")
    monkeypatch.setenv("GATEPOST_STORE__URL", url.format(plain))
    for command in (("db", "status"), ("serve",)):
        ran = installation.run(*command)
        assert ran.code in {3, 4}
        assert plain not in ran.out + ran.err
