from ipaddress import ip_network
from pathlib import Path

import pytest

from gatepost.settings import Address, SettingsError, find, load


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "gatepost.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def mistakes(path, environ=None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ or {})
    return list(caught.value.mistakes)


def test_without_a_file_everything_has_its_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    assert settings.store.url == f"sqlite:///{tmp_path}/gatepost.db"
    assert settings.store.key_file == tmp_path / "gatepost.key"
    assert settings.gateway.listen == Address("127.0.0.1", 8080)
    assert settings.gateway.upstream is None
    assert settings.gateway.trusted_proxies == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.gateway.max_replica_age == 3600.0
    assert settings.control.listen == Address("127.0.0.1", 8081)
    assert (settings.log.level, settings.log.format) == ("info", "auto")


def test_a_file_is_read_and_its_relative_paths_start_at_its_folder(write, tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    path = write(
        """
        [store]
        url = "sqlite:///data/rules.db"
        key_file = "/etc/keys/gatepost.key"
        [gateway]
        listen = "[::1]:0"
        upstream = "https://mail.example.com:8443/SOGo/Microsoft-Server-ActiveSync/"
        upstream_ca_file = "ca.pem"
        trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"]
        max_replica_age = 90
        organization_id = "m-a123b4c5de678fg9h0ij1k2lm234no56"
        """
    )
    settings = load(path, {})
    assert settings.store.url == f"sqlite:///{tmp_path}/data/rules.db"
    assert settings.store.key_file == Path("/etc/keys/gatepost.key")
    assert settings.gateway.listen == Address("::1", 0)
    assert str(settings.gateway.listen) == "[::1]:0"
    assert settings.gateway.upstream == "https://mail.example.com:8443/SOGo/Microsoft-Server-ActiveSync"
    assert settings.gateway.upstream_ca_file == tmp_path / "ca.pem"
    assert settings.gateway.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert settings.gateway.max_replica_age == 90.0
    assert settings.gateway.organization_id == "m-a123b4c5de678fg9h0ij1k2lm234no56"


def test_a_variable_wins_over_the_file(write):
    path = write('[gateway]\nlisten = "127.0.0.1:1"\nupstream = "http://file"\n')
    environ = {
        "GATEPOST_GATEWAY__LISTEN": "0.0.0.0:2",
        "GATEPOST_GATEWAY__TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1",
        "GATEPOST_STORE__URL": "postgresql://gate:secret@db/gatepost",
        "GATEPOST_GATEWAY__MAX_REPLICA_AGE": "",
        "GATEPOST_CONFIG": "anything",
        "PATH": "/bin",
    }
    settings = load(path, environ)
    assert settings.gateway.listen == Address("0.0.0.0", 2)
    assert settings.gateway.upstream == "http://file"
    assert settings.gateway.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("192.0.2.1/32"))
    assert settings.gateway.max_replica_age == 3600.0
    assert settings.store.url == "postgresql://gate:secret@db/gatepost"


def test_the_process_environment_plays_no_part(monkeypatch):
    monkeypatch.setenv("GATEPOST_GATEWAY__LISTEN", "127.0.0.1:9")
    assert load(None, {}).gateway.listen == Address("127.0.0.1", 8080)


def test_all_mistakes_are_reported_together(write):
    path = write(
        """
        colour = "green"
        [store]
        url = "mysql://root:geheim@db/x"
        [gateway]
        listen = "localhost"
        lisen = "127.0.0.1:8080"
        upstream = "mail.example.com"
        upstream_ca_file = "missing.pem"
        trusted_proxies = ["10.0.0.1/8"]
        max_replica_age = 0
        organization_id = "m-1"
        [log]
        level = "loud"
        """
    )
    environ = {"GATEPOST_CONTROL__LISTEN": "127.0.0.1:99999", "GATEPOST_GATWAY__LISTEN": "x"}
    found = dict(line.split(": ", 1) for line in mistakes(path, environ))
    assert found == {
        "GATEPOST_GATWAY__LISTEN": "unknown variable, expected GATEPOST_SECTION__KEY with one of the sections "
        "store, gateway, limits, control, mdm, log",
        "colour": "unknown key, expected one of control, gateway, limits, log, mdm, store",
        "store.url": "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, got `mysql://root:…@db/x`",
        "gateway.listen": "expected host:port, got `localhost`",
        "gateway.lisen": "unknown key, expected one of autodiscover, listen, max_replica_age, organization_id, "
        "protocol_versions, proxy_protocol, public_url, redirect_hosts, refused_commands, trusted_proxies, upstream, "
        "upstream_ca_file",
        "gateway.upstream": "expected the mail server's URL, http://HOST or https://HOST, a path allowed, "
        "got `mail.example.com`",
        "gateway.upstream_ca_file": "expected the path of an existing file with certificates in PEM form, "
        "got `missing.pem`",
        "gateway.trusted_proxies": "expected addresses or networks such as 10.0.0.0/8, no bits set to the right of the "
        "mask, got `10.0.0.1/8`",
        "gateway.max_replica_age": "expected a number of seconds above 0, got `0`",
        "gateway.organization_id": "expected m- and 32 lower-case letters and digits, got `m-1`",
        "control.listen": "expected host:port, got `127.0.0.1:99999`",
        "log.level": "expected debug, info, warning or error, got `loud`",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gateway.listen", ":8080"),
        ("gateway.listen", "host:"),
        ("gateway.listen", "::1:80"),
        ("gateway.listen", "ho st:80"),
        ("gateway.upstream", "ftp://mail"),
        ("gateway.upstream", "https://user:geheim@mail"),
        ("gateway.upstream", "https://mail?x=1"),
        ("gateway.upstream", "https://mail:0"),
        ("gateway.upstream", "https://mail:port"),
        ("gateway.upstream", "https://"),
        ("gateway.max_replica_age", "-1"),
        ("gateway.max_replica_age", "inf"),
        ("gateway.max_replica_age", "an hour"),
        ("gateway.trusted_proxies", "10.0.0.0/8,proxy"),
        ("store.url", "sqlite:///:memory:"),
        ("store.url", "sqlite://"),
        ("store.url", "postgresql://host"),
    ],
)
def test_values_that_are_refused(key, value):
    variable = "GATEPOST_" + key.upper().replace(".", "__")
    (mistake,) = mistakes(None, {variable: value})
    assert mistake.startswith(f"{key}: expected ")
    assert "geheim" not in mistake


def test_a_section_that_is_no_table(write):
    assert mistakes(write("gateway = 3\n")) == ["gateway: expected a table, [gateway], got `3`"]


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.toml"
    assert mistakes(path) == [f"there is no configuration file `{path}`: `gatepost init` writes one"]


def test_a_file_that_cannot_be_read(tmp_path):
    assert mistakes(tmp_path) == [f"the configuration file `{tmp_path}` cannot be read: Is a directory"]


@pytest.mark.parametrize("content", [b"[gateway\n", b"\xff\xfe"])
def test_a_file_that_is_not_toml(tmp_path, content):
    path = tmp_path / "gatepost.toml"
    path.write_bytes(content)
    (mistake,) = mistakes(path)
    assert mistake.startswith(f"`{path}` is not TOML: ")


def test_where_the_file_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("gatepost.settings.reading.SYSTEM_FILE", tmp_path / "etc.toml")
    assert find({}, tmp_path) is None
    (tmp_path / "etc.toml").touch()
    assert find({}, tmp_path) == tmp_path / "etc.toml"
    (tmp_path / "gatepost.toml").touch()
    assert find({}, tmp_path) == tmp_path / "gatepost.toml"
    assert find({"GATEPOST_CONFIG": "/named.toml"}, tmp_path) == Path("/named.toml")
