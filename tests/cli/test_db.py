import sqlite3


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
    monkeypatch.setenv("GATEPOST_STORE__URL", "postgresql://gate:geheim@127.0.0.1:1/gatepost")
    ran = installation.run("db", "status")
    assert ran.code == 4
    assert ran.err.startswith("gatepost: the database does not answer")
    assert "geheim" not in ran.out + ran.err
