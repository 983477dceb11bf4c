"""The operations guide is complete and has nothing stale: every setting and every command has its heading."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

import pytest
import typer.main
from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined

from gatepost.cli import app
from gatepost.cli.failure import ExitCode
from gatepost.settings import Settings, load
from gatepost.settings.mistakes import is_secret, models_in

ROOT = Path(__file__).parent.parent.parent
GUIDE = ROOT / "docs" / "operations-guide"
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(#[^)\s]*)?\)")


@cache
def sections(name: str) -> dict[str, str]:
    """The text under each third-level heading."""
    parts = re.split(r"^### (.+)$", (GUIDE / name).read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def settings() -> dict[str, object]:
    """Each key with its field; those of tables in arrays too."""
    return {
        key: field
        for section, table in Settings.model_fields.items()
        for key, field in _keys(section, table.annotation)
    }


def _keys(prefix: str, annotation: object):
    found = {}
    for model in models_in(annotation):
        for name, field in model.model_fields.items():
            if f"{prefix}.{name}" not in found:
                found |= {f"{prefix}.{name}": field, **dict(_keys(f"{prefix}.{name}", field.annotation))}
    return found.items()


def _in_a_table(key: str) -> bool:
    return key.startswith(("mdm.sources", "mdm.targets"))


def commands(command=None, name: str = "gatepost") -> dict[str, object]:
    """Each command that does something, and the program itself."""
    command = typer.main.get_command(app) if command is None else command
    below = getattr(command, "commands", {})
    found = {} if below and name != "gatepost" else {name: command}
    for part, sub in below.items():
        found |= commands(sub, f"{name} {part}")
    return found


def test_every_setting_has_its_heading_and_no_heading_is_stale():
    assert list(sections("settings.md")) == list(settings())


@pytest.mark.parametrize("key", [key for key in settings() if not _in_a_table(key)])
def test_a_setting_says_default_variable_and_example(key):
    text = sections("settings.md")[key]
    variable = f"GATEPOST_{key.upper().replace('.', '__')}"
    assert f"- Variable: `{variable}`" in text
    shown = re.search(r"^- Default: (?:`(.+)`|none)", text, re.MULTILINE)[1]
    default = settings()[key].default
    documented = {} if shown is None else {variable: shown}
    if shown and shown.startswith("["):
        values = tomllib.loads(f"x = {shown}")["x"]
        assert values or not default, "the variable would be empty, and so say nothing"
        documented = {variable: ",".join(values)}
    section, name = key.split(".")
    assert getattr(getattr(load(None, documented), section), name) == getattr(getattr(load(None, {}), section), name)
    assert (shown is None) == (default is None)
    assert re.search(r"^- Example: `", text, re.MULTILINE)


@pytest.mark.parametrize("key", [key for key in settings() if _in_a_table(key)])
def test_a_key_of_a_table_in_an_array_says_default_variable_file_and_example(key):
    text, field = sections("settings.md")[key], settings()[key]
    shown = re.search(r"^- Default: (?:`(.+)`|none(.*))", text, re.MULTILINE)
    if shown[1] is None:
        assert field.default in (None, PydanticUndefined)
        assert (shown[2] == ", it is needed") == field.is_required()
    else:
        default = tomllib.loads(f"x = {shown[1]}")["x"] if shown[1] in ("[]", "{}") else shown[1]
        assert TypeAdapter(Annotated[field.annotation, "", *field.metadata]).validate_python(default) == field.default
    name, place = key.split(".")[-1], {"sources": "SOURCES__NAME", "targets": "TARGETS__KIND"}[key.split(".")[1]]
    inner = "".join(f"__{part.upper()}" for part in key.split(".")[2:])
    inner = inner.replace("WEBHOOK_CREDENTIALS", "WEBHOOK_CREDENTIALS__0")
    assert re.search(rf"^- Variable: `GATEPOST_MDM__{place}{inner}(__KEY)?`$", text, re.MULTILINE)
    assert (f"- File: `{name}_file`" in text) == is_secret(field)
    assert re.search(r"^- Example: `", text, re.MULTILINE)


def test_the_complete_file_is_valid(tmp_path):
    example = re.search(r"```toml\n(.+?)```", (GUIDE / "settings.md").read_text("utf-8"), re.DOTALL)[1]
    path = tmp_path / "gatepost.toml"
    path.write_text(example)
    assert load(path, {}).gateway.upstream == "https://mail.example.com"


def test_every_command_has_its_heading_and_no_heading_is_stale():
    assert sorted(sections("commands.md")) == sorted(commands())


@pytest.mark.parametrize("name", commands())
def test_a_command_says_what_its_options_are_and_nothing_more(name):
    text = sections("commands.md")[name]
    parameters = commands()[name].params
    options = {option for one in parameters for option in one.opts if option.startswith("-")} - {"--help", "-h"}
    described = {
        word
        for line in re.findall(r"^- (.+?)(?::|$)", text, re.MULTILINE)
        for word in re.findall(r"`(-[^\s`,]+)", line)
    }
    assert described - {"--help", "-h"} == options
    for argument in parameters:
        if not argument.opts[0].startswith("-"):
            assert argument.metavar in text


def test_every_exit_code_is_in_the_table():
    rows = re.findall(r"^\| (\d+) \|", (GUIDE / "commands.md").read_text("utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == [code.value for code in ExitCode]


def _pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in _pages()])
def test_links_between_pages_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor[1:] in _anchors(path), f"{page.name}: {target}{anchor}"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_make_targets_that_pages_name_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in _pages():
        named = set(re.findall(r"(?:`|^)make ([a-z]+)\b", page.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page


def test_every_decision_is_listed_under_its_own_title():
    listed = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    for page in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        number, title = page.read_text("utf-8").splitlines()[0].removeprefix("# ").split(". ", 1)
        assert f"{number}. [{title}]({page.name})" in listed
        assert int(page.name[:4]) == int(number)
