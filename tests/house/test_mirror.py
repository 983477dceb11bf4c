"""Each module has its own test file, where one looks for it: src/gatepost/a/b.py → tests/a/test_b.py."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "gatepost"

ELSEWHERE = {
    # values without behaviour, in every test's hands
    "model/change.py": "engine/test_ruleset.py",
    "model/keys.py": "store/test_access_keys.py",
    "model/rules.py": "engine/test_rules.py",
    # tables without behaviour: compared with what the migrations make
    "store/schema.py": "store/test_migrate.py",
    "store/mdm_schema.py": "store/test_migrate.py",
    "mdm/configuration.py": "settings/test_mdm.py",
    # nothing but a line that calls gatepost.cli.main
    "__main__.py": "cli/test_app.py",
    # a module that is a top-level room of its own
    "serve.py": "serve/test_serve.py",
    # commands' shared parts are seen through the commands
    "cli/asking.py": "cli/test_explain.py",
    "cli/failure.py": "cli/test_app.py",
    "cli/opening.py": "cli/test_app.py",
    "cli/options.py": "cli/test_app.py",
    "cli/screen.py": "cli/test_devices.py",
    "cli/serve.py": "serve/test_serve.py",
}


def modules() -> list[Path]:
    return [
        path.relative_to(SOURCE)
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name != "__init__.py" and "migrations" not in path.parts
    ]


@pytest.mark.parametrize("module", [pytest.param(one, id=str(one)) for one in modules()])
def test_a_module_has_its_test_file(module):
    expected = ELSEWHERE.get(str(module)) or str(module.parent / f"test_{module.name}")
    assert (ROOT / "tests" / expected).is_file(), expected


def test_no_exception_is_stale():
    assert set(ELSEWHERE) <= {str(module) for module in modules()}
