import re

import pytest

from gatepost.model import Role
from gatepost.operations import access_keys
from gatepost.operations.errors import EntityNotFoundException
from gatepost.operations.sealing import SealingError, new_key


def test_a_key_has_awss_form_and_its_secret_is_found_again(context):
    sealing_key = new_key()
    key, secret = access_keys.create(context, sealing_key, description="for the pipeline")
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.access_key_id)
    assert re.fullmatch(r"[A-Za-z0-9]{40}", secret)
    assert access_keys.valid(context, sealing_key, key.access_key_id) == (key, secret)
    assert access_keys.list(context) == (key,)
    assert (key.description, key.role) == ("for the pipeline", Role.ADMIN)


@pytest.mark.parametrize("role", Role)
def test_a_key_keeps_its_role(context, role):
    sealing_key = new_key()
    key, secret = access_keys.create(context, sealing_key, role=role)
    assert key.role is role
    assert access_keys.valid(context, sealing_key, key.access_key_id) == (key, secret)
    assert access_keys.revoke(context, key.access_key_id).role is role


def test_a_revoked_key_has_no_secret_and_is_still_listed(context):
    sealing_key = new_key()
    key, _ = access_keys.create(context, sealing_key)
    other, _ = access_keys.create(context, sealing_key)
    revoked = access_keys.revoke(context, key.access_key_id)
    assert revoked.date_revoked is not None
    assert access_keys.valid(context, sealing_key, key.access_key_id) is None
    assert access_keys.valid(context, sealing_key, other.access_key_id) is not None
    assert access_keys.revoke(context, key.access_key_id) == revoked
    assert access_keys.list(context) == (revoked, other)


def test_an_unknown_key_has_no_secret_and_cannot_be_revoked(context):
    assert access_keys.valid(context, new_key(), "AKIANOBODY") is None
    with pytest.raises(EntityNotFoundException):
        access_keys.revoke(context, "AKIANOBODY")


def test_another_key_file_is_told_apart_from_an_unknown_key(context):
    key, _ = access_keys.create(context, new_key())
    with pytest.raises(SealingError):
        access_keys.valid(context, new_key(), key.access_key_id)
