from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from gatepost.operations.context import Context


def test_a_context_is_a_value():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    context = Context(None, lambda: now, "AKIAONE")
    assert (context.now(), context.caller, context.role) == (now, "AKIAONE", None)
    with pytest.raises(FrozenInstanceError):
        context.caller = "other"
