"""The guide's page of all operations of WorkMail, made from what the code has and why it has not the others.

`python -m tests.support.operations_page` writes it.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.control.contract import operation_names
from gatepost.control.dispatch import OPERATIONS
from gatepost.control.unsupported import WHY_NOT

PAGE = Path(__file__).parents[2] / "docs/operations-guide/workmail-operations.md"

_HEAD = """\
# The operations of Amazon WorkMail

Gatepost manages who may read mail, with which device, how and from where; the mail itself, and whatever is done with it, belongs
to the mail server. Of the {all} operations of the WorkMail API (2017-10-01) it has {have}; the other {have_not} answer
`UnsupportedOperationException` and say why. What is behind a link, [the control API](control-api.md) describes.

| operation | Gatepost | why not |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    names = sorted(operation_names())
    have = [name for name in names if name in OPERATIONS]
    head = _HEAD.format(all=len(names), have=len(have), have_not=len(names) - len(have))
    return head + "".join(_row(name) for name in names)


def _row(name: str) -> str:
    if name in OPERATIONS:
        return f"| [{name}](control-api.md#{name.lower()}) | has it | |\n"
    return f"| {name} | has it not | {WHY_NOT[name]} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
