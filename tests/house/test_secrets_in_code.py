"""What the code says about secrets, read from the code: nothing that names one is logged, shown by `repr`, or put into a URL."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from gatepost.cli.init import Initialised
from gatepost.demo.phone import Phone
from gatepost.demo.story import Stage
from gatepost.settings import Settings, load
from gatepost.wire.basic_auth import Credentials

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "gatepost"

SECRET = re.compile(r"password|passwd|secret|authorization|credential|cookie|sealing_key|private_key", re.IGNORECASE)
WHOLE = {"headers", "head", "body", "request", "environ"}  # an Authorization header is in there somewhere
LOGGERS = {"log", "_log", "logger", "_logger", "logging", "structlog", "warnings"}
LEVELS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "msg", "say"}
SHOWS_A_NEW_KEY = {"cli/keys.py", "cli/init.py"}  # once, which is their purpose

# Parsed Authorization headers of AWS's kind: an access key id, a scope and a signature, and no secret.
NO_SECRET = {("control/authenticate.py", "authorization"), ("wire/sigv4.py", "credential")}
SHOWING = re.compile(r"\b(BaseModel|BaseSettings|Section|NamedTuple|dataclass)\b")


@cache
def modules() -> dict[str, ast.Module]:
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def named(node: ast.AST) -> list[str]:
    """Every name, attribute and keyword in an expression; of calls not what is called, of `a.b` not `a`."""
    called = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
    called |= {id(one.value) for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    names = []
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and id(one) not in called:
            names.append(one.id)
        elif isinstance(one, ast.Attribute) and id(one) not in called:
            names.append(one.attr)
        elif isinstance(one, ast.keyword) and one.arg:
            names.append(one.arg)
    return names


def is_log_call(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
        return False
    owner = node.func.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return name in LOGGERS or node.func.attr == "say"


def prints(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) in {"print", "echo", "print_json"}  # fmt: skip


def offences(modules: dict[str, ast.Module]) -> list[str]:
    found = []
    for path, tree in modules.items():
        for node in ast.walk(tree):
            logged = is_log_call(node)
            said = (
                logged or (prints(node) and path not in SHOWS_A_NEW_KEY) or (isinstance(node, ast.Raise) and node.exc)
            )
            if not said:
                continue
            arguments = [*node.args, *node.keywords] if isinstance(node, ast.Call) else [node.exc]
            for name in (name for one in arguments for name in named(one)):
                secret = SECRET.search(name) and not name[0].isupper() and (path, name) not in NO_SECRET
                if secret or (logged and name in WHOLE):
                    found.append(f"{path}:{node.lineno}: {name}")
    return found


def test_nothing_that_names_a_secret_is_logged_printed_or_raised():
    assert offences(modules()) == []
    assert sum(is_log_call(node) for tree in modules().values() for node in ast.walk(tree)) > 20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("log.info('x', password=given)", "password"),
        ("self._log.warning(f'{asked.credentials}')", "credentials"),
        ("log.info('x', header=head.authorization)", "authorization"),
        ("log.exception('x', said=str(request))", "request"),
        ("notices.say('x', cookie=found)", "cookie"),
        ("print(secret_access_key)", "secret_access_key"),
        ("raise ValueError(f'no such password: {password!r}')", "password"),
    ],
)
def test_an_offence_is_seen(text, name):
    assert offences({"a.py": ast.parse(text)})[0] == f"a.py:1: {name}"


def shown_fields(modules: dict[str, ast.Module]) -> list[str]:
    """Texts and bytes that are named as a secret, or a request's headers, and that the `repr` of their value shows.

    Values of other types (`Credential`, `SecretStr`) are held to it themselves.
    """
    found = []
    for path, tree in modules.items():
        for value in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            if not any(SHOWING.search(ast.unparse(one)) for one in [*value.decorator_list, *value.bases]):
                continue
            for field in value.body:
                if not isinstance(field, ast.AnnAssign) or "repr=False" in ast.unparse(field):
                    continue
                name, kind = ast.unparse(field.target), ast.unparse(field.annotation)
                if (SECRET.search(name) and re.search(r"\b(str|bytes|dict|Any|object)\b", kind)) or (
                    name == "headers" and "Request" in value.name
                ):
                    found.append(f"{path}: {value.name}.{name}")
    return found


def test_repr_shows_no_field_that_names_a_secret():
    assert shown_fields(modules()) == []


def test_a_field_that_is_shown_is_seen():
    text = "@dataclass(frozen=True)\nclass Key:\n    key_id: str\n    secret: str\n    old_secret: str = field(repr=False)\n"
    assert shown_fields({"a.py": ast.parse(text)}) == ["a.py: Key.secret"]
    text = (
        "class Source(Section):\n    name: str\n    password: str | None = None\n    secret: SecretStr | None = None\n"
    )
    assert shown_fields({"a.py": ast.parse(text)}) == ["a.py: Source.password"]


def test_no_traceback_shows_local_variables():
    for path, tree in modules().items():
        text = ast.unparse(tree)
        assert "show_locals=True" not in text, path
        assert "RichTracebackFormatter" not in text, path
        if "typer.Typer(" in text and "name='gatepost'" in text:
            assert "pretty_exceptions_enable=False" in text, path


URL = re.compile(r"\b[a-z][a-z0-9+.-]*://([^\s/'\"`:@]*):([^\s/'\"`@]+)@", re.IGNORECASE)
PLACEHOLDERS = {"password", "secret", "…", "***", "${PASSWORD}"}


def urls_with_credentials(text: str) -> list[str]:
    return [found[0] for found in URL.finditer(text) if found[2].lower() not in PLACEHOLDERS and "{" not in found[2]]


def test_no_url_in_code_or_pages_carries_credentials():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("scripts/*"), ROOT / "Makefile"]
    code = [*SOURCE.rglob("*.py"), *ROOT.glob("bench/**/*.py")]
    found = {path.name: urls for path in [*code, *pages] if (urls := urls_with_credentials(path.read_text("utf-8")))}
    assert found == {}
    assert urls_with_credentials("see postgresql://gate:s3cret@db/x") == ["postgresql://gate:s3cret@"]


PLAIN = "qzrw7k2mx5vf3htj8nbd4pcy"


def values() -> dict[str, object]:
    settings = load(None, {"GATEPOST_STORE__URL": f"postgresql://gate:{PLAIN}@db/gatepost"})
    return {
        "settings": settings,
        "the store's settings": settings.store,
        "settings in a list": [settings],
        "credentials": Credentials("alice", PLAIN),
        "what init made": Initialised("m-1", "AKIA1", PLAIN, Path("gatepost.toml"), load(None, {}), ()),
        "the demo's stage": Stage("http://g", "http://c", "m-1", "AKIA1", PLAIN, None),
        "the demo's phone": Phone("http://g", "alice", PLAIN, device_id="PHONE1"),
    }


@pytest.mark.parametrize("name", values())
def test_a_value_that_holds_a_secret_does_not_show_it(name):
    value = values()[name]
    assert PLAIN not in repr(value) + str(value) + f"{value}"


def test_settings_still_hold_what_they_do_not_show():
    assert isinstance(values()["settings"], Settings)
    assert PLAIN in values()["settings"].store.url
