"""The table of commands agrees with itself and with the specification's codes."""

import pytest

from gatepost.wire.eas.commands import COMMAND_CODES, COMMAND_ROOTS, COMMANDS, VERSIONS, Body, at_least
from gatepost.wire.wbxml.codepages import TOKENS


def test_each_root_and_status_is_an_element():
    for command in COMMANDS.values():
        assert (command.root is None) == (command.status is None)
        if command.root is not None and command.status is not None:
            assert command.root in TOKENS
            assert command.root.split(":")[1] == command.name
            assert TOKENS[command.root] >> 8 == TOKENS[command.status] >> 8
            assert command.status.endswith(":Status")


def test_codes_of_the_base64_query():
    assert len(COMMAND_CODES) == len(COMMANDS) == 20
    assert [COMMAND_CODES[code] for code in (0, 4, 9, 18, 20)] == [
        "Sync", "GetAttachment", "FolderSync", "Ping", "Provision",
    ]  # fmt: skip
    assert not {5, 6, 7, 8} & set(COMMAND_CODES)


def test_only_get_attachment_has_no_root():
    assert set(COMMANDS) - set(COMMAND_ROOTS) == {"GetAttachment"}
    assert {name for name, command in COMMANDS.items() if command.body is Body.MAY_BE_EMPTY} == {"Sync", "Ping"}


@pytest.mark.parametrize(("version", "rank"), [(version, rank) for rank, version in enumerate(VERSIONS)])
def test_versions_are_ordered(version, rank):
    assert [at_least(version, other) for other in VERSIONS] == [True] * (rank + 1) + [False] * (6 - rank)


def test_an_unknown_version_is_older_than_all():
    assert not at_least("99", "2.5")
