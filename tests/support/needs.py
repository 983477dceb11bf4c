"""What a test needs of the machine, and what becomes of the test where it is missing."""

import os

import pytest


def need(missing: str | None) -> None:
    """Go on where nothing is missing. With CI set nothing may be; elsewhere the test is left out and says why."""
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(missing, pytrace=False)
    # Without root, or not on Debian, the real programs cannot be installed: the sentence says which, and what to do.
    pytest.skip(missing)
