"""The architecture holds, and would be seen to break."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"

# File, what it says, and the contract that it breaks.
OFFENCES = (
    ("engine/offence.py", "import time\n", "the core is pure"),
    ("wire/offence.py", "from gatepost.engine import decide\n", "layers"),
    ("gateway/offence.py", "from gatepost.store import users\n", "gateways read rules"),
    ("control/offence.py", "from gatepost.store import users\n", "only operations writes rule tables"),
    ("mdm/sources/offence.py", "from gatepost.store import users\n", "sources of posture only read"),
    ("telemetry/first.py", "from gatepost.telemetry import second\n", "no cycles between siblings"),
    ("telemetry/second.py", "from gatepost.telemetry import first\n", "no cycles between siblings"),
)


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin"}
    command = [str(LINT_IMPORTS), "--config", str(root / "pyproject.toml"), "--no-cache"]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path):
    """A copy of the source to spoil."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src" / "gatepost", tmp_path / "src" / "gatepost", ignore=ignored)
    return tmp_path


def test_the_contracts_are_kept():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_each_contract_sees_its_offence(copied):
    for path, text, _ in OFFENCES:
        (copied / "src" / "gatepost" / path).write_text(text)
    told = lint(copied).stdout
    for path, _, contract in OFFENCES:
        assert re.search(rf"^{contract}.* BROKEN$", told, re.MULTILINE), contract
        # of a cycle only the packages are told
        assert f"{Path(path).parent}.offence".replace("/", ".") in told or contract.startswith("no cycles")


def test_sources_of_posture_know_nothing_of_each_other(copied):
    with (copied / "src" / "gatepost" / "mdm" / "sources" / "generic.py").open("a") as file:
        file.write("from gatepost.mdm.sources import workspace_one\n")
    assert re.search(r"^sources of posture know nothing of each other BROKEN$", lint(copied).stdout, re.MULTILINE)


def test_a_new_room_must_be_given_its_place(copied):
    (copied / "src" / "gatepost" / "annex.py").touch()
    done = lint(copied)
    assert done.returncode != 0
    assert "annex" in done.stdout


def test_no_file_is_longer_than_400_lines():
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "src").rglob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}


def test_names_that_say_nothing_are_not_used():
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "handlers", "service", "misc"}
    assert not [path for path in (ROOT / "src").rglob("*.py") if path.stem in empty or path.parent.name in empty]


def test_every_package_is_in_the_picture():
    picture = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for path in sorted((ROOT / "src" / "gatepost").iterdir()):
        name = path.stem
        if not name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").is_file()):
            assert re.search(rf"`{name}/?`", picture), name


def test_requirements_are_pinned_and_hashed_and_name_no_index():
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "://" not in text, path
        assert "--index-url" not in text, path
        for requirement in re.findall(r"^[A-Za-z0-9].*(?:\n    .*)*", text, re.MULTILINE):
            assert "==" in requirement, requirement
            assert "--hash=sha256:" in requirement, requirement
