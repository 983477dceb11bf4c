import stat

import pytest

from gatepost.operations.sealing import new_key
from gatepost.settings import SettingsError, read_key_file, write_key_file


def test_a_key_comes_back_and_is_for_its_owner_only(tmp_path):
    path, key = tmp_path / "gatepost.key", new_key()
    write_key_file(path, key)
    assert read_key_file(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().isascii()


def test_a_key_file_is_never_replaced(tmp_path):
    path, key = tmp_path / "gatepost.key", new_key()
    write_key_file(path, key)
    with pytest.raises(FileExistsError):
        write_key_file(path, new_key())
    assert read_key_file(path) == key


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe", b"AAAA\n", b"A" * 44])
def test_a_file_that_holds_no_key(tmp_path, content):
    path = tmp_path / "gatepost.key"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="expected 32 bytes in base64"):
        read_key_file(path)


def test_no_file_and_no_permission(tmp_path):
    with pytest.raises(SettingsError, match="there is no file"):
        read_key_file(tmp_path / "none")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_key_file(tmp_path)
