"""The guide has one heading for each operation and each endpoint, and no others of their kind."""

import re
from pathlib import Path

from starlette.routing import Route

from gatepost.control import health
from gatepost.control.contract import operation_names
from gatepost.control.dispatch import OPERATIONS
from gatepost.telemetry import new_registry

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/operations-guide/control-api.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### (.+)$", GUIDE, re.MULTILINE)


def test_every_operation_has_its_heading():
    assert sorted(heading for heading in HEADINGS if heading in operation_names()) == sorted(OPERATIONS)


def test_every_endpoint_has_its_heading():
    endpoints = [f"GET {route.path}" for route in health.routes(new_registry(), {}) if isinstance(route, Route)]
    assert sorted(heading for heading in HEADINGS if heading.startswith("GET ")) == sorted(endpoints)


def test_every_exception_of_ours_around_operations_is_in_the_table():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/gatepost/control").glob("*.py"))
    names = set(re.findall(r'"(\w+Exception)"', source))
    assert len(names) > 8
    assert {name for name in names if f"`{name}`" not in GUIDE} == set()
