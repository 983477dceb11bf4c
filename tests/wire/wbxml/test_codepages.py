"""The tables, against names known from elsewhere."""

from gatepost.wire.wbxml.codepages import NAMES, PAGES, TOKENS


def test_the_pages_are_those_of_the_specification():
    assert sorted(PAGES) == [page for page in range(26) if page != 3]
    assert len(NAMES) == len(TOKENS)
    assert all(5 <= token & 0xFF <= 0x3F for token in NAMES)
    assert NAMES[0x0716] == "FolderHierarchy:FolderSync"
    assert NAMES[0x121A] == "Settings:OS"
