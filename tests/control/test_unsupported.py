"""Every operation of WorkMail is here, or it is said why not: to its caller, and in the guide."""

import pytest
from tests.support.operations_page import PAGE, page

from gatepost.control.contract import operation_names
from gatepost.control.dispatch import OPERATIONS
from gatepost.control.unsupported import WHY_NOT, unsupported


def test_each_operation_is_here_or_has_its_reason_and_none_has_both():
    assert set(OPERATIONS) | set(WHY_NOT) == operation_names()
    assert set(OPERATIONS) & set(WHY_NOT) == set()
    assert len(operation_names()) == 92


def test_no_reason_is_given_twice_for_one_operation():
    from gatepost.control import unsupported as module

    assert sum(map(len, module._BECAUSE.values())) == len(WHY_NOT)


@pytest.mark.parametrize("operation", sorted(WHY_NOT))
def test_a_caller_is_told_why(operation):
    message = str(unsupported(operation))
    assert message.startswith(f"{operation} is an operation of Amazon WorkMail that Gatepost does not have: ")
    assert message.endswith(f"{WHY_NOT[operation]}.")


def test_the_guides_table_is_what_the_code_has():
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(), "write the page anew with `python -m tests.support.operations_page`"
    assert sum(line.startswith("| ") for line in written.splitlines()) == 1 + 92
