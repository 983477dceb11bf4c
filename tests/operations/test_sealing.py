import pytest

from gatepost.operations.sealing import KEY_BYTES, SealingError, new_key, seal, unseal


def test_what_was_sealed_is_unsealed():
    key = new_key()
    assert len(key) == KEY_BYTES
    sealed = seal(key, "AKIAONE", "the secret")
    assert b"the secret" not in sealed
    assert unseal(key, "AKIAONE", sealed) == "the secret"


def test_two_seals_of_one_secret_differ():
    key = new_key()
    assert seal(key, "AKIAONE", "the secret") != seal(key, "AKIAONE", "the secret")


@pytest.mark.parametrize("change", ["key", "access key id", "bytes", "cut", "empty"])
def test_anything_else_is_refused(change):
    key = new_key()
    sealed = seal(key, "AKIAONE", "the secret")
    asked = {
        "key": (new_key(), "AKIAONE", sealed),
        "access key id": (key, "AKIATWO", sealed),
        "bytes": (key, "AKIAONE", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        "cut": (key, "AKIAONE", sealed[:20]),
        "empty": (key, "AKIAONE", b""),
    }
    with pytest.raises(SealingError, match="AKIA"):
        unseal(*asked[change])


def test_a_key_of_another_length_is_refused():
    with pytest.raises(SealingError, match="32 bytes, this one has 16"):
        seal(b"x" * 16, "AKIAONE", "the secret")
